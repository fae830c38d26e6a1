"""HTTP/2 frames by hand, for clients that break the rules, and what came back as plain data."""

import hashlib
import ssl
import struct

import hpack

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PROBE = b"probe me"
NAMES = ("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
         "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
         "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED")


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """length: a lie about the payload's."""
    size = len(payload) if length is None else length
    return struct.pack("!I", size)[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def settings(*pairs, flags=0):
    return frame(SETTINGS, flags, 0, b"".join(struct.pack("!HI", *pair) for pair in pairs))


def number(value):
    return struct.pack("!I", value)


def name_of(code):
    return NAMES[code] if code < len(NAMES) else f"0x{code:x}"


class Connection:
    """One client connection. `frames` are the frames that came; `closed` how it ended, or None."""

    def __init__(self, wire, authority, path):
        self.wire, self.authority, self.path = wire, authority, path
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.frames, self.closed = [], False
        self._buffer, self._finished, self._heads = b"", set(), {}

    # --- saying ----------------------------------------------------------------------------
    def send(self, *frames):
        """All of it in one TLS record, when it fits: the origin reads it in one piece."""
        try:
            self.wire.send(b"".join(frames))
        except (OSError, ssl.SSLError):
            pass  # it has closed already: the reader will see that

    def open(self, *pairs):
        """Preface and settings, acknowledged: what an origin says of a fault must not depend on
        whether it has read that far already."""
        self.send(PREFACE, settings(*pairs))
        self.wait_for(SETTINGS, ACK)
        self.send(settings(flags=ACK))

    def block(self, *more, drop=(), **pseudo):
        """A header block. `pseudo`: other values of pseudo headers, by name without the colon."""
        values = {"method": "GET", "scheme": "https", "authority": self.authority,
                  "path": self.path} | pseudo
        headers = [(f":{name}", value) for name, value in values.items() if name not in drop]
        return self.encoder.encode(headers + list(more), huffman=False)

    def request(self, stream, *more, end=True, **pseudo):
        flags = END_HEADERS | (END_STREAM if end else 0)
        return frame(HEADERS, flags, stream, self.block(*more, **pseudo))

    # --- hearing ---------------------------------------------------------------------------
    def wait(self, *streams):
        """Until these streams have ended, or the connection has."""
        self._read_until(lambda: self._finished.issuperset(streams))

    def wait_for(self, kind, flags=0):
        self._read_until(lambda: any(one[0] == kind and one[1] & flags == flags
                                     for one in self.frames))

    def probe(self):
        """A PING, and everything up to its answer: is the connection still alive?"""
        self.send(frame(PING, 0, 0, PROBE))
        self._read_until(lambda: any(one[0] == PING and one[1] & ACK and one[3] == PROBE
                                     for one in self.frames))

    def _read_until(self, condition):
        while not condition() and not self.closed:
            try:
                data = self.wire.recv()
            except ssl.SSLError:
                data = b""
            self._buffer += data
            self.closed = not data
            self._cut()

    def _cut(self):
        while len(self._buffer) >= 9:
            size = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < 9 + size:
                return
            kind, flags = self._buffer[3], self._buffer[4]
            stream = int.from_bytes(self._buffer[5:9], "big") & 0x7FFFFFFF
            payload, self._buffer = self._buffer[9:9 + size], self._buffer[9 + size:]
            if kind in (HEADERS, CONTINUATION):
                payload = self._head(flags, stream, payload)
            self.frames.append((kind, flags, stream, payload))
            if kind == RST or (kind in (DATA, HEADERS) and flags & END_STREAM):
                self._finished.add(stream)

    def _head(self, flags, stream, payload):
        """Header lists stand for their blocks: a date in them would be another one next second."""
        if flags & PADDED:
            payload = payload[1:len(payload) - payload[0]]
        if flags & WITH_PRIORITY:
            payload = payload[5:]
        whole = self._heads.pop(stream, b"") + payload
        if not flags & END_HEADERS:
            self._heads[stream] = whole
            return []
        return [pair for pair in self.decoder.decode(whole) if pair[0] != "date"]

    # --- what it amounts to ----------------------------------------------------------------
    def outcome(self):
        """Comparable: every frame by stream and in order, DATA joined, window updates left out."""
        told = {}
        for kind, flags, stream, payload in self.frames:
            lines = told.setdefault(stream, [])
            end = " END" if kind in (DATA, HEADERS) and flags & END_STREAM else ""
            if kind == DATA:
                if lines and lines[-1][0] == "DATA":
                    lines[-1] = ("DATA", lines[-1][1] + payload, end)
                else:
                    lines.append(("DATA", payload, end))
            elif kind == HEADERS:
                lines.append(("HEADERS", tuple(payload), end))
            elif kind in (RST, GOAWAY):
                code = int.from_bytes(payload[:4] if kind == RST else payload[4:8], "big")
                last = "" if kind == RST else f" last={int.from_bytes(payload[:4], 'big')}"
                lines.append(("RST" if kind == RST else "GOAWAY", name_of(code) + last, ""))
            elif kind != WINDOW:
                lines.append((f"frame {kind}/{flags}", payload, ""))
        return told, bool(self.closed)

    def summary(self):
        """One line for people."""
        told, closed = self.outcome()
        words = []
        for stream in sorted(told):
            for what, value, end in told[stream]:
                if what == "DATA":
                    words.append(f"{stream}:{len(value)}B#{hashlib.sha1(value).hexdigest()[:4]}")
                elif what == "HEADERS":
                    words.append(f"{stream}:{dict(value).get(':status', 'trailers')}")
                elif what in ("RST", "GOAWAY"):
                    words.append(f"{stream}:{what} {value.split(' ')[0]}" if stream else
                                 f"{what} {value}")
        acks = sum(1 for one in self.frames if one[0] in (SETTINGS, PING) and one[1] & ACK)
        return ", ".join([*words, f"{acks} acks", "closed" if closed else "alive"])

    def verdict(self, expected):
        """Has the origin done what the RFC asks? The words are h2_cases'."""
        told, closed = self.outcome()
        goaway = any(line[0] == "GOAWAY" and not line[1].startswith("NO_ERROR")
                     for line in told.get(0, []))
        connection = closed or goaway
        reset = any(line[0] == "RST" for lines in told.values() for line in lines)
        statuses = [dict(line[1]).get(":status") for lines in told.values() for line in lines
                    if line[0] == "HEADERS"]
        if expected == "connection":
            return connection
        if expected == "stream":  # a stream error may be told as a 4xx, or as a connection error
            return connection or reset or any(s and s.startswith("4") for s in statuses)
        if expected == "answer and close":
            return closed and not reset and any(s and s.startswith("2") for s in statuses)
        if expected == "answer":
            return not connection and not reset and any(s and s.startswith("2") for s in statuses)
        return not connection and not goaway
