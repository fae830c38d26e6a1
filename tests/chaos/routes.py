"""Which way each call went, as the edge's log tells: through which connection to the interceptor."""

import collections
import datetime
import json


def wall(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Routes:
    def __init__(self, log):
        self._ways = collections.defaultdict(list)  # client's port: (time, way, our port, call)
        self._ports = {}                            # call: client's port
        self._rescued = set()                       # calls that were taken from a dead interceptor
        with open(log, errors="replace") as lines:
            for line in lines:
                if '"edge.call.' not in line:
                    continue
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # a process was killed while it wrote
                if event["event"] == "edge.call.routed":
                    self._ways[event["client_port"]].append(
                        (wall(event["at"]), event["way"], event["through"], event["call"]))
                    self._ports[event["call"]] = event["client_port"]
                elif event["event"] == "edge.call.rescued":
                    self._rescued.add(event["call"])

    def through(self, port, begun, ended):
        """The edge's port of the metered connection that carried this client's call to its end;
        None: it went raw, or was rescued, or nobody knows."""
        for at, way, through, call in self._ways[port]:
            if begun <= at <= ended:
                return through if way == "metered" and call not in self._rescued else None
        return None

    def port_of(self, call):
        """The client's port of a connection of this name; None: nobody knows."""
        return self._ports.get(call)

    def told(self, port, begun, ended):
        """What the log says of this client's call, for people."""
        return [f"edge's log: +{at - begun:.3f}s {way} through {through} call {call}"
                + (", rescued" if call in self._rescued else "")
                for at, way, through, call in self._ways[port] if begun - 1 <= at <= ended + 1] \
            or ["edge's log: nothing of it"]
