"""The little HTTP/1.1 that clients and origins of the tests need: heads and bodies, byte exact."""

import dataclasses

import wire as wires


@dataclasses.dataclass
class Message:
    """One request or response. `raw` is every byte of it, `body` the payload without framing."""

    head: bytes
    body: bytes = b""
    raw_body: bytes = b""
    trailers: bytes = b""

    @property
    def first_line(self):
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def status(self):
        return int(self.first_line.split(" ")[1])

    @property
    def method(self):
        return self.first_line.split(" ")[0]

    @property
    def target(self):
        return self.first_line.split(" ")[1]

    @property
    def raw(self):
        return self.head + self.raw_body

    def header(self, name, default=None):
        wanted = name.lower().encode()
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == wanted:
                return value.strip().decode("latin-1")
        return default


def read_chunked(wire):
    """(payload, every byte as it came, trailers)."""
    raw, payload = bytearray(), bytearray()
    while True:
        line = wire.recv_until(b"\r\n")
        raw += line
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        chunk = wire.recv_exact(size + 2)
        raw += chunk
        payload += chunk[:-2]
    trailers = bytearray()
    while True:
        line = wire.recv_until(b"\r\n")
        raw += line
        if line == b"\r\n":
            return bytes(payload), bytes(raw), bytes(trailers)
        trailers += line


def read_body(wire, message, to_end):
    if "chunked" in (message.header("Transfer-Encoding") or "").lower():
        message.body, message.raw_body, message.trailers = read_chunked(wire)
    elif (length := message.header("Content-Length")) is not None:
        message.body = message.raw_body = wire.recv_exact(int(length))
    elif to_end:
        message.body = message.raw_body = wire.recv_all()
    return message


def read_request(wire, on_expect=None):
    """The next request; None when the client ended between two of them. `on_expect` is called
    before the body of a request that waits for 100 (RFC 9110 10.1.1)."""
    try:
        head = wire.recv_until(b"\r\n\r\n")
    except wires.EndOfStream as end:
        if end.args[1] == b"":
            return None
        raise
    message = Message(head)
    if on_expect and (message.header("Expect") or "").lower() == "100-continue":
        on_expect()
    return read_body(wire, message, to_end=False)


def read_response(wire, method="GET"):
    """The next response, interim ones included (they have no body)."""
    message = Message(wire.recv_until(b"\r\n\r\n"))
    if method == "HEAD" or message.status < 200 or message.status in (204, 304):
        return message
    return read_body(wire, message, to_end=True)


def request_bytes(method, target, host, body=b"", headers=()):
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body and not any(name.lower() in ("content-length", "transfer-encoding")
                        for name, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def chunked(data, sizes):
    """`data` in chunked framing, cut into pieces of the given sizes (repeated)."""
    out, at, turn = bytearray(), 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        piece = data[at:at + size]
        out += b"%x\r\n" % len(piece) + piece + b"\r\n"
        at += size
        turn += 1
    return bytes(out + b"0\r\n\r\n")
