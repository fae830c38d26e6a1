"""An origin that does exactly what a test says: a function per connection, over TLS or plain.

    def handler(wire):                    # wire.Wire, handshake done
        request = http1.read_request(wire)
        wire.send(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")

    with ScriptedOrigin(authority, handler) as origin: ...

Whatever the client sent (plain, after decryption) is in `origin.sessions[n].received`, and what the
handler sent in `.sent`.
"""

import socket
import ssl
import threading

import certificates
import wire as wires


class Session:
    """One connection as the origin saw it."""

    def __init__(self):
        self.received = bytearray()
        self.sent = bytearray()
        self.alpn = None
        self.tls_version = None
        self.server_name = None
        self.handshake_error = None
        self.eof = None
        self.error = None  # what the handler raised
        self.done = threading.Event()


class ScriptedOrigin:
    def __init__(self, authority, handler, hosts=certificates.PROVIDER_HOSTS, alpn=("http/1.1",),
                 tls=True, certificate="good", tune=None, recording=True, port=0,
                 address="127.0.0.1"):
        """certificate: good, wrong_name, self_signed, expired. tune(context) changes the server's
        SSLContext: versions, a request for a client certificate."""
        self.sessions = []
        self._handler, self._recording, self._wires = handler, recording, []
        self._lock = threading.Lock()
        self._context = None
        if tls:
            cert, key = self._certificate(authority, list(hosts), certificate)
            self._context = wires.server_context(cert, key, list(alpn) if alpn else None)
            if tune:
                tune(self._context)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, port), family=family, backlog=512)
        self.port = self._listener.getsockname()[1]
        self.address = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    @staticmethod
    def _certificate(authority, hosts, kind):
        if kind == "good":
            return authority.leaf(hosts, name="origin")
        if kind == "wrong_name":
            return authority.leaf(["elsewhere.example"], name="wrong-name")
        if kind == "expired":
            return authority.leaf(hosts, name="expired", days=-1)
        return authority.self_signed(hosts)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        wires.stop_listening(self._listener)
        with self._lock:
            for wire in self._wires:
                wire.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            session = Session()
            with self._lock:
                self.sessions.append(session)
            threading.Thread(target=self._serve, args=(sock, session), daemon=True).start()

    def _serve(self, sock, session):
        wire = wires.Wire(sock, timeout=60)
        with self._lock:
            self._wires.append(wire)
        try:
            if self._context is not None:
                wire.start_tls(self._context, server_side=True)
                session.alpn, session.tls_version = wire.alpn, wire.tls.version()
            if self._recording:
                wire.record, wire.record_sent = session.received, session.sent
        except (OSError, ssl.SSLError) as error:
            session.handshake_error = error
            wire.close()
            session.done.set()
            return
        try:
            self._handler(wire)
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            session.error = error
        finally:
            session.eof = wire.eof
            wire.close()
            session.done.set()
