"""Requests and answers in HTTP/2 frames by hand (h2_raw), for scripts of both ends that say exactly
these bytes. Header blocks use literals without indexing: a block is the same wherever it stands."""

import hpack

from h2_raw import DATA, END_HEADERS, END_STREAM, HEADERS, frame

WHOLE = END_HEADERS | END_STREAM


def block(fields):
    """Never indexed (RFC 7541 6.2.3): the table is as it was before."""
    encoder = hpack.Encoder()
    return encoder.encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields],
                          huffman=False)


def request_fields(host, target, method="POST", **pseudo):
    more = [(f":{name}", value) for name, value in pseudo.items()]
    return [(":method", method), *more, (":scheme", "https"), (":path", target),
            (":authority", host)]


def headers(stream, fields, flags=END_HEADERS):
    return frame(HEADERS, flags, stream, block(fields))


def data(stream, payload, flags=0):
    return frame(DATA, flags, stream, payload)


def padded(payload, size):
    return bytes([size]) + payload + bytes(size)
