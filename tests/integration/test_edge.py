"""The edge by itself: other hosts, plain HTTP, latency, diet."""

import contextlib
import pathlib
import re
import socket
import statistics
import subprocess
import threading
import time

import pytest

import calls
import http1
import pair as pairs
import scripted_origin
import wire as wires
from conftest import everywhere


def test_other_hosts_are_tunnelled_raw(scripted, authority):
    """A host that is no provider: the client sees the real certificate, no row, no miss."""
    def handler(wire):
        http1.read_request(wire)
        wire.send(calls.response_bytes(b"hello", content_type="text/plain"))
        wire.recv_all()

    pair, origin = scripted(handler, hosts=["www.example.org"], start=False)
    pair.write_config({"www.example.org:443": origin.address,
                       "www.example.org:8443": origin.address}, authority.cert)
    pair.start()
    for port in (443, 8443):
        with pair.connect("www.example.org", port, trust=authority.cert) as wire:
            assert wire.issuer() == "Simulated provider root"
            wire.send(http1.request_bytes("GET", "/", "www.example.org"))
            assert http1.read_response(wire).body == b"hello"
    assert pair.database.requests() == [] and pair.database.misses() == []


def test_login_hosts_are_never_intercepted(scripted, authority):
    """auth.openai.com and friends are other hosts."""
    def handler(wire):
        http1.read_request(wire)
        wire.send(calls.response_bytes(b"{}"))
        wire.recv_all()

    hosts = ["auth.openai.com", "claude.ai", "accounts.google.com", "console.anthropic.com"]
    pair, origin = scripted(handler, hosts=hosts, start=False)
    pair.write_config({f"{host}:443": origin.address for host in hosts}, authority.cert)
    pair.start()
    for host in hosts:
        with pair.connect(host, trust=authority.cert) as wire:
            assert wire.issuer() == "Simulated provider root"


@pytest.mark.smoke
def test_plain_http_in_absolute_form(make_pair, authority):
    """GET http://host/path: the origin gets origin-form, the body and the answer pass."""
    answer = calls.response_bytes(b"plain answer", content_type="text/plain")

    def handler(wire):
        while http1.read_request(wire) is not None:
            wire.send(answer)

    with scripted_origin.ScriptedOrigin(authority, handler, tls=False) as origin:
        pair = make_pair(connect_to={"plain.example.org:80": origin.address}).start()
        for url in (f"http://plain.example.org/a/b?c=d", f"http://{origin.address}/a/b?c=d"):
            with socket.create_connection(("127.0.0.1", pair.edge_port), timeout=15) as sock:
                wire = wires.Wire(sock)
                host = url.split("/")[2]
                wire.send(f"POST {url} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n"
                          "Proxy-Connection: keep-alive\r\nX-Mine: 1\r\n\r\nbody".encode())
                assert http1.read_response(wire).body == b"plain answer"
            got = bytes(origin.sessions[-1].received)
            assert got.startswith(b"POST /a/b?c=d HTTP/1.1\r\n"), got
            assert got.endswith(b"\r\n\r\nbody") and b"X-Mine: 1\r\n" in got
            assert b"proxy-connection" not in got.lower()


def test_an_upgrade_that_nobody_takes(make_pair):
    """curl --http2 offers h2c with a plain request. The origin does not care, and curl goes on with the
    connection for another host, as with any proxy: that request is the other host's."""
    def serve(sock, name):
        wire = wires.Wire(sock)
        with contextlib.suppress(OSError, wires.EndOfStream), sock:
            while (request := http1.read_request(wire)) is not None:
                wire.send(calls.response_bytes(name.encode(), content_type="text/plain"))
                if request.header("Connection") == "close":
                    return

    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in "ab"}
    for name, listener in listeners.items():
        threading.Thread(target=wires.serve_each, daemon=True,
                         args=(listener, lambda sock, name=name: serve(sock, name))).start()
    pair = make_pair(connect_to={f"{name}.example.org:80": f"127.0.0.1:{one.getsockname()[1]}"
                                 for name, one in listeners.items()})
    pair.start_edge()
    told = subprocess.run(["curl", "-s", "--http2", "-x", f"http://127.0.0.1:{pair.edge_port}",
                           "http://a.example.org/", "http://b.example.org/"],
                          capture_output=True, text=True, timeout=20)
    for listener in listeners.values():
        wires.stop_listening(listener)
    assert told.stdout == "ab"


def test_curl_through_the_edge_over_plain_http(make_pair, authority):
    """The same with a real client."""
    def handler(wire):
        while http1.read_request(wire) is not None:
            wire.send(calls.response_bytes(b"pong", content_type="text/plain"))

    with scripted_origin.ScriptedOrigin(authority, handler, tls=False) as origin:
        pair = make_pair(connect_to={"plain.example.org:80": origin.address}).start()
        told = subprocess.run(["curl", "-sS", "http://plain.example.org/x",
                               "http://plain.example.org/y"], env=pair.environment(),
                              capture_output=True, timeout=30)
        assert told.stdout == b"pongpong", told.stderr


def test_unreachable_origin_is_a_502(make_pair):
    """Connection refused at a host that is no provider."""
    pair = make_pair(connect_to={"gone.example.org:443": "127.0.0.1:9"})
    pair.start_edge()
    with socket.create_connection(("127.0.0.1", pair.edge_port), timeout=20) as sock:
        sock.sendall(b"CONNECT gone.example.org:443 HTTP/1.1\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 502 ")


def test_small_turns_are_not_delayed(scripted):
    """TCP_NODELAY on every leg: fifty small turns, each far below the 40 ms of a delayed ACK. Every
    message is written in two pieces, which is what Nagle's algorithm would hold back."""
    answer = calls.response_bytes(calls.chat_answer())
    cut = answer.index(b"\r\n\r\n") + 4

    def handler(wire):
        while http1.read_request(wire) is not None:
            wire.send(answer[:cut])
            wire.send(answer[cut:])

    pair, _ = scripted(handler)
    body = calls.chat_body()
    head = http1.request_bytes("POST", calls.CHAT, calls.HOST, b"",
                               [("Content-Length", str(len(body)))])
    took = []
    with pair.connect(calls.HOST) as wire:
        for _ in range(50):
            begun = time.monotonic()
            wire.send(head)
            wire.send(body)
            assert wire.recv_exact(len(answer)) == answer
            took.append((time.monotonic() - begun) * 1000)
    assert statistics.median(took) < 15 * pairs.SLOW, sorted(took)
    assert sum(1 for each in took if each > 35 * pairs.SLOW) <= 5, sorted(took)


def test_connection_setup_is_not_delayed(metered):
    """CONNECT, two handshakes and one call: no 40 ms step in it."""
    took = []
    for _ in range(20):
        begun = time.monotonic()
        with metered.connect(calls.HOST) as wire:
            assert calls.post(wire).status == 200
        took.append((time.monotonic() - begun) * 1000)
    assert statistics.median(took) < 38 * pairs.SLOW, sorted(took)


def test_start_times(make_pair, provider):
    """The edge is ready within tens of milliseconds (generous bound), also without anything else."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file)
    pair.start_edge()
    pair.start_interceptor()
    print("start times, ms:", pair.start_ms)
    assert pair.start_ms["edge"] < 500 * pairs.SLOW
    assert pair.start_ms["daemon"] < 3000 * pairs.SLOW


ALLOWED = re.compile(r"linux-vdso|ld-linux|libuv\.|libfmt\.|libstdc\+\+|libgcc_s|libc\.|libm\."
                     r"|libpthread|libdl|librt|libresolv")


def test_diet_of_the_edge():
    """The edge links libuv, fmt and the C++ runtime, and nothing else."""
    binary = pairs.BIN / "halton-meter-edge"
    listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    strangers = [line.strip() for line in listed.splitlines()
                 if line.strip() and not ALLOWED.search(line)]
    strangers = [line for line in strangers if not re.search(r"lib(asan|tsan|ubsan|clang_rt)", line)]
    assert strangers == []
    names = binary.read_bytes()
    for stranger in (b"SSL_CTX_new", b"sqlite3_open", b"rapidjson", b"inflateInit", b"llhttp_init",
                     b"nghttp2_"):
        assert stranger not in names, stranger


def test_edge_source_is_small():
    """Under 1,500 lines of its own."""
    folder = pathlib.Path(pairs.ROOT) / "edge"
    lines = sum(len(path.read_text().splitlines())
                for path in folder.glob("*") if path.suffix in (".h", ".cc"))
    assert 0 < lines < 1500


@pytest.mark.smoke
def test_many_idle_connections(metered):
    """300 open tunnels do not disturb a call, and all are gone after their clients."""
    idle = [metered.tunnel(calls.HOST) for _ in range(300)]
    with metered.connect("api.anthropic.com") as wire:
        assert calls.post(wire, "/v1/messages", b"{}", "api.anthropic.com").status == 200
    for wire in idle:
        wire.close()
    assert metered.rows(1)

    def descriptors():
        return len(list(pathlib.Path(f"/proc/{metered.edge.pid}/fd").iterdir()))
    pairs.wait_for("descriptors given back", lambda: descriptors() < 60, 20)
