"""HTTP/2 cases of a client that keeps the rules of RFC 9113 and 7541, stretches or breaks them.

Each is a function of an h2_raw.Connection; `expected` is what the RFC asks of the origin: answer (a
response), "answer and close", alive (the connection goes on), stream (a stream error), connection (a
connection error).
"""

import struct

import h2_raw as raw
from h2_raw import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING,
                    PRIORITY, PUSH, RST, SETTINGS, WINDOW, WITH_PRIORITY, frame, number, settings)

CASES = []
TABLE, ENABLE_PUSH, STREAMS, WINDOW_SIZE, FRAME_SIZE, HEAD_SIZE = range(1, 7)


def case(section, what, expected):
    def enter(function):
        CASES.append((f"{section} {what}", expected, function))
        return function
    return enter


def simple(section, what, expected, *frames, streams=()):
    """After the opening these frames, then wait for these streams."""
    def run(c):
        c.open()
        c.send(*(one(c) if callable(one) else one for one in frames))
        c.wait(*streams)
    case(section, what, expected)(run)


# --- 3.4, 4.1: opening and frame format ----------------------------------------------------------
simple("3.4", "a request", "answer", lambda c: c.request(1), streams=[1])
simple("4.1", "unknown frame types", "answer", frame(0xBB, 0xFF, 0, b"?" * 100),
       lambda c: c.request(1, end=False), frame(0xBC, 0, 1, b"x"),
       frame(DATA, END_STREAM, 1, b""), streams=[1])
simple("4.1", "undefined flags", "answer", frame(PING, 0xFE & ~ACK, 0, b"12345678"),
       lambda c: frame(HEADERS, 0xC2 | END_HEADERS | END_STREAM, 1, c.block()), streams=[1])
simple("4.1", "the reserved bit of the stream identifier", "answer",
       lambda c: frame(HEADERS, END_HEADERS | END_STREAM, 1 | 1 << 31, c.block()), streams=[1])


@case("3.4", "no preface", "connection")
def _(c):
    c.send(b"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n" + b"x" * 64)


@case("3.4", "a preface with a wrong byte", "connection")
def _(c):
    c.send(raw.PREFACE[:-6] + b"SN\r\n\r\n", settings())


@case("3.4", "a preface cut byte by byte", "answer")
def _(c):
    for byte in raw.PREFACE + settings():
        c.send(bytes([byte]))
    c.send(c.request(1))
    c.wait(1)


@case("3.4", "no SETTINGS behind the preface", "connection")
def _(c):
    c.send(raw.PREFACE, c.request(1), frame(PING, 0, 0, b"12345678"))
    c.wait(1)


# --- 4.2, 4.3: sizes and header compression ------------------------------------------------------
simple("4.2", "DATA of the largest size", "answer", lambda c: c.request(1, end=False, method="POST"),
       frame(DATA, END_STREAM, 1, b"d" * 16384), streams=[1])
simple("4.2", "DATA one byte too large", "stream", lambda c: c.request(1, end=False, method="POST"),
       frame(DATA, END_STREAM, 1, b"d" * 16385), streams=[1])
simple("4.2", "HEADERS too large for a frame", "connection",
       lambda c: c.request(1, ("x-long", "h" * 17000)), streams=[1])
simple("4.3", "a header block that cannot be decoded", "connection",
       frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x40"), streams=[1])
simple("4.3", "PRIORITY between HEADERS and CONTINUATION", "connection",
       lambda c: frame(HEADERS, END_STREAM, 1, c.block()), frame(PRIORITY, 0, 1, b"\0\0\0\0\x0f"),
       frame(CONTINUATION, END_HEADERS, 1, b""), streams=[1])
simple("4.3", "HEADERS of another stream between HEADERS and CONTINUATION", "connection",
       lambda c: frame(HEADERS, END_STREAM, 1, c.block()), lambda c: c.request(3), streams=[1])
simple("7541 2.3.3", "an index beyond the table", "connection",
       lambda c: frame(HEADERS, END_HEADERS | END_STREAM, 1, c.block() + b"\xff\x81\x01"),
       streams=[1])
simple("7541 4.2", "a table size update at the end of a block", "connection",
       lambda c: frame(HEADERS, END_HEADERS | END_STREAM, 1, c.block() + b"\x21"), streams=[1])
simple("7541 5.2", "a string padded with more than seven bits", "connection",
       lambda c: frame(HEADERS, END_HEADERS | END_STREAM, 1,
                       c.block() + b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"), streams=[1])
simple("7541 5.2", "a string with Huffman's end mark", "connection",
       lambda c: frame(HEADERS, END_HEADERS | END_STREAM, 1,
                       c.block() + b"\x00\x85\xf2\xb2\x4a\x87\xff\xff\xff\xff\x83\x49\x51"),
       streams=[1])
simple("7541 6.1", "index 0", "connection",
       lambda c: frame(HEADERS, END_HEADERS | END_STREAM, 1, c.block() + b"\x80"), streams=[1])
simple("7541 6.3", "a table larger than was allowed", "connection",
       lambda c: frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x3f\xe1\xff\xff\x0f" + c.block()),
       streams=[1])


@case("7541 4.2", "the table emptied and used again", "answer")
def _(c):
    c.open()
    c.send(c.request(1, ("x-kept", "in the table")))
    c.wait(1)
    c.encoder.header_table_size = 0
    c.send(c.request(3, ("x-kept", "in the table")))
    c.wait(3)
    c.encoder.header_table_size = 4096
    c.send(c.request(5, ("x-kept", "in the table")), c.request(7, ("x-kept", "in the table")))
    c.wait(5, 7)


@case("7541 4.2", "the client's own table of size 0", "answer")
def _(c):
    c.open((TABLE, 0))
    for stream in (1, 3, 5):
        c.send(c.request(stream))
        c.wait(stream)


@case("7541 4.2", "the client's table larger, then smaller", "answer")
def _(c):
    c.decoder.max_allowed_table_size = 65536
    c.open((TABLE, 65536))
    c.send(c.request(1))
    c.wait(1)
    c.send(settings((TABLE, 100)))
    c.wait_for(SETTINGS, ACK)
    c.send(c.request(3), c.request(5))
    c.wait(3, 5)


# --- 5.1: the states of a stream -----------------------------------------------------------------
for kind, payload in ((DATA, b"x"), (RST, number(8)), (WINDOW, number(100)), (CONTINUATION, b"")):
    simple("5.1", f"idle: frame type {kind}", "connection", frame(kind, END_HEADERS if kind == CONTINUATION
                                                                  else 0, 1, payload))
for kind in (DATA, HEADERS, CONTINUATION):
    simple("5.1", f"half closed: frame type {kind}", "stream", lambda c: c.request(1),
           lambda c, kind=kind: c.request(1) if kind == HEADERS else
           frame(kind, END_HEADERS if kind == CONTINUATION else END_STREAM, 1, b""), streams=[1])
    @case("5.1", f"closed by RST_STREAM: frame type {kind}", "stream")
    def _(c, kind=kind):
        c.open()
        c.send(c.request(1, end=False), frame(RST, 0, 1, number(8)),
               c.request(1) if kind == HEADERS else
               frame(kind, END_HEADERS if kind == CONTINUATION else END_STREAM, 1, b""))

    @case("5.1", f"closed in order: frame type {kind}", "connection")
    def _(c, kind=kind):
        c.open()
        c.send(c.request(1))
        c.wait(1)
        c.send(c.request(1) if kind == HEADERS else
               frame(kind, END_HEADERS if kind == CONTINUATION else END_STREAM, 1, b""))
for kind, payload in ((WINDOW, number(5)), (PRIORITY, b"\0\0\0\0\x0f"), (RST, number(8))):
    @case("5.1", f"closed in order: frame type {kind} is let pass", "alive")
    def _(c, kind=kind, payload=payload):
        c.open()
        c.send(c.request(1))
        c.wait(1)
        c.send(frame(kind, 0, 1, payload))
simple("5.1.1", "an even stream identifier", "connection", lambda c: c.request(2), streams=[2])


@case("5.1.1", "a smaller stream identifier than before", "connection")
def _(c):
    c.open()
    c.send(c.request(5))
    c.wait(5)
    c.send(c.request(3))


@case("5.1.2", "as many streams as are allowed, at once", "answer")
def _(c):
    c.open()
    c.send(frame(WINDOW, 0, 0, number(1 << 20)))
    c.send(*(c.request(stream) for stream in range(1, 200, 2)))
    c.wait(*range(1, 200, 2))


@case("5.1.2", "more streams than are allowed", "stream")
def _(c):
    c.open((WINDOW_SIZE, 0))  # none of them can end
    c.send(*(c.request(stream) for stream in range(1, 300, 2)))
    c.wait_for(RST)


# --- 5.3 to 5.5, 6.1, 6.2, 6.3: priority, extensions, DATA, HEADERS, PRIORITY ---------------------
simple("5.3.1", "HEADERS that depend on themselves", "stream",
       lambda c: frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1,
                       number(1) + b"\x0f" + c.block()), streams=[1])
simple("5.3.1", "PRIORITY that depends on itself", "stream", lambda c: c.request(1, end=False),
       frame(PRIORITY, 0, 1, number(1) + b"\x0f"), frame(DATA, END_STREAM, 1, b""), streams=[1])
simple("5.5", "an unknown frame inside a header block", "connection",
       lambda c: frame(HEADERS, END_STREAM, 1, c.block()), frame(0xBB, 0, 0, b"?"),
       frame(CONTINUATION, END_HEADERS, 1, b""), streams=[1])
simple("6.1", "DATA on stream 0", "connection", frame(DATA, 0, 0, b"x"))
simple("6.1", "padded DATA", "answer", lambda c: c.request(1, end=False, method="POST"),
       frame(DATA, PADDED, 1, b"\x05hello" + b"\0" * 5),
       frame(DATA, PADDED, 1, b"\xff" + b"\0" * 255),
       frame(DATA, PADDED | END_STREAM, 1, b"\0end"), streams=[1])
simple("6.1", "DATA with more padding than payload", "connection",
       lambda c: c.request(1, end=False, method="POST"),
       frame(DATA, PADDED | END_STREAM, 1, b"\x06hello"), streams=[1])
simple("6.1", "padded DATA without a pad length", "connection",
       lambda c: c.request(1, end=False, method="POST"),
       frame(DATA, PADDED | END_STREAM, 1, b""), streams=[1])
simple("6.2", "padded HEADERS with priority", "answer",
       lambda c: frame(HEADERS, END_HEADERS | END_STREAM | PADDED | WITH_PRIORITY, 1,
                       b"\x10" + number(1 << 31) + b"\xff" + c.block() + b"\0" * 16), streams=[1])
simple("6.2", "HEADERS on stream 0", "connection",
       lambda c: frame(HEADERS, END_HEADERS | END_STREAM, 0, c.block()))
simple("6.2", "HEADERS with more padding than payload", "connection",
       lambda c: frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\xff" + c.block()),
       streams=[1])
simple("6.3", "PRIORITY of an idle stream", "answer", frame(PRIORITY, 0, 7, number(0) + b"\x0f"),
       lambda c: c.request(9), streams=[9])
simple("6.3", "PRIORITY on stream 0", "connection", frame(PRIORITY, 0, 0, number(1) + b"\x0f"))
simple("6.3", "PRIORITY of four bytes", "stream", lambda c: c.request(1, end=False),
       frame(PRIORITY, 0, 1, number(0)), streams=[1])

# --- 6.4, 6.5, 6.6, 6.7: RST_STREAM, SETTINGS, PUSH_PROMISE, PING --------------------------------
simple("6.4", "RST_STREAM on stream 0", "connection", frame(RST, 0, 0, number(8)))
simple("6.4", "RST_STREAM of three bytes", "connection", lambda c: c.request(1, end=False),
       frame(RST, 0, 1, b"\0\0\x08"), streams=[1])
simple("6.4", "RST_STREAM, then another request", "answer", lambda c: c.request(1, end=False),
       frame(RST, 0, 1, number(8)), lambda c: c.request(3), streams=[3])
simple("6.4", "RST_STREAM with an unknown code", "answer", lambda c: c.request(1, end=False),
       frame(RST, 0, 1, number(0xABCD)), lambda c: c.request(3), streams=[3])
simple("6.5", "SETTINGS acknowledged with a payload", "connection",
       frame(SETTINGS, ACK, 0, b"\0\x03\0\0\0\x01"))
simple("6.5", "SETTINGS on a stream", "connection", frame(SETTINGS, 0, 1, b""))
simple("6.5", "SETTINGS of three bytes", "connection", frame(SETTINGS, 0, 0, b"\0\x03\0"))
simple("6.5.2", "ENABLE_PUSH of 2", "connection", settings((ENABLE_PUSH, 2)))
simple("6.5.2", "INITIAL_WINDOW_SIZE above 2^31-1", "connection", settings((WINDOW_SIZE, 1 << 31)))
simple("6.5.2", "MAX_FRAME_SIZE below 16384", "connection", settings((FRAME_SIZE, 16383)))
simple("6.5.2", "MAX_FRAME_SIZE above 2^24-1", "connection", settings((FRAME_SIZE, 1 << 24)))
simple("6.5.2", "an unknown setting", "answer", settings((0xFF, 0xFFFFFFFF)),
       lambda c: c.request(1), streams=[1])
simple("6.5.3", "many SETTINGS", "answer", *[settings((STREAMS, n)) for n in range(1, 40)],
       lambda c: c.request(1), streams=[1])
simple("6.6", "PUSH_PROMISE from a client", "connection", lambda c: c.request(1, end=False),
       lambda c: frame(PUSH, END_HEADERS, 1, number(2) + c.block()), streams=[1])
simple("6.7", "a PING acknowledged with the same bytes", "alive", frame(PING, 0, 0, b"hi there"))
simple("6.7", "a PING that is an answer is not answered", "alive", frame(PING, ACK, 0, b"hi there"))
simple("6.7", "PING on a stream", "connection", frame(PING, 0, 1, b"hi there"))
simple("6.7", "PING of six bytes", "connection", frame(PING, 0, 0, b"hi the"))
simple("6.7", "500 PINGs in one go", "alive", frame(PING, 0, 0, b"flooding") * 500)

# --- 6.8, 6.9, 6.10: GOAWAY, WINDOW_UPDATE, CONTINUATION -----------------------------------------
simple("6.8", "GOAWAY on a stream", "connection", frame(GOAWAY, 0, 1, number(0) + number(0)))
simple("6.8", "a request, then GOAWAY", "answer and close", lambda c: c.request(1),
       frame(GOAWAY, 0, 0, number(0) + number(0) + b"bye"), streams=[1])
simple("6.9", "WINDOW_UPDATE of 0 for the connection", "connection", frame(WINDOW, 0, 0, number(0)))
simple("6.9", "WINDOW_UPDATE of 0 for a stream", "stream", lambda c: c.request(1, end=False),
       frame(WINDOW, 0, 1, number(0)), streams=[1])
simple("6.9", "WINDOW_UPDATE of three bytes", "connection", frame(WINDOW, 0, 0, b"\0\0\x01"))
simple("6.9.1", "the connection's window above 2^31-1", "connection",
       frame(WINDOW, 0, 0, number(0x7FFFFFFF)), frame(WINDOW, 0, 0, number(0x7FFFFFFF)))
simple("6.9.1", "a stream's window above 2^31-1", "stream", lambda c: c.request(1, end=False),
       frame(WINDOW, 0, 1, number(0x7FFFFFFF)) * 2, streams=[1])


@case("6.9.2", "answers byte by byte through a window of 1", "answer")
def _(c):
    c.open((WINDOW_SIZE, 1))
    c.send(c.request(1))
    c.wait_for(DATA)
    for size in range(2, 6):
        c.send(frame(WINDOW, 0, 1, number(size)))
    c.send(frame(WINDOW, 0, 1, number(100000)))
    c.wait(1)


@case("6.9.2", "the window below zero, then open again", "answer")
def _(c):
    c.open((WINDOW_SIZE, 10))
    c.send(c.request(1))
    c.wait_for(DATA)
    c.send(settings((WINDOW_SIZE, 0)))
    c.send(settings((WINDOW_SIZE, 50000)))
    c.wait(1)


@case("6.9.2", "INITIAL_WINDOW_SIZE that overflows an open window", "connection")
def _(c):
    c.open((WINDOW_SIZE, 0))
    c.send(c.request(1), frame(WINDOW, 0, 1, number(0x7FFFFFFF)), settings((WINDOW_SIZE, 1000)))


def continued(count, *, last=END_HEADERS, between=b"", stream=1):
    """HEADERS and `count` CONTINUATIONs that share one block."""
    def run(c):
        block = c.block(("x-long", "c" * 3000))
        cut = [block[n * len(block) // (count + 1):(n + 1) * len(block) // (count + 1)]
               for n in range(count + 1)]
        frames = [frame(HEADERS, END_STREAM, stream, cut[0])]
        frames += [frame(CONTINUATION, 0, stream, piece) for piece in cut[1:-1]]
        return between.join([*frames, frame(CONTINUATION, last, stream, cut[-1])])
    return run


simple("6.10", "one CONTINUATION", "answer", continued(1), streams=[1])
simple("6.10", "seven CONTINUATIONs", "answer", continued(7), streams=[1])
simple("6.10", "CONTINUATION and then DATA instead", "connection", continued(2, last=0),
       frame(DATA, END_STREAM, 1, b"x"), streams=[1])
simple("6.10", "CONTINUATION on stream 0", "connection",
       lambda c: frame(HEADERS, END_STREAM, 1, c.block()), frame(CONTINUATION, END_HEADERS, 0, b""),
       streams=[1])
simple("6.10", "CONTINUATION behind whole HEADERS", "connection",
       lambda c: c.request(1, end=False), frame(CONTINUATION, END_HEADERS, 1, b""), streams=[1])
simple("6.10", "CONTINUATION behind DATA", "connection", lambda c: c.request(1, end=False),
       frame(DATA, 0, 1, b"x"), frame(CONTINUATION, END_HEADERS, 1, b""), streams=[1])

# --- 8: requests ---------------------------------------------------------------------------------
for what, more in (("an upper-case name", ("X-Upper", "v")), ("connection", ("connection", "close")),
                   ("te that is not trailers", ("te", "gzip")),
                   ("an unknown pseudo header", (":unknown", "v"))):
    simple("8.2", what, "stream", lambda c, more=more: c.request(1, more), streams=[1])
simple("8.2.2", "te: trailers", "answer", lambda c: c.request(1, ("te", "trailers")), streams=[1])
for drop in ("method", "scheme", "path"):
    simple("8.3.1", f"without :{drop}", "stream", lambda c, drop=drop: frame(
        HEADERS, END_HEADERS | END_STREAM, 1, c.block(drop=(drop,))), streams=[1])
simple("8.3.1", "an empty :path", "stream", lambda c: c.request(1, path=""), streams=[1])
simple("8.3.1", "two :method", "stream", lambda c: c.request(1, (":method", "GET")), streams=[1])
simple("8.3", "a pseudo header behind the others", "stream",
       lambda c: frame(HEADERS, END_HEADERS | END_STREAM, 1,
                       c.block(("x-first", "1"), (":path", "/late"), drop=("path",))), streams=[1])
simple("8.1.1", "content-length that DATA does not reach", "stream",
       lambda c: c.request(1, ("content-length", "10"), end=False, method="POST"),
       frame(DATA, END_STREAM, 1, b"four"), streams=[1])
simple("8.1.1", "content-length that DATA exceeds", "stream",
       lambda c: c.request(1, ("content-length", "1"), end=False, method="POST"),
       frame(DATA, 0, 1, b"four"), frame(DATA, END_STREAM, 1, b"more"), streams=[1])
simple("8.1", "trailers", "answer", lambda c: c.request(1, end=False, method="POST"),
       frame(DATA, 0, 1, b"body"), lambda c: frame(
           HEADERS, END_HEADERS | END_STREAM, 1, c.encoder.encode([("x-sum", "42")])), streams=[1])
simple("8.1", "trailers without END_STREAM", "stream", lambda c: c.request(1, end=False, method="POST"),
       lambda c: frame(HEADERS, END_HEADERS, 1, c.encoder.encode([("x-sum", "42")])), streams=[1])
simple("8.1", "trailers with a pseudo header", "stream",
       lambda c: c.request(1, end=False, method="POST"), lambda c: frame(
           HEADERS, END_HEADERS | END_STREAM, 1, c.encoder.encode([(":method", "GET")])), streams=[1])
simple("8.1", "HEAD", "answer", lambda c: c.request(1, method="HEAD"), streams=[1])
simple("8.1", "two requests, the second one answered too", "answer", lambda c: c.request(1),
       lambda c: c.request(3), streams=[1, 3])


@case("8.1", "uploads of ten streams, mixed", "answer")
def _(c):
    c.open()
    streams = range(1, 21, 2)
    c.send(*(c.request(stream, end=False, method="POST") for stream in streams))
    for part in range(5):
        c.send(*(frame(DATA, END_STREAM if part == 4 else 0, stream,
                       struct.pack("!H", stream) * 400) for stream in streams))
    c.wait(*streams)
