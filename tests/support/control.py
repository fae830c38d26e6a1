"""The control sockets: one line 'hm/1 REQUEST' in, key=value lines out."""

import socket


def ask(path, request, timeout=5.0):
    """The whole answer, as text."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect(str(path))
        sock.sendall(f"hm/1 {request}\n".encode())
        parts = []
        while data := sock.recv(65536):
            parts.append(data)
    return b"".join(parts).decode()


def facts(path, request="status", timeout=5.0):
    """The answer as a dictionary; a repeated key keeps its last value."""
    pairs = (line.split("=", 1) for line in ask(path, request, timeout).splitlines()
             if "=" in line)
    return dict(pairs)
