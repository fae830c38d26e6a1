"""An origin for thousands of connections: one thread, plain TCP. It takes everything and says
nothing, or sends without end as fast as it is read."""

import selectors
import socket
import threading


class SinkOrigin:
    def __init__(self, pouring=False):
        self.connections = 0  # open now
        self._pour = bytes(64 * 1024) if pouring else None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()

    def _run(self):
        while not self._stop:
            for key, events in self._selector.select(0.1):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._serve(key.fileobj, events)

    def _accept(self):
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._pour else 0)
        self._selector.register(sock, wanted)
        self.connections += 1

    def _serve(self, sock, events):
        try:
            if events & selectors.EVENT_WRITE:
                sock.send(self._pour)
            if events & selectors.EVENT_READ and not sock.recv(65536):
                raise OSError("over")
        except BlockingIOError:
            return
        except OSError:
            self._selector.unregister(sock)
            sock.close()
            self.connections -= 1
