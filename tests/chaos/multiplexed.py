"""HTTP/2 in the chaos suite, on python3-h2: a client whose calls share a connection at the same time,
and the provider's end of it. Answers are small enough for the windows that both begin with."""

import contextlib
import select
import ssl
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions

import wire as wires


class Client:
    """`bodies` by stream, `open` those that have not ended. One thread uses it."""

    def __init__(self, wire, host):
        self._wire, self._host = wire, host
        self._h2 = h2.connection.H2Connection()
        self._h2.initiate_connection()
        self._terminated = False
        self.bodies, self.statuses, self.open = {}, {}, set()

    def ask(self, path, body):
        stream = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream, [(":method", "POST"), (":scheme", "https"),
                                       (":authority", self._host), (":path", path),
                                       ("content-type", "application/json"),
                                       ("authorization", "Bearer chaos")])
        self._h2.send_data(stream, body, end_stream=True)
        self.bodies[stream] = b""
        self.open.add(stream)
        return stream

    def flush(self):
        if out := self._h2.data_to_send():
            self._wire.send(out)

    def read(self):
        """What comes next; the streams that ended with it."""
        data = self._wire.recv()
        if not data:
            raise wires.EndOfStream(f"the end with {len(self.open)} streams open "
                                    f"({self._wire.eof})", b"")
        ended = []
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self.statuses[event.stream_id] = int(dict(event.headers)[b":status"])
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] += event.data
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.open.discard(event.stream_id)
                ended.append(event.stream_id)
            elif isinstance(event, h2.events.ConnectionTerminated):
                self._terminated = True
        self.flush()
        return ended

    def stays(self, seconds):
        """Nothing is asked for so long. False: the other side has hung up meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._terminated:
            if select.select([self._wire.sock], [], [], left)[0]:
                try:
                    self.read()
                except (OSError, wires.EndOfStream):
                    return False
        return not self._terminated


class Server:
    """answer(asked body, send) is called in a thread of each stream; send(bytes)."""

    def __init__(self, wire, answer):
        self._wire, self._answer = wire, answer
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._lock = threading.Lock()

    def serve(self):
        self._h2.initiate_connection()
        self._flush()
        bodies = {}
        while data := self._wire.recv():
            with self._lock:
                for event in self._h2.receive_data(data):
                    if isinstance(event, h2.events.DataReceived):
                        bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                        self._h2.acknowledge_received_data(event.flow_controlled_length,
                                                           event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        threading.Thread(target=self._serve_one, daemon=True, args=(
                            event.stream_id, bodies.pop(event.stream_id))).start()
                self._flush()

    def _flush(self):
        if out := self._h2.data_to_send():
            self._wire.send(out)

    def _serve_one(self, stream, body):
        def send(data):
            with self._lock:
                self._h2.send_data(stream, data)
                self._flush()
        with contextlib.suppress(OSError, ssl.SSLError, h2.exceptions.ProtocolError):
            with self._lock:
                self._h2.send_headers(stream, [(":status", "200"),
                                               ("content-type", "application/json")])
            self._answer(body, send)
            with self._lock:
                self._h2.end_stream(stream)
                self._flush()
