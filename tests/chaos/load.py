"""The load: short calls, streams, slow readers and raw tunnels, each on a connection of its own; rows
of calls on connections that are kept, as SDKs do it, and calls at the same time on one of HTTP/2.
Each call is written down with its times, its connection and how it ended."""

import contextlib
import dataclasses
import json
import random
import select
import socket
import ssl
import threading
import time

import h2.exceptions

import http1
import multiplexed
import origin as origins
import wire as wires

HOST = "api.openai.com"          # the load's own provider host
DNS_HOST = "api.anthropic.com"   # whose name service fails in "dns" faults
RESET_HOST = "api.x.ai"          # whose origin resets in "origin resets" faults
RAW_HOST = "echo.test"
PROVIDER_ROOT = "Simulated provider root"
PATH = "/v1/chat/completions"
PATIENCE_S = 60
# Shorter than a process that leaves keeps an idle connection (3 s), also when the edge stood still
# for as long as a fault makes it (2 s): nobody can say the next word just when the other hangs up.
LONGEST_PAUSE_S = 0.5


@dataclasses.dataclass
class Call:
    number: int
    kind: str            # short, stream, kept, h2, slow reader, dns, reset; raw: no provider's host
    host: str
    connection: int = 0      # the number of its connection's first call
    opened: float = 0.0      # the connection; monotonic, wall time beside it
    opened_wall: float = 0.0
    began: float = 0.0       # the call
    began_wall: float = 0.0
    ended: float = 0.0
    port: int = 0
    stage: str = "connect"   # connect, proxy, tls, request, answer: where it is, or was when it broke
    ours: bool = False       # it saw our certificate: the interceptor was in the middle
    status: int = 0          # of the proxy's answer
    answered: int = 0        # bytes that came back after the proxy's answer
    error: str = ""

    @property
    def provider(self):
        return self.kind != "raw"

    @property
    def failed_as_asked(self):
        """As its own fault makes it fail, and in no other way: a name that is not to be had, an
        origin that resets its connection."""
        if self.kind == "dns":
            return self.status == 502
        return self.kind == "reset" and (self.status == 502 or self.stage in ("tls", "request",
                                                                              "answer"))


class Broken(Exception):
    pass


class CountingWire(wires.Wire):
    """Knows how many bytes came, encrypted or not."""

    raw_total = 0

    def _raw_recv(self):
        data = super()._raw_recv()
        self.raw_total += len(data)
        return data


class Load:
    def __init__(self, edge_port, bundle, seed, log):
        """bundle: trusts our CA and the provider's, so that both ways work."""
        self.calls = []
        self._edge_port, self._log = edge_port, log
        self._contexts = {alpn: wires.client_context(bundle, [alpn]) for alpn in ("http/1.1", "h2")}
        self._seed = seed
        self._lock = threading.Lock()
        self._number = 0
        self._threads = []
        self._stop = threading.Event()

    # --- workers -----------------------------------------------------------------------------
    def start(self, workers):
        """Of each kind of calls, how many at once."""
        for kind, count in workers.items():
            for at in range(count):
                chance = random.Random(f"{self._seed} {kind} {at}")
                thread = threading.Thread(target=self._work, args=(kind, chance), daemon=True)
                self._threads.append(thread)
                thread.start()

    def stop(self):
        """No new calls; waits for those under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)

    def _work(self, kind, chance):
        while not self._stop.is_set():
            self.one(kind, RAW_HOST if kind == "raw" else HOST, chance)
            self._stop.wait(chance.uniform(0.02, 0.25))

    def burst(self, kind, host, count):
        """Calls of a fault, all at once; waits for their ends."""
        threads = [threading.Thread(target=self.one, args=(kind, host, random.Random(at)),
                                    daemon=True) for at in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * PATIENCE_S)

    def one(self, kind, host, chance):
        """A connection, with its call or its calls."""
        calls = [self._begin(kind, host)]
        wire = None
        try:
            sock = socket.create_connection(("127.0.0.1", self._edge_port), timeout=PATIENCE_S)
            calls[0].port = sock.getsockname()[1]
            wire = CountingWire(sock, timeout=PATIENCE_S)
            self._tunnel(wire, calls[0])
            wire.raw_total = 0
            if kind == "raw":
                self._echo(wire, calls[0], chance)
            else:
                self._secure(wire, calls[0])
                (self._multiplex if kind == "h2" else self._ask_in_turn)(wire, calls, chance)
        except (OSError, ssl.SSLError, wires.EndOfStream, ValueError, Broken,
                h2.exceptions.ProtocolError) as error:
            for call in calls:
                if not call.ended:
                    call.error = f"{type(error).__name__}: {error.args[0] if error.args else ''}"
        finally:
            for call in calls:
                self._end(call, wire)
            if wire is not None:
                wire.close()
        for call in calls:
            if call.error:
                self._log("call broke", **dataclasses.asdict(call))

    def _begin(self, kind, host, before=None):
        """before: the call before on the same connection."""
        with self._lock:
            self._number += 1
            call = Call(self._number, kind, host, began=time.monotonic(), began_wall=time.time())
            if before:
                call.connection, call.port, call.ours = before.connection, before.port, before.ours
                call.status = before.status
                call.opened, call.opened_wall = before.opened, before.opened_wall
            else:
                call.connection, call.opened, call.opened_wall = (call.number, call.began,
                                                                  call.began_wall)
            self.calls.append(call)
        return call

    @staticmethod
    def _end(call, wire):
        if call.ended:
            return
        call.ended = time.monotonic()
        if wire is not None and call.stage not in ("connect", "proxy"):
            call.answered = wire.raw_total

    @staticmethod
    def _hung_up(wire, pause):
        """A client that keeps a connection looks whether it is still there before it asks again."""
        return bool(select.select([wire.sock], [], [], pause)[0])

    # --- one call ----------------------------------------------------------------------------
    @staticmethod
    def _tunnel(wire, call):
        call.stage = "proxy"
        target = f"{call.host}:443"
        wire.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        head = wire.recv_until(b"\r\n\r\n")
        call.status = int(head.split(b" ")[1])
        if call.status != 200:
            raise Broken(f"proxy said {call.status}")

    def _secure(self, wire, call):
        call.stage = "tls"
        wire.start_tls(self._contexts["h2" if call.kind == "h2" else "http/1.1"],
                       server_hostname=call.host)
        call.ours = wire.issuer() != PROVIDER_ROOT

    def _ask_in_turn(self, wire, calls, chance):
        """The first call; with a kept connection some more, with pauses."""
        self._ask(wire, calls[0], chance)
        for _ in range(chance.randint(0, 12) if calls[0].kind == "kept" else 0):
            self._end(calls[-1], wire)
            if self._stop.is_set() or self._hung_up(wire, chance.uniform(0, LONGEST_PAUSE_S)):
                return
            calls.append(self._begin(calls[0].kind, calls[0].host, calls[0]))
            self._ask(wire, calls[-1], chance)
        with contextlib.suppress(OSError):  # it has its answer
            wire.half_close()

    def _multiplex(self, wire, calls, chance):
        """Some calls at once, and some more when these are over."""
        client = multiplexed.Client(wire, calls[0].host)
        for wave in range(chance.randint(1, 3)):
            under_way = {}  # stream: (call, what it asked)
            for at in range(chance.randint(1, 4)):
                if wave or at:
                    calls.append(self._begin(calls[0].kind, calls[0].host, calls[0]))
                asked = self._question(calls[-1], chance)
                calls[-1].stage = "request"
                under_way[client.ask(PATH, json.dumps(asked).encode())] = (calls[-1], asked)
            client.flush()
            while client.open:
                for stream in client.read():
                    call, asked = under_way[stream]
                    call.stage = "answer"
                    self._check(call, asked, client.statuses[stream], client.bodies[stream])
                    self._end(call, wire)
            if self._stop.is_set() or not client.stays(chance.uniform(0, LONGEST_PAUSE_S)):
                return

    @staticmethod
    def _question(call, chance):
        asked = {"model": f"{origins.PREFIX}{call.number}", "fill": 20,
                 "messages": [{"role": "user", "content": "?"}]}
        if call.kind == "slow reader":
            asked["fill"] = chance.randint(300_000, 3_000_000)
        if call.kind == "stream" or (call.kind in ("kept", "h2") and chance.random() < 0.3):
            asked |= {"stream": True, "stream_options": {"include_usage": True},
                      "events": chance.randint(3, 40 if call.kind == "stream" else 12),
                      "pace": chance.uniform(0.0, 0.1)}
        return asked

    def _ask(self, wire, call, chance):
        asked = self._question(call, chance)
        call.stage = "request"
        wire.send(http1.request_bytes("POST", PATH, call.host, json.dumps(asked).encode(),
                                      [("Content-Type", "application/json"),
                                       ("Authorization", "Bearer chaos")]))
        if call.kind == "slow reader":
            time.sleep(chance.uniform(0.2, 2.0))
        answer = http1.read_response(wire, "POST")
        call.stage = "answer"
        self._check(call, asked, answer.status, answer.body)

    @staticmethod
    def _check(call, asked, status, body):
        if status != 200 or f'"chatcmpl-{call.number}"'.encode() not in body:
            raise Broken(f"wrong answer: {status}")
        if "stream" in asked:
            words = body.count(b'"content"')
            if words != asked["events"] or not body.endswith(b"data: [DONE]\n\n"):
                raise Broken(f"{words} events of {asked['events']}")

    @staticmethod
    def _echo(wire, call, chance):
        call.stage = "answer"
        for _ in range(chance.randint(1, 12)):
            data = chance.randbytes(chance.choice((10, 1000, 70_000)))
            wire.send(data)
            if wire.recv_exact(len(data)) != data:
                raise Broken("the echo is not what was sent")
            time.sleep(chance.uniform(0, 0.2))
        wire.half_close()
        if wire.recv_all():
            raise Broken("more than was sent")

