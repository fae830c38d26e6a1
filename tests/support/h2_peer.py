"""One end of an HTTP/2 connection on python3-h2 over a wire.Wire: events go where a test wants them."""

import h2.config
import h2.connection
import h2.events
import h2.settings


class Peer:
    """`events` are those not yet taken; DATA is acknowledged at once, windows are h2's defaults."""

    def __init__(self, wire, client, settings=None, strict=False):
        """strict: heads are held to the rules; extended CONNECT breaks those this version knows."""
        self.wire = wire
        self.h2 = h2.connection.H2Connection(config=h2.config.H2Configuration(
            client_side=client, header_encoding="utf-8",
            validate_inbound_headers=strict, validate_outbound_headers=strict))
        self.events = []
        self.h2.initiate_connection()
        if settings:
            self.h2.update_settings(settings)
        self.flush()

    def flush(self):
        if out := self.h2.data_to_send():
            self.wire.send(out)

    def pump(self):
        """One read; False at the end of the connection."""
        data = self.wire.recv()
        if not data:
            return False
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.events.append(event)
        self.flush()
        return True

    def next_event(self, kind=None, stream=None):
        """The oldest event of this kind and stream, waited for; None at the connection's end."""
        while True:
            for at, event in enumerate(self.events):
                if (kind is None or isinstance(event, kind)) and \
                        stream in (None, getattr(event, "stream_id", None)):
                    return self.events.pop(at)
            if not self.pump():
                return None

    def send_headers(self, stream, headers, end=False):
        self.h2.send_headers(stream, headers, end_stream=end)
        self.flush()

    def send_data(self, stream, data, end=False, pad=None):
        """Cut to the peer's frame size; the caller keeps within the flow-control window."""
        size = self.h2.max_outbound_frame_size - 256
        for at in range(0, max(1, len(data)), size):
            last = at + size >= len(data)
            self.h2.send_data(stream, data[at:at + size], end_stream=end and last,
                              pad_length=pad)
        self.flush()

    def body(self, stream, size=None):
        """DATA of a stream: up to its end, or so many bytes."""
        whole = b""
        while size is None or len(whole) < size:
            event = self.next_event((h2.events.DataReceived, h2.events.StreamEnded,
                                     h2.events.StreamReset), stream)
            if not isinstance(event, h2.events.DataReceived):
                break
            whole += event.data
        return whole


class StreamWire:
    """A stream as a wire.Wire, as far as websocket.WebSocket needs one."""

    def __init__(self, peer, stream):
        self._peer, self._stream, self._buffer = peer, stream, b""

    def send(self, data):
        self._peer.send_data(self._stream, data)

    def recv_exact(self, size):
        while len(self._buffer) < size:
            event = self._peer.next_event(h2.events.DataReceived, self._stream)
            if event is None:
                raise EOFError("the connection ended inside a message")
            self._buffer += event.data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data
