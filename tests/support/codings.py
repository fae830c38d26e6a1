"""Content codings of the simulated provider: streams are flushed event by event, as providers do.

Standard library, and brotli and zstandard where they are installed.
"""

import gzip
import zlib

try:
    import brotli
except ImportError:
    brotli = None
try:
    import zstandard
except ImportError:
    zstandard = None


class _Gzip:
    def __init__(self, wbits=31):
        self._z = zlib.compressobj(6, zlib.DEFLATED, wbits)

    def event(self, data):
        return self._z.compress(data) + self._z.flush(zlib.Z_SYNC_FLUSH)

    def end(self):
        return self._z.flush()


class _Brotli:
    def __init__(self):
        self._z = brotli.Compressor(quality=4)

    def event(self, data):
        return self._z.process(data) + self._z.flush()

    def end(self):
        return self._z.finish()


class _Zstd:
    def __init__(self):
        self._z = zstandard.ZstdCompressor(level=3).compressobj()

    def event(self, data):
        return self._z.compress(data) + self._z.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def end(self):
        return self._z.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)


class _Identity:
    def event(self, data):
        return data

    def end(self):
        return b""


ENCODERS = {"gzip": _Gzip, "deflate": lambda: _Gzip(15), "identity": _Identity}
if brotli:
    ENCODERS["br"] = _Brotli
if zstandard:
    ENCODERS["zstd"] = _Zstd

PREFERENCE = ("br", "zstd", "gzip", "deflate")


def decode_request(body, encoding):
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    if encoding == "zstd" and zstandard:
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    if encoding == "br" and brotli:
        return brotli.decompress(body)
    return body
