#!/usr/bin/env python3
"""A simulated LLM provider: api.anthropic.com, api.openai.com and generativelanguage.googleapis.com on a
loopback port, real TLS.

Python standard library and the `openssl` command line only. Usage figures follow from the number
of the call; every call is written to a ledger (JSON lines) that tests compare with the meter's rows.

A request can steer its own answer:
  x-sim-status: 429                 an error of that status, in the provider's shape
  x-sim-encoding: gzip|deflate|br|zstd|identity   (otherwise Accept-Encoding decides)
  x-sim-framing: chunked|length|close             (streams are chunked, the rest has a length)
  x-sim-late: 2.5                   seconds before the answer's first byte
  x-sim-pace: 0.05                  seconds between the events of a stream
  x-sim-cut: 3                      the stream ends rudely after so many events
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import socket
import ssl
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import certificates  # noqa: E402
import codings  # noqa: E402
import http1  # noqa: E402
import provider_routes  # noqa: E402
import provider_socket  # noqa: E402
import provider_tools  # noqa: E402
import wire as wires  # noqa: E402


class SimulatedProvider:
    """Listens from construction until close(). Threads are daemons; one per connection."""

    def __init__(self, folder, ledger=None, port=0, pace=0.0, hosts=certificates.PROVIDER_HOSTS,
                 websockets=True, alpn=("http/1.1",), tools=False):
        """websockets: false refuses every upgrade with 426. alpn with h2 needs python3-h2. tools:
        answers call a tool first, when the client has one that is known here."""
        self.authority = certificates.Authority(folder)
        self.ca_file = self.authority.cert
        self.pace = pace
        self._ledger_path = pathlib.Path(ledger or pathlib.Path(folder) / "ledger.jsonl")
        self._lock = threading.Lock()
        self._calls = 0
        self.connections = 0
        self.others = collections.Counter()  # requests that are no call to a model
        self._websockets, self._tools = websockets, tools
        cert, key = self.authority.leaf(hosts, name="provider")
        self._context = wires.server_context(cert, key, list(alpn))
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
        wires.stop_listening(self._listener)

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
            if wire.alpn == "h2":
                self._serve_h2(wire)
                return
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

    def _serve_h2(self, wire):
        import provider_h2  # the demonstration must run without python3-h2

        def answer(headers, body):
            host = headers[":authority"].split(":")[0].lower()
            return self._answer_to(host, headers[":method"], headers[":path"], headers.get, body)
        provider_h2.Connection(answer, wire).serve()

    def _next_number(self):
        with self._lock:
            self._calls += 1
            return self._calls

    def _answer_to(self, host, method, target, header, body):
        """One request's Answer, entered in the ledger. header(name) -> value or None."""
        number = self._next_number()
        try:
            asked = json.loads(codings.decode_request(body, header("content-encoding"))) \
                if body else {}
        except ValueError:
            asked = {}
        if not isinstance(asked, dict):
            asked = {}
        if self._tools:
            asked[provider_tools.MARK] = True
        answer = provider_routes.answer_for(host, method, target, asked, number,
                                            int(header("x-sim-status") or "200"))
        self._write_ledger(host, method, target, header, number, asked, answer)
        return answer

    def _answer(self, wire, request):
        """Writes one answer; false when the connection ends with it."""
        host = (request.header("Host") or "").split(":")[0].lower()
        if provider_socket.is_asked(host, request) and self._websockets:
            provider_socket.serve(wire, host, request, self._tools, self._next_number,
                                  lambda *turn: self._write_ledger(
                                      host, request.method, request.target, request.header, *turn))
            return False
        answer = self._answer_to(host, request.method, request.target, request.header, request.body)
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
        time.sleep(float(request.header("x-sim-late", "0")))
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
        for name in codings.PREFERENCE:
            if name in accepted and name in codings.ENCODERS:
                return name
        return "identity"

    def _encode(self, answer, encoding):
        """Compressed streams are flushed event by event, as providers do."""
        encoder = codings.ENCODERS[encoding]()
        parts = answer.events if answer.events is not None else [answer.body]
        pieces = [encoder.event(part) for part in parts]
        pieces[-1] += encoder.end()
        return pieces

    def _write_ledger(self, host, method, target, header, number, asked, answer):
        if not answer.endpoint:
            self.others[f"{method} {host}{target.split('?')[0]}"] += 1
            return
        cut = header("x-sim-cut")
        line = {"call": number, "host": host, "path": target,
                "endpoint": answer.endpoint, "model": answer.model,
                "requested_model": asked.get("model"),
                "stream": bool(asked.get("stream")) or answer.events is not None
                or method == "GET",
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
