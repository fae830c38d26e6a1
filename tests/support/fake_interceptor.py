"""Somebody at the interceptor's port who behaves as told, and writes down when he was asked what."""

import os
import socket
import threading
import time

import wire as wires

INTERIM = b"HTTP/1.1 102 Processing\r\nX-Halton-Process: %d\r\n\r\n" % os.getpid()
GOOD = INTERIM + b"HTTP/1.1 200 OK\r\n\r\n"
KNOCK_HOST = "knock.halton-meter.invalid"


class FakeInterceptor:
    """`knock` and `ask` are what it says to the edge's knocks and to calls: bytes, then it closes;
    None: it says nothing and keeps the connection; "refuse": a reset without a word."""

    def __init__(self, knock=GOOD, ask=None):
        self.knock, self.ask = knock, ask
        self.knocks, self.asks = [], []  # times; heads
        self._kept = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=wires.serve_each, args=(self._listener, self._serve),
                         daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        wires.stop_listening(self._listener)
        for wire in self._kept:
            wire.close()

    def _serve(self, sock):
        wire = wires.Wire(sock)
        try:
            head = wire.recv_until(b"\r\n\r\n")
        except (OSError, wires.EndOfStream):
            return wire.close()
        if KNOCK_HOST.encode() in head:
            self.knocks.append(time.monotonic())
            answer = self.knock
        else:
            self.asks.append(head)
            answer = self.ask
        if answer is None:
            self._kept.append(wire)
        elif answer == "refuse":
            wire.reset()
        else:
            wire.send(answer)
            wire.close()
