"""The other end of the chaos suite's calls: a provider that says back which call it got, and keeps
count of what really reached it, and an echo for raw tunnels.

The number of a call travels in the request as its model ("chaos-17"), which the meter keeps as
`requested_model`: so every row, every call and every request that reached the provider can be told.
"""

import json
import socket
import ssl
import struct
import threading
import time

import certificates
import http1
import multiplexed
import wire as wires

PREFIX = "chaos-"
MODEL = "gpt-5-mini-2025-08-07"


def usage(number):
    """Figures that follow from the number alone."""
    return {"prompt_tokens": 10 + number % 997, "completion_tokens": 3 + number % 89,
            "total_tokens": 13 + number % 997 + number % 89}


def chunk(number, text, more=None):
    value = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "model": MODEL,
             "created": 1790000000, "choices": [{"index": 0, "delta": {"content": text}}]}
    return b"data: " + json.dumps(value | (more or {})).encode() + b"\n\n"


def whole(number, asked):
    """The body of an answer that is no stream."""
    return json.dumps({"id": f"chatcmpl-{number}", "object": "chat.completion", "model": MODEL,
                       "created": 1790000000, "usage": usage(number),
                       "choices": [{"index": 0, "finish_reason": "stop", "message":
                                    {"role": "assistant", "content": asked["fill"] * "x"}}]}).encode()


def events(number, asked):
    """The events of a stream, each when it is due."""
    for at in range(asked["events"]):
        yield chunk(number, f"{at} ")
        time.sleep(asked["pace"])
    yield chunk(number, "", {"choices": [], "usage": usage(number)}) + b"data: [DONE]\n\n"


class Provider:
    """TLS. `reached` holds the number of every call whose request came in whole, `finished` of
    those whose answer was sent whole. With `resetting` connections are reset at a stage that
    follows from their turn."""

    STAGES = ("accept", "hello", "request", "answer")

    def __init__(self, folder):
        self.authority = certificates.Authority(folder)
        self._context = wires.server_context(
            *self.authority.leaf(certificates.PROVIDER_HOSTS, name="chaos"), ["h2", "http/1.1"])
        self.reached, self.finished = {}, set()
        self._lock = threading.Lock()
        self._turn = 0
        self.port = self._listen(False)
        self.resetting_port = self._listen(True)

    def _listen(self, resetting):
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        threading.Thread(target=self._accept, args=(listener, resetting), daemon=True).start()
        return listener.getsockname()[1]

    def _accept(self, listener, resetting):
        while True:
            sock, _ = listener.accept()
            self._turn += 1
            stage = self.STAGES[self._turn % len(self.STAGES)] if resetting else None
            threading.Thread(target=self._serve, args=(sock, stage), daemon=True).start()

    def _serve(self, sock, reset_at):
        wire = wires.Wire(sock, timeout=120)
        try:
            if reset_at == "accept":
                return self._reset(wire)
            if reset_at == "hello":
                wire.recv()
                return self._reset(wire)
            wire.start_tls(self._context, server_side=True)
            if wire.alpn == "h2":
                return multiplexed.Server(wire, self._answer_stream).serve()
            while (request := http1.read_request(wire)) is not None:
                number, asked = self._asked(request.body)
                if reset_at == "request":
                    return self._reset(wire)
                self._answer(wire, number, asked, reset_at)
                with self._lock:
                    self.finished.add(number)
        except (OSError, ssl.SSLError, wires.EndOfStream, ValueError):
            pass  # a call that was broken
        finally:
            wire.close()

    @staticmethod
    def _reset(wire):
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.sock.close()

    def _asked(self, body):
        asked = json.loads(body)
        number = int(asked["model"].removeprefix(PREFIX))
        with self._lock:
            self.reached[number] = self.reached.get(number, 0) + 1
        return number, asked

    def _answer(self, wire, number, asked, reset_at):
        if not asked.get("stream"):
            body = whole(number, asked)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                      + str(len(body)).encode() + b"\r\n\r\n")
            if reset_at == "answer":
                wire.send(body[:len(body) // 2])
                return self._reset(wire)
            return wire.send(body)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n")
        for event in events(number, asked):
            self._send_chunk(wire, event)
        wire.send(b"0\r\n\r\n")

    def _answer_stream(self, body, send):
        number, asked = self._asked(body)
        for piece in events(number, asked) if asked.get("stream") else [whole(number, asked)]:
            send(piece)
        with self._lock:
            self.finished.add(number)

    @staticmethod
    def _send_chunk(wire, data):
        wire.send(b"%x\r\n" % len(data) + data + b"\r\n")


class Echo:
    """Plain TCP, sends back what it gets: for hosts that are no providers."""

    def __init__(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    @staticmethod
    def _serve(sock):
        with sock:
            sock.settimeout(120)
            try:
                while data := sock.recv(65536):
                    sock.sendall(data)
            except OSError:
                pass
