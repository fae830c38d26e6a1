"""RFC 6455 for tests, both ends, over a wire.Wire: handshake, frames, permessage-deflate."""

import base64
import hashlib
import json
import os
import struct
import zlib

import http1

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_DEFLATE = "permessage-deflate"


class WebSocket:
    def __init__(self, wire, client, deflate=False):
        self.wire, self.client, self.deflate = wire, client, deflate
        self._packer = zlib.compressobj(wbits=-15)
        self._unpacker = zlib.decompressobj(wbits=-15)

    def send_frame(self, opcode, payload=b"", fin=True, rsv1=False):
        first = opcode | (0x80 if fin else 0) | (0x40 if rsv1 else 0)
        mask_bit = 0x80 if self.client else 0
        if len(payload) < 126:
            head = struct.pack("!BB", first, mask_bit | len(payload))
        elif len(payload) < 65536:
            head = struct.pack("!BBH", first, mask_bit | 126, len(payload))
        else:
            head = struct.pack("!BBQ", first, mask_bit | 127, len(payload))
        if self.client:
            key = os.urandom(4)
            payload = bytes(byte ^ key[n % 4] for n, byte in enumerate(payload))
            head += key
        self.wire.send(head + payload)

    def send(self, message, fragments=1):
        payload = message.encode() if isinstance(message, str) else json.dumps(message).encode()
        if self.deflate:
            payload = self._packer.compress(payload) + self._packer.flush(zlib.Z_SYNC_FLUSH)
            payload = payload[:-4]
        size = len(payload) // fragments + 1
        for n in range(fragments):
            if n:
                self.send_frame(PING, b"still here")
            self.send_frame(0 if n else TEXT, payload[n * size:(n + 1) * size],
                            fin=n + 1 == fragments, rsv1=self.deflate and n == 0)

    def close(self, code=1000):
        self.send_frame(CLOSE, struct.pack("!H", code))

    def recv(self):
        """The next message as JSON; None at a close frame. Pings are passed over."""
        text = self.recv_text()
        return None if text is None else json.loads(text)

    def recv_text(self):
        whole, packed = b"", False
        while True:
            first, second = self.wire.recv_exact(2)
            size = second & 0x7F
            if size > 125:
                size = int.from_bytes(self.wire.recv_exact(2 if size == 126 else 8), "big")
            key = self.wire.recv_exact(4) if second & 0x80 else bytes(4)
            assert bool(second & 0x80) != self.client
            payload = bytes(byte ^ key[n % 4]
                            for n, byte in enumerate(self.wire.recv_exact(size)))
            opcode = first & 0x0F
            if opcode == CLOSE:
                return None
            if opcode in (PING, PONG):
                continue
            packed = packed or bool(first & 0x40)
            whole += payload
            if first & 0x80:
                break
        if packed:
            whole = self._unpacker.decompress(whole + b"\x00\x00\xff\xff")
        return whole.decode()


def accept(wire, deflate=True, headers=(), request=None):
    """The origin's end: answers 101, and agrees to compression if it was offered and is wanted."""
    request = request or http1.read_request(wire)
    key = request.header("Sec-WebSocket-Key")
    token = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
    agreed = deflate and _DEFLATE in (request.header("Sec-WebSocket-Extensions") or "")
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Accept: {token}", *(f"{name}: {value}" for name, value in headers)]
    if agreed:
        lines.append(f"Sec-WebSocket-Extensions: {_DEFLATE}")
    wire.send(("\r\n".join(lines) + "\r\n\r\n").encode())
    return WebSocket(wire, client=False, deflate=agreed)


def ask(wire, host, target, deflate=True, headers=()):
    """The client's handshake; returns the head of the answer."""
    offer = [("Sec-WebSocket-Extensions", f"{_DEFLATE}; client_max_window_bits")] if deflate else []
    wire.send(http1.request_bytes("GET", target, host, b"", [
        ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode()), *offer, *headers]))
    return http1.Message(wire.recv_until(b"\r\n\r\n"))


def connect(wire, host, target, deflate=True, headers=()):
    answer = ask(wire, host, target, deflate, headers)
    assert answer.status == 101, answer.head
    agreed = _DEFLATE in (answer.header("Sec-WebSocket-Extensions") or "")
    return WebSocket(wire, client=True, deflate=agreed)
