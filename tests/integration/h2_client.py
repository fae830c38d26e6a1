"""An HTTP/2 client for tests, on python3-h2, to hold, cancel and interleave streams at will."""

import h2.connection
import h2.events

import calls


class Client:
    """One connection over a wire that has agreed on h2. `bodies` by stream; `open`: not ended yet."""

    def __init__(self, wire):
        self.wire, self.h2 = wire, h2.connection.H2Connection()
        self.bodies, self.open = {}, set()
        self.released = None
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        if out := self.h2.data_to_send():
            self.wire.send(out)

    def post(self, body, headers=()):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", "POST"), (":scheme", "https"),
                                      (":authority", calls.HOST), (":path", calls.CHAT),
                                      ("content-type", "application/json"), *headers])
        # In small pieces, so that uploads of several streams mix.
        for at in range(0, len(body), 20):
            self.h2.send_data(stream, body[at:at + 20])
        self.h2.end_stream(stream)
        self.bodies[stream] = b""
        self.open.add(stream)
        return stream

    def release(self):
        """Lets the streams that H2Origin holds go on."""
        self.released = self.h2.get_next_available_stream_id()
        self.h2.send_headers(self.released, [(":method", "GET"), (":scheme", "https"),
                                             (":authority", calls.HOST), (":path", "/release")],
                             end_stream=True)
        self.bodies[self.released] = b""
        self.open.add(self.released)
        self.flush()

    def read_until(self, condition):
        while not condition():
            data = self.wire.recv()
            assert data, "the connection ended too soon"
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    self.bodies[event.stream_id] += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length,
                                                      event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self.open.discard(event.stream_id)
            self.flush()
