"""A port whose every connection is one tunnel of a pair, for clients that know no proxy."""

import socket
import threading

import wire as wires


class Forwarder:
    def __init__(self, pair, host):
        self._pair, self._host = pair, host
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            tunnel = socket.create_connection(("127.0.0.1", self._pair.edge_port))
            tunnel.sendall(f"CONNECT {self._host}:443 HTTP/1.1\r\n\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += tunnel.recv(1)
            for source, sink in ((client, tunnel), (tunnel, client)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def _copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        wires.stop_listening(self._listener)
