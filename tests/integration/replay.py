"""Golden samples over real connections: an origin that replays them, and the client of each transport.

Both ends know the sample: the client names it in a header, the origin looks it up. `Replay` is the
handler of a ScriptedOrigin; `exchange_*` make one call over a wire that has its TLS already.
"""

import threading

import h2.events
import h2.settings

import golden
import h2_peer
import http1
import websocket
import wire as wires

DEFLATE = "permessage-deflate"


class Replay:
    """framing: of HTTP/1.1 answers, `sized` (a length for JSON, chunks for streams) or `close` (the
    body goes to the end of the connection)."""

    def __init__(self, framing="sized"):
        self._framing = framing
        self._samples = {sample.name: sample for sample in golden.load_all()}
        # Rude ends wait until the client has read what was sent, so that each run is the same.
        self.read_whole = {name: threading.Event() for name in self._samples}

    def __call__(self, wire):
        if wire.alpn == "h2":
            self._serve_h2(h2_peer.Peer(wire, client=False, settings={
                h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}))
        else:
            self._serve_h1(wire)

    def answer_bytes(self, sample):
        """The HTTP/1.1 answer, whole or as far as the case goes."""
        stream = "event-stream" in sample.meta["content_type"] or len(sample.pieces()) > 3
        headers = list(sample.response_headers)
        body = sample.response
        if self._framing == "close":
            headers.append(("connection", "close"))
        elif stream or sample.end != "complete":
            headers.append(("transfer-encoding", "chunked"))
            body = http1.chunked(body, [len(piece) for piece in sample.pieces()])
            if sample.end != "complete":
                body = body[:-len(b"0\r\n\r\n")]
        else:
            headers.append(("content-length", str(len(body))))
        lines = [f"HTTP/1.1 {sample.meta['http_status']} Replayed",
                 *(f"{name}: {value}" for name, value in headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    # --- HTTP/1.1 --------------------------------------------------------------------------
    def _serve_h1(self, wire):
        while (head := _peek_head(wire)) is not None:
            sample = self._samples[http1.Message(head).header("x-sample")]
            if sample.is_socket:
                socket = websocket.accept(wire, headers=sample.response_headers)
                _play(socket, sample, client=False)
                break
            http1.read_request(wire)
            whole = self.answer_bytes(sample)
            for at in range(0, len(whole), 900):  # TLS records and segments of their own
                wire.send(whole[at:at + 900])
            if sample.end != "complete":
                self.read_whole[sample.name].wait(60)
                if sample.end == "reset":
                    return wire.reset()
                if sample.end == "client_abort":
                    return wire.recv_all()
            if sample.end == "eof_early" or self._framing == "close":
                break
        wire.half_close()
        return wire.recv_all()

    # --- HTTP/2 ----------------------------------------------------------------------------
    def _serve_h2(self, peer):
        asked = {}
        while (event := peer.next_event()) is not None:
            if isinstance(event, h2.events.RequestReceived):
                headers = dict(event.headers)
                asked[event.stream_id] = sample = self._samples[headers["x-sample"]]
                if sample.is_socket:
                    self._accept_h2(peer, event.stream_id, headers, sample)
            elif isinstance(event, h2.events.StreamEnded):
                sample = asked.pop(event.stream_id)
                if not sample.is_socket:
                    self._answer_h2(peer, event.stream_id, sample)
                if sample.end == "eof_early":
                    break
        peer.wire.half_close()
        peer.wire.recv_all()

    def _answer_h2(self, peer, stream, sample):
        peer.send_headers(stream, [(":status", str(sample.meta["http_status"])),
                                   *sample.response_headers])
        pieces = sample.pieces()
        for at, piece in enumerate(pieces):
            last = at + 1 == len(pieces) and sample.end == "complete"
            peer.send_data(stream, piece, end=last, pad=at % 3 * 40 or None)
        if sample.end == "complete":
            return
        self.read_whole[sample.name].wait(60)
        if sample.end == "reset":
            peer.h2.reset_stream(stream, 2)
            peer.flush()

    @staticmethod
    def _accept_h2(peer, stream, headers, sample):
        assert (headers[":method"], headers[":protocol"]) == ("CONNECT", "websocket")
        deflate = DEFLATE in headers.get("sec-websocket-extensions", "")
        agreed = [("sec-websocket-extensions", DEFLATE)] if deflate else []
        peer.send_headers(stream, [(":status", "200"), *sample.response_headers, *agreed])
        _play(websocket.WebSocket(h2_peer.StreamWire(peer, stream), client=False,
                                  deflate=deflate), sample, client=False)
        peer.send_data(stream, b"", end=True)


def _peek_head(wire):
    """The next request's head, left where it is; None at the end."""
    try:
        head = wire.recv_until(b"\r\n\r\n")
    except wires.EndOfStream:
        return None
    wire.unread(head)
    return head


def _play(socket, sample, client):
    """One end of the conversation, in the order of the case; then both close in good order."""
    for by_client, text in sample.messages:
        if by_client == client:
            socket.send(text, fragments=1 + len(text) % 3)
        else:
            assert socket.recv_text() == text
    if client:
        socket.close()
        assert socket.recv_text() is None
    else:
        assert socket.recv_text() is None
        socket.close()


# --- clients -----------------------------------------------------------------------------------
def exchange_h1(wire, sample, replay):
    """The client's end of one HTTP/1.1 exchange: every byte must be the origin's."""
    wire.send(http1.request_bytes(sample.meta["method"], sample.meta["path"], sample.host,
                                  sample.request, sample.request_headers))
    wanted = replay.answer_bytes(sample)
    assert wire.recv_exact(len(wanted)) == wanted
    replay.read_whole[sample.name].set()


def ask_h2(peer, sample):
    """Sends the request on a new stream; returns its id."""
    stream = peer.h2.get_next_available_stream_id()
    peer.send_headers(stream, [(":method", sample.meta["method"]), (":scheme", "https"),
                               (":authority", sample.host), (":path", sample.meta["path"]),
                               *sample.request_headers], end=not sample.request)
    if sample.request:
        half = len(sample.request) // 2
        peer.send_data(stream, sample.request[:half], pad=9)
        peer.send_data(stream, sample.request[half:], end=True)
    return stream


def read_h2(peer, stream, sample, replay):
    answer = peer.next_event(h2.events.ResponseReceived, stream)
    assert dict(answer.headers) == {":status": str(sample.meta["http_status"]),
                                    **dict(sample.response_headers)}
    assert peer.body(stream, len(sample.response)) == sample.response
    replay.read_whole[sample.name].set()
    if sample.end == "complete":
        assert peer.next_event(h2.events.StreamEnded, stream)
    elif sample.end == "reset":
        assert peer.next_event(h2.events.StreamReset, stream).error_code == 2
    elif sample.end == "client_abort":
        peer.h2.reset_stream(stream, 8)
        peer.flush()


def talk_h1(wire, sample, deflate):
    _play(websocket.connect(wire, sample.host, sample.meta["path"], deflate,
                            [header for header in sample.request_headers]), sample, client=True)


def talk_h2(peer, sample, deflate):
    """A WebSocket by extended CONNECT (RFC 8441)."""
    while not peer.h2.remote_settings.enable_connect_protocol:
        assert peer.pump()
    stream = peer.h2.get_next_available_stream_id()
    offer = [("sec-websocket-extensions", DEFLATE)] if deflate else []
    peer.send_headers(stream, [(":method", "CONNECT"), (":protocol", "websocket"),
                               (":scheme", "https"), (":authority", sample.host),
                               (":path", sample.meta["path"]), ("sec-websocket-version", "13"),
                               *offer, *sample.request_headers])
    answer = peer.next_event(h2.events.ResponseReceived, stream)
    assert dict(answer.headers)[":status"] == "200"
    _play(websocket.WebSocket(h2_peer.StreamWire(peer, stream), client=True, deflate=deflate),
          sample, client=True)
    peer.send_data(stream, b"", end=True)
    assert peer.next_event(h2.events.StreamEnded, stream)
