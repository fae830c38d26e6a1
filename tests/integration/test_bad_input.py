"""Nonsense from every side: each case must end in an answer or a raw tunnel, and never in a dead
process. After every case a good call must be metered."""

import json
import os
import pathlib
import socket
import ssl
import time

import pytest

import calls
import control
import http1
import pair as pairs
from conftest import everywhere
import wire as wires


def send_raw(pair, data, timeout=15):
    """What the edge says to these bytes on a fresh connection, until it closes."""
    with socket.create_connection(("127.0.0.1", pair.edge_port), timeout=timeout) as sock:
        wire = wires.Wire(sock, timeout)
        try:
            wire.send(data)
        except OSError:
            pass
        return wire.recv_all()


def good_call(pair, rows=1):
    with pair.connect(calls.HOST) as wire:
        assert calls.post(wire).status == 200
    assert pair.rows(rows)
    assert pair.edge.poll() is None and pair.interceptor.poll() is None


BAD_HEADS = {
    "no http at all": (b"GARBAGE\r\n\r\n", {400}),
    "no target": (b"CONNECT\r\n\r\n", {400}),
    "no host": (b"CONNECT :443 HTTP/1.1\r\n\r\n", {400}),
    "port zero": (b"CONNECT api.openai.com:0 HTTP/1.1\r\n\r\n", {400}),
    "port too large": (b"CONNECT api.openai.com:70000 HTTP/1.1\r\n\r\n", {400}),
    "port with letters": (b"CONNECT api.openai.com:44x HTTP/1.1\r\n\r\n", {400}),
    "unknown version": (b"CONNECT api.openai.com:443 HTTP/9.9\r\n\r\n", {400, 505}),
    "origin form": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404, 421}),
    "nul in the host": (b"CONNECT api\0.openai.com:443 HTTP/1.1\r\n\r\n", {400}),
    "blank in the host": (b"CONNECT api .openai.com:443 HTTP/1.1\r\n\r\n", {400}),
    "h2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    "header without colon": (b"CONNECT api.openai.com:443 HTTP/1.1\r\nnonsense\r\n\r\n", {400}),
    "oversized head": (b"CONNECT api.openai.com:443 HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
                       {431}),
    "oversized line": (b"CONNECT " + b"a" * 20_000, {400, 414, 431}),
    "many headers": (b"CONNECT api.openai.com:443 HTTP/1.1\r\n" + b"a: b\r\n" * 3000 + b"\r\n",
                     {431}),
    "long host": (b"CONNECT " + b"a" * 5000 + b":443 HTTP/1.1\r\n\r\n", {400, 414, 431, 502}),
}


@pytest.mark.smoke
def test_bad_connect_heads(metered):
    """Each malformed or oversized head gets its status and nothing else; a good call works after."""
    wrong = []
    for name, (data, allowed) in BAD_HEADS.items():
        said = send_raw(metered, data)
        status = int(said.split(b" ")[1]) if said.startswith(b"HTTP/1.") else None
        if status not in allowed:
            wrong.append((name, said[:200]))
    assert wrong == []
    good_call(metered)


@pytest.mark.smoke
def test_tls_and_nothing_at_the_edge(metered):
    """A TLS hello straight at the proxy port, random bytes, an empty connection."""
    hello = client_hello(calls.HOST)
    for data in (hello, os.urandom(2000).replace(b"\n", b"x"), b"\r\n\r\n", b""):
        with socket.create_connection(("127.0.0.1", metered.edge_port), timeout=15) as sock:
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                sock.recv(4096)
            except OSError:
                pass
    good_call(metered)


def test_slow_head_is_ended(make_pair):
    """A head that never comes to its end is answered with 408 after its deadline."""
    pair = make_pair(config="[edge]\nhead_timeout_ms = 1500").start()
    begun = time.monotonic()
    said = send_raw(pair, b"CONNECT api.openai.com:443 HT", timeout=30)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert 1 < time.monotonic() - begun < 8 * pairs.SLOW


def test_connect_to_our_own_ports_is_refused(metered):
    """CONNECT to the edge, the interceptor or the API is refused: no way around to a dashboard."""
    for port in (metered.edge_port, metered.ports()["internal_port"], metered.ports()["api_port"]):
        for name in ("127.0.0.1", "localhost", "[::1]"):
            said = send_raw(metered, f"CONNECT {name}:{port} HTTP/1.1\r\n\r\n".encode())
            assert said.split(b" ")[1] in (b"403", b"421", b"502"), (name, port, said)


def client_hello(host):
    """The first flight of a real client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


NOT_TLS = {
    "plain http": b"GET / HTTP/1.1\r\nHost: api.openai.com\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "one byte": b"\x00",
    "tls record that is no hello": b"\x17\x03\x03\x00\x10" + bytes(16),
    "garbage in a hello record": b"\x16\x03\x01\x02\x00" + bytes(range(256)) * 2,
    "hello with a huge length": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(5000),
    "random": bytes((n * 73 + 41) % 256 for n in range(3000)),
}


@pytest.mark.smoke
@pytest.mark.parametrize("name", NOT_TLS)
def test_not_tls_after_connect(scripted, name):
    """What is not TLS reaches the origin as it is, and the origin's answer comes back."""
    data = NOT_TLS[name]

    def handler(wire):
        wire.recv_exact(len(data))
        wire.send(b"what?")
        wire.recv_all()

    # An incomplete hello is waited for, up to its own deadline.
    pair, origin = scripted(handler, tls=False, config="[intercept]\nhello_timeout_ms = 1000")
    with pair.tunnel(calls.HOST, timeout=30) as wire:
        wire.send(data)
        assert wire.recv_exact(5) == b"what?"
    # A connection that the interceptor tried first may be dialled again: the last one counts.
    assert bytes(origin.sessions[-1].received)[:len(data)] == data
    assert pair.misses()
    assert pair.edge.poll() is None and pair.interceptor.poll() is None


def test_what_is_not_tls_is_sent_once(scripted):
    """A request without TLS whose answer takes longer than the edge's patience: it may not be
    repeated on a second connection, which only a handshake may."""
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"

    def handler(wire):
        wire.recv_exact(len(request))
        time.sleep(2.5)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        wire.recv_all()

    pair, origin = scripted(handler, tls=False, config="[edge]\nfirst_answer_limit_ms = 700")
    with pair.tunnel(calls.HOST, timeout=30) as wire:
        wire.send(request)
        assert wire.recv_exact(15) == b"HTTP/1.1 200 OK"
    assert [bytes(one.received) for one in origin.sessions if one.received] == [request]


def test_server_speaks_first(scripted):
    """Protocols where the client waits for the server's first word still work, only later."""
    def handler(wire):
        wire.send(b"220 ready\r\n")
        assert wire.recv_exact(6) == b"QUIT\r\n"
        wire.send(b"221 bye\r\n")

    pair, _ = scripted(handler, tls=False, config="[intercept]\nhello_timeout_ms = 1000")
    with pair.tunnel(calls.HOST, timeout=30) as wire:
        assert wire.recv_exact(11) == b"220 ready\r\n"
        wire.send(b"QUIT\r\n")
        assert wire.recv_exact(9) == b"221 bye\r\n"


@pytest.mark.parametrize("how", ["same segment", "byte by byte", "no Host", "no port",
                                 "host in capitals"])
def test_unusual_but_legal_beginnings(metered, how):
    """The hello in the CONNECT's segment, one byte at a time, no Host header, no port: metered."""
    sock = socket.create_connection(("127.0.0.1", metered.edge_port), timeout=30)
    wire = wires.Wire(sock, timeout=30)
    host = "" if how == "no Host" else f"Host: {calls.HOST}\r\n"
    head = f"CONNECT {calls.HOST}:443 HTTP/1.1\r\n{host}\r\n".encode()
    if how == "no port":
        head = head.replace(b":443", b"")
    if how == "host in capitals":
        head = head.replace(calls.HOST.encode(), calls.HOST.upper().encode(), 1)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = wires.client_context(metered.ca_file).wrap_bio(incoming, outgoing,
                                                         server_hostname=calls.HOST)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    first = outgoing.read()
    if how == "same segment":
        wire.send(head + first)
    else:
        wire.send(head)
        if how == "byte by byte":
            for at in range(len(first)):
                wire.send(first[at:at + 1])
        else:
            wire.send(first)
    answer = wire.recv_until(b"\r\n\r\n")
    assert answer.split(b" ")[1] == b"200"
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            if outgoing.pending:
                wire.send(outgoing.read())
            incoming.write(wire.recv())
    tls.write(http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body()))
    wire.send(outgoing.read())
    while True:
        try:
            assert tls.read(100).startswith(b"HTTP/1.1 200")
            break
        except ssl.SSLWantReadError:
            incoming.write(wire.recv())
    wire.close()
    assert metered.rows(1)


BROKEN_BODIES = {
    "cut json": (b'{"id": "x", "usage": {"prompt_tokens": 5', "application/json"),
    "not json": (b"<html>oops</html>", "application/json"),
    "empty": (b"", "application/json"),
    "nested 100,000 deep": (b"[" * 100_000, "application/json"),
    "invalid utf-8": (b'{"model": "\xff\xfe", "usage": {"prompt_tokens": "\xff5"}}', "application/json"),
    "usage of wrong types": (b'{"usage": {"prompt_tokens": "many", "completion_tokens": []}}',
                             "application/json"),
    "huge numbers": (b'{"usage": {"prompt_tokens": 1e400, "completion_tokens": 99999999999999999999}}',
                     "application/json"),
    "sse without sense": (b"\x00\xff\r\r\n\ndata\n:\ndata: {\ndata: [}\n\n", "text/event-stream"),
    "sse cut in an event": (b'data: {"choices": [], "usage": {"prompt', "text/event-stream"),
    "sse of one endless line": (b"data: " + b"x" * 3_000_000, "text/event-stream"),
    "claims gzip": (b"this is not gzip at all", "application/json"),
}


@pytest.mark.smoke
@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_broken_answers_pass_unchanged(scripted, name):
    """Broken JSON, SSE or compression: the client gets the bytes, the row says incomplete."""
    body, kind = BROKEN_BODIES[name]
    extra = [("Content-Encoding", "gzip")] if name == "claims gzip" else []
    answer = calls.response_bytes(body, content_type=kind, headers=extra)

    def handler(wire):
        while http1.read_request(wire) is not None:
            wire.send(answer)

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        for _ in range(2):  # the connection stays useful, and metered
            assert calls.post(wire).raw == answer
    rows = pair.rows(2)
    assert len(rows) == 2
    assert all(row["tokens_complete"] == 0 for row in rows)
    assert all((row["input_tokens"] or 0) >= 0 for row in rows)
    assert pair.interceptor.poll() is None


def test_answers_that_are_not_http(scripted):
    """An origin that answers nonsense under TLS: bytes pass, the process lives."""
    nonsense = b"\x01\x02 this is no status line\r\n" * 50

    def handler(wire):
        http1.read_request(wire)
        wire.send(nonsense)

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body()))
        assert wire.recv_all() == nonsense
    assert pair.interceptor.poll() is None
    assert pair.interceptor_status()


def test_header_block_beyond_every_cap(scripted):
    """200 KiB of response headers pass; the tap lets go."""
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"v" * 200) for n in range(1000))
    answer = head + b"content-length: 2\r\n\r\n{}"

    def handler(wire):
        http1.read_request(wire)
        wire.send(answer)
        wire.recv_all()

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body()))
        assert wire.recv_exact(len(answer)) == answer
    assert pair.interceptor.poll() is None


CORRUPT_CONFIGS = {
    "not toml": "this is [not toml = at all\n\x00\x01",
    "wrong types": '[daemon]\nedge_port = "eighty"\n[upstream]\nconnect_to = 5\nca_file = []\n',
    "binary": "\udcff" * 3,
}


@pytest.mark.smoke
@pytest.mark.parametrize("name", CORRUPT_CONFIGS)
def test_corrupt_config(make_pair, name):
    """Both processes start with defaults and say what is wrong."""
    pair = make_pair()
    (pair.home / "config.toml").write_bytes(
        CORRUPT_CONFIGS[name].encode("utf-8", "surrogateescape"))
    pair.start()
    assert "config" in pair.logs().lower()
    assert pair.edge_status() and pair.interceptor_status()


def test_config_is_a_folder(make_pair):
    """Even a config.toml that is no file stops nobody."""
    pair = make_pair()
    (pair.home / "config.toml").unlink()
    (pair.home / "config.toml").mkdir()
    pair.start()


def taken_ports(count):
    """Listening sockets of somebody else, on neighbouring ports' first."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    return held, [sock.getsockname()[1] for sock in held]


def test_taken_ports(make_pair, provider):
    """All three wanted ports are taken: next free ones, written to effective-ports.json, and said,
    with the name of who holds them."""
    held, (edge, internal, api) = taken_ports(3)
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file)
    pair.start_interceptor(internal, api)
    pair.start_edge(edge)
    pair.wait_gate("open")
    ports = pair.ports()
    assert ports["edge_port"] not in (edge, internal, api, 0)
    assert ports["internal_port"] not in (edge, internal, api, 0)
    assert ports["api_port"] not in (edge, internal, api, 0)
    for wanted in (edge, internal, api):  # the log is written by a thread of its own
        pairs.wait_for("the taken port to be named", lambda: str(wanted) in pair.logs())
    own_name = pathlib.Path("/proc/self/comm").read_text().strip()
    pairs.wait_for("its holder to be named",
                   lambda: pair.logs().count(f"{own_name} (PID {os.getpid()}) holds the ") >= 3)
    good_call(pair)
    for sock in held:
        sock.close()


def test_damaged_ports_file(make_pair, provider):
    """A broken effective-ports.json is replaced."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file)
    (pair.run_dir / "effective-ports.json").write_text('{"edge_port": "x", ')
    pair.start()
    good_call(pair)


@pytest.mark.smoke
def test_control_socket_takes_nonsense(metered):
    """An unknown request gets an error line; oversized, binary and empty ones do not hurt."""
    for name in ("edge.sock", "daemon.sock"):
        path = metered.run_dir / name
        assert path.stat().st_mode & 0o777 == 0o600
        assert "error" in control.ask(path, "sing").lower()
        for data in (b"\n", b"hm/9 status\n", b"x" * 10_000, os.urandom(300) + b"\n", b""):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(str(path))
                try:
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(4096):
                        pass
                except (BrokenPipeError, ConnectionResetError):
                    pass
        assert control.facts(path)
    good_call(metered)


def test_status_speaks_json(metered):
    """`status --json` is one JSON document with a verdict."""
    told = metered.command("status", "--json")
    assert isinstance(json.loads(told.stdout), dict), told.stderr
    assert pairs.BIN.exists()
