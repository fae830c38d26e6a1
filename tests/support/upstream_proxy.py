"""An HTTP proxy of somebody's network, as `[upstream] proxy` names one: CONNECT and absolute form,
with Basic authentication if wanted. Remembers what it was asked."""

import base64
import socket
import threading

import http1
import wire as wires


class UpstreamProxy:
    def __init__(self, routes, password=None, refuse=None):
        """routes: {"host:port": "address:port"}; password: "user:password"; refuse: a status that
        answers everything."""
        self.asked = []  # (method, target, headers of the head)
        self._routes, self._refuse = dict(routes), refuse
        self._secret = base64.b64encode(password.encode()).decode() if password else None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=wires.serve_each, args=(self._listener, self._serve),
                         daemon=True).start()

    def url(self, password=None):
        user = f"{password}@" if password else ""
        return f"http://{user}127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        wires.stop_listening(self._listener)

    def _serve(self, sock):
        wire = wires.Wire(sock, timeout=60)
        try:
            head = http1.Message(wire.recv_until(b"\r\n\r\n"))
            self.asked.append(head)
            if self._refuse:
                return wire.send(f"HTTP/1.1 {self._refuse} No\r\nContent-Length: 0\r\n\r\n".encode())
            if self._secret and head.header("Proxy-Authorization") != f"Basic {self._secret}":
                return wire.send(b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                                 b'Proxy-Authenticate: Basic realm="corp"\r\n'
                                 b"Content-Length: 6\r\n\r\nno way")
            self._forward(wire, head)
        except (OSError, wires.EndOfStream, KeyError):
            pass
        finally:
            wire.close()

    def _forward(self, wire, head):
        target = head.target
        if head.method != "CONNECT":
            target = target.split("/")[2]
            target += "" if ":" in target else ":80"
        address, port = self._routes[target].rsplit(":", 1)
        with socket.create_connection((address, int(port)), timeout=60) as origin:
            if head.method == "CONNECT":
                wire.send(b"HTTP/1.1 200 Go on\r\n\r\n")
            else:
                origin.sendall(head.head)

            def upwards():
                try:
                    while data := wire.recv():
                        origin.sendall(data)
                    origin.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
            threading.Thread(target=upwards, daemon=True).start()
            while data := origin.recv(65536):
                wire.send(data)
            wire.fin()
