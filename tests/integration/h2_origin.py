"""An HTTP/2 origin for tests, on python3-h2: answers as the simulated provider does, with a ledger."""

import dataclasses
import json
import threading

import calls
import http1
import provider_h2
import provider_routes


class H2Origin:
    """A handler for ScriptedOrigin(alpn=("h2", ...)); speaks HTTP/1.1 when that was agreed."""

    def __init__(self, table_size=4096):
        """table_size: what the origin announces for the client's header compression."""
        self._table_size = table_size
        self._lock = threading.Lock()
        self._calls = 0
        self._lines = []

    def ledger(self):
        with self._lock:
            return list(self._lines)

    def __call__(self, wire):
        if wire.alpn != "h2":
            while http1.read_request(wire) is not None:
                wire.send(calls.response_bytes(calls.chat_answer()))
            return
        provider_h2.Connection(self.answer, wire, self._table_size).serve()

    def answer(self, headers, body):
        """One request's Answer; its figures go to the ledger."""
        asked = json.loads(body) if body else {}
        host, target = headers[":authority"].split(":")[0], headers[":path"]
        with self._lock:
            self._calls += 1
            answer = provider_routes.answer_for(
                host, headers[":method"], target, asked, self._calls,
                int(headers.get("x-sim-status", "200")))
            if answer.endpoint:
                self._lines.append({"endpoint": answer.endpoint, "model": answer.model,
                                    "requested_model": asked.get("model"),
                                    **dataclasses.asdict(answer.figures)})
        return answer
