"""A socket with optional TLS over memory BIOs, the same for the client's and the server's end.

Python's own ssl sockets cannot half-close, cannot tell a close_notify from a bare FIN and do not
like two threads; protocol tests need all three.
"""

import contextlib
import socket
import ssl
import struct
import threading

_SLICE = 64 * 1024


class EndOfStream(Exception):
    """The peer ended before the wanted bytes were there. `args[1]` holds what did come."""


class Wire:
    """`eof` says how the peer ended: None, 'fin', 'close_notify' or 'reset'."""

    def __init__(self, sock, timeout=20.0):
        self.sock = sock
        self.sock.settimeout(timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.eof = None
        self.received_total = 0
        self.record = None  # set to a bytearray to keep every plain byte that came
        self.record_sent = None  # likewise, that went
        self._buffer = bytearray()
        self._early = bytearray()  # decrypted before anybody asked for it
        self._tls = None
        self._incoming = self._outgoing = None
        self._tls_lock = threading.Lock()
        self._send_lock = threading.Lock()

    # --- TLS -------------------------------------------------------------------------------
    def start_tls(self, context, server_side=False, server_hostname=None, first=b"",
                  session=None):
        """Handshake. `first` are ciphertext bytes that were read already; `session` is one of an
        earlier connection, to be resumed."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._incoming.write(bytes(self._buffer) + first)
        self._buffer.clear()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side,
                                     server_hostname=server_hostname, session=session)
        while True:
            try:
                self._tls.do_handshake()
                self._flush()
                return self
            except ssl.SSLWantReadError:
                self._flush()
                raw = self._raw_recv()
                if raw:
                    self._incoming.write(raw)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                self._flush()  # the alert
                raise

    @property
    def tls(self):
        return self._tls

    @property
    def alpn(self):
        return self._tls.selected_alpn_protocol() if self._tls else None

    def issuer(self):
        """Common name of whoever signed the peer's certificate."""
        parts = dict(pair for group in self._tls.getpeercert()["issuer"] for pair in group)
        return parts.get("commonName") or parts.get("organizationName")

    # --- sending ---------------------------------------------------------------------------
    def _flush(self):
        with self._send_lock:
            self._flush_locked()

    def _flush_locked(self):
        while self._outgoing.pending:
            self.sock.sendall(self._outgoing.read())

    def send(self, data):
        if self.record_sent is not None:
            self.record_sent += data
        if self._tls is None:
            self.sock.sendall(data)
            return
        view = memoryview(data)
        with self._send_lock:
            for start in range(0, len(view), _SLICE):
                with self._tls_lock:
                    self._tls.write(view[start:start + _SLICE])
                self._flush_locked()

    def half_close(self):
        """We say no more, the peer still may: close_notify (under TLS), then FIN."""
        if self._tls is not None:
            with self._send_lock:
                self._say_goodbye()
                self._flush_locked()
        self.sock.shutdown(socket.SHUT_WR)

    def _say_goodbye(self):
        with self._tls_lock:
            try:
                # OpenSSL's shutdown drops records that came in and were not read yet.
                while data := self._tls.read(_SLICE):
                    self._early += data
            except ssl.SSLError:
                pass
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                pass  # the peer's close_notify is not here yet: as it should be

    def send_close_notify(self):
        with self._send_lock:
            self._say_goodbye()
            self._flush_locked()

    def fin(self):
        """A bare FIN, without close_notify."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- receiving -------------------------------------------------------------------------
    def _raw_recv(self):
        try:
            return self.sock.recv(_SLICE)
        except ConnectionResetError:
            self.eof = "reset"
            return b""

    def _plain_recv(self):
        if self._tls is None:
            data = self._raw_recv()
            if not data and self.eof is None:
                self.eof = "fin"
            return data
        while True:
            with self._tls_lock:
                if self._early:
                    data = bytes(self._early)
                    self._early.clear()
                    return data
                try:
                    data = self._tls.read(_SLICE)
                    if not data:
                        self.eof = "close_notify"
                    return data
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLZeroReturnError:
                    self.eof = "close_notify"
                    return b""
                except ssl.SSLError as error:
                    if "EOF" not in (error.reason or "") and not isinstance(error, ssl.SSLEOFError):
                        raise
                    self.eof = self.eof or "fin"
                    return b""
            raw = self._raw_recv()
            if not raw:
                # Not told to OpenSSL, which would let us say no more either.
                self.eof = self.eof or "fin"
                return b""
            with self._tls_lock:
                self._incoming.write(raw)

    def recv(self):
        """Some bytes, or b"" at the end."""
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            return data
        data = self._plain_recv() if self.eof is None else b""
        self.received_total += len(data)
        if self.record is not None:
            self.record += data
        return data

    def unread(self, data):
        self._buffer[:0] = data

    def recv_until(self, mark, limit=1 << 20):
        """Bytes up to and including the mark."""
        got = bytearray()
        while True:
            data = self.recv()
            if not data:
                raise EndOfStream(f"no {mark!r} before the end ({self.eof})", bytes(got))
            search_from = max(0, len(got) - len(mark))
            got += data
            at = got.find(mark, search_from)
            if at >= 0:
                end = at + len(mark)
                self.unread(got[end:])
                return bytes(got[:end])
            if len(got) > limit:
                raise EndOfStream(f"no {mark!r} in {limit} bytes", bytes(got))

    def recv_exact(self, size):
        got = bytearray()
        while len(got) < size:
            data = self.recv()
            if not data:
                raise EndOfStream(f"{len(got)} of {size} bytes ({self.eof})", bytes(got))
            got += data
        self.unread(got[size:])
        return bytes(got[:size])

    def recv_all(self):
        got = bytearray()
        while data := self.recv():
            got += data
        return bytes(got)


# Python asks OpenSSL to take a bare FIN for a clean end; we want to see the difference.
_IGNORE_UNEXPECTED_EOF = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0x80)


def serve_each(listener, serve):
    """A thread for each connection, until stop_listening()."""
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(sock,), daemon=True).start()


def stop_listening(listener):
    """Closing alone would leave a thread that waits in accept() where it is; the next socket with
    the same number would be accepted from by that one, too."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def client_context(ca_file, alpn=None):
    context = ssl.create_default_context(cafile=str(ca_file))
    context.options &= ~_IGNORE_UNEXPECTED_EOF
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def server_context(cert, key, alpn=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options &= ~_IGNORE_UNEXPECTED_EOF
    context.load_cert_chain(str(cert), str(key))
    if alpn:
        context.set_alpn_protocols(alpn)
    return context
