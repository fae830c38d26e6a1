"""The simulated provider's end of an HTTP/2 connection, on python3-h2."""

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

import codings


class Connection:
    """Reads one client; what the flow-control windows do not let out yet is queued by stream."""

    def __init__(self, answer, wire, table_size=4096):
        """answer(headers, body) -> provider_answers.Answer"""
        self._answer_of, self._wire = answer, wire
        self._h2 = h2.connection.H2Connection(
            config=h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._table_size = table_size
        self._requests = {}  # stream: (headers, body)
        self._queues = {}    # stream: bytes still to send
        self._held = {}      # the same, until the client asks for /release

    def serve(self):
        self._h2.initiate_connection()
        self._h2.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: self._table_size})
        self._wire.send(self._h2.data_to_send())
        while data := self._wire.recv():
            try:
                events = self._h2.receive_data(data)
            except h2.exceptions.ProtocolError:
                self._wire.send(self._h2.data_to_send())  # GOAWAY
                self._wire.half_close()
                self._wire.recv_all()
                return
            for event in events:
                self._on(event)
            for stream in list(self._queues):
                self._send_some(stream)
            if out := self._h2.data_to_send():
                self._wire.send(out)

    def _on(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self._requests[event.stream_id] = (dict(event.headers), bytearray())
        elif isinstance(event, h2.events.DataReceived):
            self._requests[event.stream_id][1].extend(event.data)
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self._answer(event.stream_id, *self._requests.pop(event.stream_id))
        elif isinstance(event, h2.events.StreamReset):
            self._requests.pop(event.stream_id, None)
            self._queues.pop(event.stream_id, None)
            self._held.pop(event.stream_id, None)

    def _answer(self, stream, headers, body):
        if headers[":path"] == "/release":
            for held, rest in self._held.items():
                self._queues[held] = self._queues.get(held, b"") + rest
            self._held.clear()
            return self._h2.send_headers(stream, [(":status", "204")], end_stream=True)
        answer = self._answer_of(headers, bytes(body))
        encoding = "gzip" if "gzip" in headers.get("accept-encoding", "") else "identity"
        encoder = codings.ENCODERS[encoding]()
        pieces = [encoder.event(part) for part in
                  (answer.events if answer.events is not None else [answer.body])]
        told = [(":status", str(answer.status)), ("content-type", answer.content_type),
                *answer.headers]
        if encoding != "identity":
            told.append(("content-encoding", encoding))
        self._h2.send_headers(stream, told)
        # x-sim-hold leaves the stream open behind its first half, until the client cancels it or asks
        # for /release.
        whole = b"".join(pieces) + encoder.end()
        if "x-sim-hold" in headers:
            self._held[stream] = whole[len(whole) // 2:]
            whole = whole[:len(whole) // 2]
        self._queues[stream] = whole

    def _send_some(self, stream):
        rest = self._queues[stream]
        size = min(len(rest), self._h2.local_flow_control_window(stream),
                   self._h2.max_outbound_frame_size)
        while size > 0:  # a window can be below zero (RFC 9113 6.9.2)
            self._h2.send_data(stream, rest[:size])
            rest = rest[size:]
            size = min(len(rest), self._h2.local_flow_control_window(stream),
                       self._h2.max_outbound_frame_size)
        self._queues[stream] = rest
        if not rest:
            if stream not in self._held:
                self._h2.end_stream(stream)
            del self._queues[stream]
