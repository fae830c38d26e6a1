#!/usr/bin/env python3
"""A simulated LLM provider: api.anthropic.com, api.openai.com and generativelanguage.googleapis.com on a
loopback port, real TLS.

Python standard library and the `openssl` command line only. Usage figures follow from the number
of the call; every call is written to a ledger (JSON lines) that tests compare with the meter's rows.

A request can steer its own answer:
  x-sim-status: 429                 an error of that status, in the provider's shape
  x-sim-encoding: gzip|deflate|br|zstd|identity   (otherwise Accept-Encoding decides)
  x-sim-framing: chunked|length|close             (streams are chunked, the rest has a length)
  x-sim-pace: 0.05                  seconds between the events of a stream
  x-sim-cut: 3                      the stream ends rudely after so many events
"""

import argparse
import dataclasses
import gzip
import json
import pathlib
import socket
import ssl
import sys
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import certificates  # noqa: E402
import http1  # noqa: E402
import provider_routes  # noqa: E402
import wire as wires  # noqa: E402

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

_PREFERENCE = ("br", "zstd", "gzip", "deflate")


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


class SimulatedProvider:
    """Listens from construction until close(). Threads are daemons; one per connection."""

    def __init__(self, folder, ledger=None, port=0, pace=0.0, hosts=certificates.PROVIDER_HOSTS):
        self.authority = certificates.Authority(folder)
        self.ca_file = self.authority.cert
        self.pace = pace
        self._ledger_path = pathlib.Path(ledger or pathlib.Path(folder) / "ledger.jsonl")
        self._lock = threading.Lock()
        self._calls = 0
        self.connections = 0
        cert, key = self.authority.leaf(hosts, name="provider")
        self._context = wires.server_context(cert, key, ["http/1.1"])
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def ledger(self):
        """All calls so far, as dictionaries."""
        with self._lock:
            if not self._ledger_path.exists():
                return []
            return [json.loads(line) for line in self._ledger_path.read_text().splitlines()]

    def close(self):
        self._listener.close()

    # --- connections -----------------------------------------------------------------------
    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        wire = wires.Wire(sock, timeout=60)
        try:
            wire.start_tls(self._context, server_side=True)
            def go_on():
                wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")

            while (request := http1.read_request(wire, go_on)) is not None:
                if not self._answer(wire, request):
                    break
            wire.half_close()
        except (OSError, ssl.SSLError, wires.EndOfStream, ValueError):
            pass  # a client that left, or that is testing how we take nonsense
        finally:
            wire.close()

    def _next_number(self):
        with self._lock:
            self._calls += 1
            return self._calls

    def _answer(self, wire, request):
        """Writes one answer; false when the connection ends with it."""
        number = self._next_number()
        host = (request.header("Host") or "").split(":")[0].lower()
        try:
            asked = json.loads(decode_request(request.body,
                                              request.header("Content-Encoding"))) \
                if request.body else {}
        except ValueError:
            asked = {}
        if not isinstance(asked, dict):
            asked = {}
        answer = provider_routes.answer_for(host, request.method, request.target, asked, number,
                                            int(request.header("x-sim-status", "200")))
        self._write_ledger(number, host, request, asked, answer)
        encoding = self._encoding(request)
        framing = request.header("x-sim-framing") or \
            ("chunked" if answer.events is not None else "length")
        pieces = self._encode(answer, encoding)
        head = [f"HTTP/1.1 {answer.status} {'OK' if answer.status == 200 else 'Error'}",
                f"content-type: {answer.content_type}",
                "server: simulated", *(f"{name}: {value}" for name, value in answer.headers)]
        if encoding != "identity":
            head.append(f"content-encoding: {encoding}")
        keep = framing != "close" and \
            (request.header("Connection") or "").lower() != "close"
        if framing == "chunked":
            head.append("transfer-encoding: chunked")
        elif framing == "length":
            pieces = [b"".join(pieces)]
            head.append(f"content-length: {len(pieces[0])}")
        if not keep:
            head.append("connection: close")
        wire.send(("\r\n".join(head) + "\r\n\r\n").encode())
        self._send_pieces(wire, request, pieces, framing)
        return keep

    def _send_pieces(self, wire, request, pieces, framing):
        pace = float(request.header("x-sim-pace", str(self.pace)))
        cut = int(request.header("x-sim-cut", "0"))
        for at, piece in enumerate(pieces):
            if cut and at == cut:
                raise wires.EndOfStream("cut as asked")
            if at and pace:
                time.sleep(pace)
            if framing == "chunked":
                piece = b"%x\r\n" % len(piece) + piece + b"\r\n" if piece else b""
            wire.send(piece)
        if framing == "chunked":
            wire.send(b"0\r\n\r\n")

    def _encoding(self, request):
        wanted = request.header("x-sim-encoding")
        if wanted:
            return wanted
        accepted = {part.split(";")[0].strip()
                    for part in (request.header("Accept-Encoding") or "").split(",")}
        for name in _PREFERENCE:
            if name in accepted and name in ENCODERS:
                return name
        return "identity"

    def _encode(self, answer, encoding):
        """Compressed streams are flushed event by event, as providers do."""
        encoder = ENCODERS[encoding]()
        parts = answer.events if answer.events is not None else [answer.body]
        pieces = [encoder.event(part) for part in parts]
        pieces[-1] += encoder.end()
        return pieces

    def _write_ledger(self, number, host, request, asked, answer):
        if not answer.endpoint:
            return
        cut = request.header("x-sim-cut")
        line = {"call": number, "host": host, "path": request.target,
                "endpoint": answer.endpoint, "model": answer.model,
                "requested_model": asked.get("model"),
                "stream": bool(asked.get("stream")) or answer.events is not None,
                "status": answer.status, "complete": answer.complete and not cut,
                **dataclasses.asdict(answer.figures)}
        with self._lock, self._ledger_path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="for the CA, keys and the ledger")
    parser.add_argument("--ledger", help="ledger file (default FOLDER/ledger.jsonl)")
    parser.add_argument("--port", type=int, default=0, help="0 = any free port")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between stream events")
    options = parser.parse_args()
    provider = SimulatedProvider(options.folder, options.ledger, options.port, options.pace)
    # One line for whoever started us; then we live until stdin closes or a signal comes.
    print(json.dumps({"port": provider.port, "ca_file": str(provider.ca_file)}), flush=True)
    try:
        sys.stdin.read()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
