"""The reckoning: every call against the rows and misses of the database, one by one.

A call of the load must have exactly one entry, a row or a miss, unless it was inside a process that
was killed before its request reached the provider: then there was nothing to meter, and at most one
entry. Calls one after the other on a connection that went raw look like one from outside: that
connection has one miss, which stands for all of them. No entry may be without a call."""

import collections
import datetime

import origin as origins

SLACK_S = 1.0        # of the clocks and of a loaded machine
NOTICED_S = 10.0     # within this time after a kill its victims have seen the end
JUST_ENDED_S = 0.1   # a kill -9 may take rows of calls that ended this shortly before


class Reckoning:
    def __init__(self, calls, provider, kills, routes, rows, misses):
        self._kills, self._routes = kills, routes
        self.calls = [call for call in calls if call.provider]
        self.raw = [call for call in calls if not call.provider]
        self.reached = provider.reached
        self.rows, self.misses = collections.Counter(), collections.defaultdict(list)
        self.strangers = []  # rows and misses that belong to no call
        self.row_count, self.miss_count = len(rows), sum(miss["count"] for miss in misses)
        known = {call.number for call in self.calls}
        self.connections = collections.defaultdict(list)
        for call in self.calls:
            self.connections[call.connection].append(call)
        # Its connection's first call has the entry.
        self.covered = {call.number for call in self.calls
                        if not call.ours and call.number != call.connection}
        for row in rows:
            number = self._number(row)
            if number in known:
                self.rows[number] += 1
            else:
                self.strangers.append(("row", row["id"], row["requested_model"], row["host"]))
        self._match(misses)

    @staticmethod
    def _number(row):
        for text, prefix in ((row["requested_model"], origins.PREFIX),
                             (row["response_id"], "chatcmpl-")):
            if text and text.startswith(prefix):
                return int(text.removeprefix(prefix))
        return None

    def _match(self, misses):
        by_port = collections.defaultdict(list)
        for calls in self.connections.values():
            by_port[calls[0].host, calls[0].port].append(calls)
        for miss in misses:
            at = datetime.datetime.fromisoformat(miss["at"].replace("Z", "+00:00")).timestamp()
            # What a dead interceptor had under way is known by the name of its connection.
            port = miss["client_port"] or self._routes.port_of(miss["call_id"])
            fitting = [calls for calls in by_port[miss["host"], port]
                       if calls[0].opened_wall - SLACK_S <= at
                       <= calls[-1].began_wall + calls[-1].ended - calls[-1].began + SLACK_S]
            if fitting:
                calls = min(fitting, key=lambda calls: abs(calls[0].opened_wall - at))
                for _ in range(miss["count"]):
                    self.misses[self._meant(calls).number].append(miss["reason"])
            else:
                self.strangers.append(("miss", miss["at"], miss["host"], miss["reason"], port,
                                       miss["count"]))

    def _meant(self, calls):
        """Of a connection's calls the one that a miss is about: one that has no entry; all have one:
        the last, which has two then."""
        without = [call for call in calls
                   if call.number not in self.covered and self.entries(call) == 0]
        return without[0] if without else calls[-1]

    # --- what a kill excuses -----------------------------------------------------------------
    def inside(self, call):
        """Was the call in a process when that was killed, and lost with it? In the edge: the process
        had accepted its connection. In the interceptor: the process held the connection through
        which the edge carried it, and its first byte had come back that way. (Without one the edge
        must carry it on elsewhere, and one that it did carry on is not lost.)"""
        for at, service, _, carried in self._kills:
            if not call.opened <= at <= call.ended or (call.error and call.ended > at + NOTICED_S):
                continue
            if service == "edge":
                if call.port in carried:
                    return True
                continue
            last = call.began_wall + call.ended - call.began
            through = self._routes.through(call.port, call.opened_wall, last)
            if call.answered > 0 and through in carried:
                return True
        return False

    def just_ended(self, call):
        """Its row may have been among those that a kill -9 of the interceptor took."""
        return call.ours and not call.error and any(
            service == "interceptor" and call.began <= at <= call.ended + JUST_ENDED_S
            for at, service, *_ in self._kills)

    def entries(self, call):
        return self.rows[call.number] + len(self.misses[call.number])

    # --- verdicts ----------------------------------------------------------------------------
    def verdicts(self):
        """(figures by name, faults found as texts)."""
        everything = self.calls + self.raw
        failed = [call for call in everything if call.error and not call.failed_as_asked]
        unexcused = [call for call in failed if not self.inside(call)]
        counted = [call for call in self.calls if call.number not in self.covered]
        broken = [call for call in counted if call.error and self.inside(call)]
        empty = [call for call in broken if call.number not in self.reached
                 and self.entries(call) == 0]
        silent, just_ended = [], []
        twice = [call for call in self.calls
                 if self.entries(call) > (0 if call.number in self.covered else 1)]
        for call in counted:
            if self.entries(call) == 0 and call not in empty:
                (just_ended if self.just_ended(call) else silent).append(call)
        expected = len(counted) - len(empty) - len(just_ended)
        figures = {
            "calls made": len(everything),
            "  to metered hosts": len(self.calls),
            "  on kept connections, after the first call":
                sum(call.number != call.connection for call in self.calls),
            "  on kept connections past the meter: counted with the first":
                len(self.covered),
            "  raw tunnels to other hosts": len(self.raw),
            "calls failed, not in flight inside a killed process": len(unexcused),
            "calls broken in flight by kill -9": len(failed) - len(unexcused),
            "  their request had reached the provider: in the ledger":
                sum(call.number in self.reached and self.entries(call) == 1 for call in broken),
            "  their request had not left: nothing to count": len(empty),
            "ended less than 100 ms before a kill -9, and lost with it": len(just_ended),
            "rows and misses expected": expected,
            "rows found": self.row_count,
            "misses recorded": self.miss_count,
            "calls without row or miss": len(silent),
            "calls with more than one": len(twice),
            "rows or misses without a call": len(self.strangers),
        }
        problems = [f"{name}: {call}" for name, calls in
                    (("failed", unexcused), ("silent miss", silent), ("counted twice", twice))
                    for call in map(self._told, calls)]
        problems += [f"belongs to no call: {stranger}" for stranger in self.strangers]
        if self.row_count + self.miss_count != expected:
            problems.append(f"{self.row_count} rows + {self.miss_count} misses are not {expected}")
        return figures, problems

    def _told(self, call):
        way = "\n".join(self._routes.told(call.port, call.opened_wall,
                                          call.began_wall + call.ended - call.began))
        near = [f"{at - call.began:+.2f}s {service}" for at, service, *_ in self._kills
                if call.began - 5 < at < call.ended + 5]
        return (f"call {call.number} of {call.connection} {call.kind} {call.host} port {call.port} "
                f"{call.ended - call.began:.2f}s stage={call.stage} ours={call.ours} "
                f"reached={self.reached.get(call.number, 0)} rows={self.rows[call.number]} "
                f"misses={self.misses[call.number]} error={call.error!r} kills={near}\n{way}".rstrip())
