"""HTTP/2 cases of an origin that keeps, stretches or breaks the rules: (name, function of the client's
stream -> bytes behind the origin's SETTINGS). Afterwards the origin closes in good order.
"""

import hpack

from h2_raw import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING,
                    PRIORITY, PUSH, RST, WINDOW, frame, number, settings)

CASES = []
OK = b"\x88"  # :status 200 of the static table
LATE = 0x7FFFFFFF


def case(name, function):
    CASES.append((name, function))


def head(block=OK, end=False, flags=END_HEADERS):
    return lambda stream: frame(HEADERS, flags | (END_STREAM if end else 0), stream, block)


def data(payload=b"body", end=True, flags=0):
    return lambda stream: frame(DATA, flags | (END_STREAM if end else 0), stream, payload)


def on(kind, payload=b"", flags=0):
    """A frame on the client's stream."""
    return lambda stream: frame(kind, flags, stream, payload)


def joined(*parts):
    return lambda stream: b"".join(part(stream) if callable(part) else part for part in parts)


def plain(name, *parts):
    case(name, joined(*parts))


def through_the_table(stream):
    """Entries made in one block and used in the next ones, then a table of size 0."""
    encoder = hpack.Encoder()
    first = encoder.encode([(":status", "200"), ("x-origin", "one and the same"), ("x-n", "1")])
    encoder.header_table_size = 0
    last = encoder.encode([("x-origin", "one and the same")])
    return joined(head(first), data(end=False), head(last, end=True))(stream)


GO = number(LATE) + number(0)
plain("an answer", head(), data())
plain("an answer in one frame", head(end=True))
plain("interim answers first", head(b"\x08\x03100"), head(b"\x08\x03103"), head(), data())
plain("trailers", head(), data(end=False), head(b"\x00\x05x-sum\x0242", end=True))
plain("padding", head(b"\x07" + OK + b"\0" * 7, flags=END_HEADERS | PADDED),
      data(b"\x05padded" + b"\0" * 5, flags=PADDED))
plain("seven CONTINUATIONs", head(b"", flags=0), on(CONTINUATION) , on(CONTINUATION, OK),
      *[on(CONTINUATION, b"\x00\x01%c\x01v" % (97 + n)) for n in range(4)],
      on(CONTINUATION, flags=END_HEADERS), data())
case("through the header table", through_the_table)
plain("an answer of status 204", head(b"\x89", end=True))
plain("empty DATA before the end", head(), *[data(b"", end=False)] * 20, data())
plain("a reset with NO_ERROR behind the answer", head(), data(), on(RST, number(0)))
for code in (1, 2, 7, 8, 11, 13, 0xFFFF):
    plain(f"a reset with code {code}", head(), data(end=False), on(RST, number(code)))
plain("a reset instead of an answer", on(RST, number(7)))
plain("GOAWAY, then the answer", frame(GOAWAY, 0, 0, GO), head(), data())
plain("GOAWAY that refuses the call", frame(GOAWAY, 0, 0, number(0) + number(7) + b"not now"))
plain("GOAWAY in the middle of the answer", head(), data(end=False),
      frame(GOAWAY, 0, 0, number(0) + number(11) + b"calm down" * 50))
plain("a PING and SETTINGS in between", head(), frame(PING, 0, 0, b"are you?"), settings((3, 1)),
      frame(PING, ACK, 0, b"not asked"), data())
plain("unknown frames", frame(0x0A, 0, 0, b"\0\0h2=\":443\""), head(), frame(0xF0, 0xFF, 0, b"?"),
      on(0xF1, b"?" * 300), data())
plain("PRIORITY", on(PRIORITY, number(0) + b"\x0f"), head(), data())
plain("a pushed answer that nobody wanted", on(PUSH, number(2) + b"\x82\x87\x84\x41\x01x",
                                               flags=END_HEADERS), head(), data())
plain("SETTINGS of many kinds", settings((1, 65536), (3, 0), (4, 1), (5, 16777215), (6, 1), (9, 9)),
      head(), data())
plain("WINDOW_UPDATEs", frame(WINDOW, 0, 0, number(70000)), on(WINDOW, number(1)), head(), data())

plain("short of its content-length", head(OK + b"\x5c\x0299"), data())
plain("beyond its content-length", head(OK + b"\x5c\x011"), data())
plain("the connection ends inside the answer", head(), data(end=False))
plain("the connection ends inside a frame", head(), lambda s: frame(DATA, 1, s, b"cut", length=99))
plain("the connection ends instead of an answer")
plain("DATA without HEADERS", data())
plain("HEADERS behind the end", head(end=True), head(end=True))
plain("DATA on a stream nobody opened", head(), data(), frame(DATA, 0, 99, b"x"))
plain("DATA too large", head(), data(b"d" * 16385))
plain("DATA with more padding than payload", head(), data(b"\xff123", flags=PADDED))
plain("no :status", head(b"\x00\x01a\x01b"), data())
plain("an upper-case name", head(OK + b"\x00\x01A\x01b"), data())
plain("a header block that cannot be decoded", head(b"\xff\xff\xff\xff\xff\xff"), data())
plain("a table size that was not allowed", head(b"\x3f\xe1\xff\xff\x0f" + OK), data())
plain("CONTINUATION without HEADERS", on(CONTINUATION, OK, flags=END_HEADERS), data())
plain("DATA inside a header block", head(b"", flags=0), data(), on(CONTINUATION, OK))
plain("SETTINGS of five bytes", frame(4, 0, 0, b"12345"), head(), data())
plain("SETTINGS that break a limit", settings((4, 1 << 31)), head(), data())
plain("WINDOW_UPDATE of 0", frame(WINDOW, 0, 0, number(0)), head(), data())
plain("windows above the limit", frame(WINDOW, 0, 0, number(LATE)) * 2, head(), data())
plain("PING of seven bytes", frame(PING, 0, 0, b"1234567"), head(), data())
plain("GOAWAY on a stream", on(GOAWAY, GO), head(), data())
plain("no HTTP/2 at all", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
plain("zeros", bytes(5000))
