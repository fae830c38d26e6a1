"""Reaching origins: names that hang or fail, broken IPv6, upstream proxies, local servers, and our
own ports, which nobody reaches through the proxy."""

import socket
import threading
import time

import pytest

import calls
import dns as name_service
import http1
import pair as pairs
import scripted_origin
import upstream_proxy
import wire as wires
from conftest import everywhere


# The interceptor learns the edge's port when it starts, or with the first ask of a later edge.
EITHER_FIRST = pytest.mark.parametrize("edge_first", [True, False])


@pytest.fixture
def dns(tmp_path):
    return name_service.Dns(tmp_path / "dns")


def ask(pair, head, timeout=30):
    """What the edge answers to a head, until it closes."""
    with socket.create_connection(("127.0.0.1", pair.edge_port), timeout * pairs.SLOW) as sock:
        sock.sendall(head)
        said = b""
        try:
            while data := sock.recv(65536):
                said += data
        except ConnectionResetError:
            pass
    return said


def connect(pair, target, timeout=30):
    return ask(pair, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode(), timeout)


def call(pair, host=calls.HOST, trust=None):
    with pair.connect(host, trust=trust) as wire:
        assert calls.post(wire, host=host).status == 200


def named(provider, name="origin.test"):
    """connect_to that leads through a name, so that name service is in the way of every call."""
    return everywhere(f"{name}:{provider.port}")


# --- names ---------------------------------------------------------------------------------------


def test_hung_name_servers_hurt_nobody_else(make_pair, provider, dns):
    """Forty connections to hosts whose look-up never ends: calls to other hosts, metered and raw,
    which are looked up too, do not notice. Hung calls end with a 502 at their deadline."""
    pair = make_pair(connect_to=named(provider), ca_file=provider.ca_file,
                     config="[edge]\nconnect_timeout_ms = 4000", environment=dns.environment)
    dns.set("origin.test", "addr 127.0.0.1")
    for number in range(10):
        dns.set(f"hung{number}.test", "hang")
    pair.start()
    hung = []
    for number in range(40):
        sock = socket.create_connection(("127.0.0.1", pair.edge_port), timeout=60)
        sock.sendall(f"CONNECT hung{number % 10}.test:443 HTTP/1.1\r\n\r\n".encode())
        hung.append(sock)
    begun = time.monotonic()
    for _ in range(10):
        call(pair)
    assert time.monotonic() - begun < 4 * pairs.SLOW
    assert len(pair.rows(10)) == 10
    for sock in hung:
        assert sock.recv(65536).startswith(b"HTTP/1.1 502 ")
        sock.close()
    assert pair.database.misses() == []


def test_an_interceptor_whose_name_service_hangs(make_pair, provider, dns):
    """A metered host cannot be looked up: 502 after the deadline and the edge's own try, and others go on being metered."""
    hosts = everywhere(f"127.0.0.1:{provider.port}")
    hosts["api.anthropic.com:443"] = f"hung.test:{provider.port}"
    dns.set("hung.test", "hang")
    pair = make_pair(connect_to=hosts, ca_file=provider.ca_file, environment=dns.environment,
                     config="[edge]\nconnect_timeout_ms = 2000").start()
    said = []
    stuck = [threading.Thread(target=lambda: said.append(connect(pair, "api.anthropic.com:443")))
             for _ in range(8)]
    for thread in stuck:
        thread.start()
    for _ in range(5):
        call(pair)
    for thread in stuck:
        thread.join()
    assert len(pair.rows(5)) == 5
    assert len(said) == 8 and all(each.startswith(b"HTTP/1.1 502 ") for each in said)


def test_an_interceptor_that_alone_cannot_reach_the_origin(make_pair, provider, dns):
    """What is the interceptor's own trouble fails no call: the edge tries itself. One miss."""
    pair = make_pair(connect_to=named(provider), ca_file=provider.ca_file,
                     environment=dns.environment)
    dns.set("origin.test", "none")
    pair.start_interceptor()
    pair.process_environment = {**dns.environment, "HM_TEST_DNS": str(dns.folder / "well")}
    (dns.folder / "well").write_text("origin.test * addr 127.0.0.1\n")
    pair.start_edge()
    pair.wait_gate("open")
    call(pair, trust=provider.ca_file)
    miss = calls.check_miss(pair, "origin_unreachable")
    assert "dialer.resolve" in miss["detail"]
    (dns.folder / "well").write_text("origin.test * none\n")
    assert connect(pair, f"{calls.HOST}:443").startswith(b"HTTP/1.1 502 ")
    pairs.wait_for("two misses", lambda: len(pair.database.misses()) == 2)
    pair.stop()
    assert len(pair.database.misses()) == 2
    assert pair.database.requests() == []


def test_failing_name_servers(make_pair, provider, dns):
    """Addresses that were good are used while the name servers fail or hang; 'no such name' is
    believed."""
    pair = make_pair(connect_to=named(provider), ca_file=provider.ca_file,
                     environment=dns.environment)
    dns.set("origin.test", "addr 127.0.0.1")
    pair.start()
    call(pair)
    dns.set("origin.test", "again")
    call(pair)
    dns.set("origin.test", "hang")
    call(pair)
    assert len(pair.rows(3)) == 3
    dns.set("origin.test", "none")
    assert connect(pair, f"{calls.HOST}:443").startswith(b"HTTP/1.1 502 ")
    assert connect(pair, "never-seen.test:443").startswith(b"HTTP/1.1 502 ")
    dns.set("origin.test", "addr 127.0.0.1")
    call(pair)
    assert len(pair.rows(4)) == 4


@pytest.mark.parametrize("six", ["addr ::1", "addr 2001:db8::1", "hang", "again", "none"])
def test_broken_ipv6(make_pair, provider, dns, six):
    """IPv6 that is refused, has no route, is lost or fails in the name service: IPv4 is taken, and
    at once."""
    pair = make_pair(connect_to=named(provider), ca_file=provider.ca_file,
                     environment=dns.environment)
    dns.set("origin.test", six, "6")
    dns.set("origin.test", "addr 127.0.0.1", "4")
    pair.start()
    begun = time.monotonic()
    call(pair)
    assert time.monotonic() - begun < 2 * pairs.SLOW
    assert pair.rows(1)


# --- an upstream proxy ---------------------------------------------------------------------------


def behind(make_pair, provider, url, no_proxy=(), start=True):
    listed = ", ".join(f'"{rule}"' for rule in no_proxy)
    pair = make_pair(ca_file=provider.ca_file)
    (pair.home / "config.toml").write_text(
        f'[upstream]\nproxy = "{url}"\nno_proxy = [{listed}]\nca_file = "{provider.ca_file}"\n')
    return pair.start() if start else pair


@pytest.mark.parametrize("password", [None, "user:p@ss"])
def test_calls_through_an_upstream_proxy(make_pair, provider, password):
    """Metered calls, raw calls and other hosts all go through it, with the password if it has one;
    the password is nowhere in what we write."""
    routes = {f"{calls.HOST}:443": provider.address, "www.example.org:443": provider.address}
    with upstream_proxy.UpstreamProxy(routes, password) as proxy:
        pair = behind(make_pair, provider, proxy.url(password and "user:p%40ss"))
        call(pair)
        assert len(pair.rows(1)) == 1
        with pair.tunnel("www.example.org") as wire:
            wire.send(b"x")
        pair.interceptor.kill()
        pair.interceptor.wait()
        call(pair, trust=provider.ca_file)
        targets = [head.target for head in proxy.asked]
        assert targets == [f"{calls.HOST}:443", "www.example.org:443", f"{calls.HOST}:443"]
        assert "p@ss" not in pair.logs(True) and "p%40ss" not in pair.logs(True)


def test_an_upstream_proxy_that_wants_a_password(make_pair, provider):
    """Its 407 reaches the client as a 407 that says what to do, metered and raw."""
    with upstream_proxy.UpstreamProxy({}, "user:right") as proxy:
        pair = behind(make_pair, provider, proxy.url("user:wrong"))
        for host in (calls.HOST, "www.example.org"):
            said = connect(pair, f"{host}:443")
            assert said.startswith(b"HTTP/1.1 407 "), said
            assert b"\r\nProxy-Authenticate: Basic " in said and b"config.toml" in said
        assert "wrong" not in pair.logs(True)


def test_an_upstream_proxy_that_refuses(make_pair, provider):
    """A 403 of the proxy is a 502 that names the proxy."""
    with upstream_proxy.UpstreamProxy({}, refuse=403) as proxy:
        pair = behind(make_pair, provider, proxy.url())
        said = connect(pair, "www.example.org:443")
        assert said.startswith(b"HTTP/1.1 502 ") and b"upstream proxy" in said


def test_no_proxy_and_loopback(make_pair, provider, authority):
    """Hosts of no_proxy and everything local go past the proxy: here it would refuse them."""
    def handler(wire):
        http1.read_request(wire)
        wire.send(calls.response_bytes(b"local", content_type="text/plain"))

    with upstream_proxy.UpstreamProxy({}, refuse=403) as proxy, \
            scripted_origin.ScriptedOrigin(authority, handler, tls=False) as origin:
        pair = behind(make_pair, provider, proxy.url(), no_proxy=["127.0.0.0/8", ".corp.example"])
        for host in ("127.0.0.1", "localhost", "127.0.0.9"):
            if host == "127.0.0.9":  # not listened on: but asked for directly, so refused there
                assert b"upstream proxy" not in connect(pair, f"{host}:{origin.port}")
                continue
            with pair.tunnel(host, origin.port) as wire:
                wire.send(http1.request_bytes("GET", "/", host))
                assert http1.read_response(wire).body == b"local"
        assert proxy.asked == []


def test_plain_http_through_an_upstream_proxy(make_pair, provider, authority):
    """Many proxies allow CONNECT to port 443 alone: plain requests go in absolute form, with our
    credentials for the proxy and without the client's."""
    def handler(wire):
        http1.read_request(wire)
        wire.send(calls.response_bytes(b"plain", content_type="text/plain"))

    with scripted_origin.ScriptedOrigin(authority, handler, tls=False) as origin, \
            upstream_proxy.UpstreamProxy({"www.example.org:80": origin.address,
                                          "www.example.org:81": origin.address}, "u:p") as proxy:
        pair = behind(make_pair, provider, proxy.url("u:p"))
        for port in ("", ":81"):
            said = ask(pair, f"POST http://www.example.org{port}/a?b HTTP/1.1\r\nHost: x\r\n"
                       "Proxy-Authorization: Basic bWluZQ==\r\nContent-Length: 2\r\n\r\nhi".encode())
            assert said.endswith(b"plain")
            head = proxy.asked[-1]
            assert head.method == "POST" and head.target == f"http://www.example.org{port}/a?b"
            assert head.head.count(b"Proxy-Authorization") == 1
            assert head.header("Proxy-Authorization") == "Basic dTpw"


@EITHER_FIRST
def test_an_upstream_proxy_that_is_ourselves(make_pair, provider, dns, edge_first):
    """HTTPS_PROXY copied into config.toml: no circle, calls go directly, whoever was there first and
    although the edge is not at the configured port."""
    port = socket.create_server(("127.0.0.1", 0))
    number = port.getsockname()[1]
    port.close()
    dns.set("origin.test", "addr 127.0.0.1")  # a literal loopback address never goes to a proxy
    pair = make_pair(connect_to=named(provider), ca_file=provider.ca_file,
                     environment=dns.environment)
    text = (pair.home / "config.toml").read_text()
    (pair.home / "config.toml").write_text(
        text.replace("[upstream]\n", f'[upstream]\nproxy = "http://127.0.0.1:{number}"\n'))
    if not edge_first:
        pair.start_interceptor()
    pair.start_edge(number)
    assert connect(pair, "no-such-host.invalid:443", 60).startswith(b"HTTP/1.1 502 ")
    assert pairs.wait_for("no connections left", lambda: pair.edge_status()["open_calls"] == "0")
    if edge_first:
        pair.start_interceptor()
    pair.wait_gate("open")
    before = int(pair.edge_status()["edge.accepted"])
    call(pair)
    assert len(pair.rows(1)) == 1
    assert int(pair.edge_status()["edge.accepted"]) == before + 1, "it went in a circle"


# --- this machine --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_local_servers(make_pair, authority, host):
    """A local server (an MCP server, say) through CONNECT and in absolute form: an event stream
    arrives event by event; a server that speaks first does."""
    go_on = threading.Event()

    def stream(wire):
        http1.read_request(wire)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: endpoint\n\n")
        go_on.wait(20)
        wire.send(b"event: message\n\n")

    def first(wire):
        wire.send(b"220 hello\r\n")
        assert wire.recv_exact(4) == b"QUIT"
        wire.send(b"221 bye\r\n")

    pair = make_pair().start()
    with scripted_origin.ScriptedOrigin(authority, stream, tls=False) as origin:
        for tunnelled in (True, False):
            go_on.clear()
            if tunnelled:
                wire, target = pair.tunnel(host, origin.port), "/sse"
            else:
                wire = wires.Wire(socket.create_connection(("127.0.0.1", pair.edge_port), 30), 30)
                target = f"http://{host}:{origin.port}/sse"
            with wire:
                wire.send(http1.request_bytes("GET", target, f"{host}:{origin.port}"))
                wire.recv_until(b"event: endpoint\n\n")
                go_on.set()
                assert wire.recv_until(b"event: message\n\n")
    with scripted_origin.ScriptedOrigin(authority, first, tls=False) as origin:
        with pair.tunnel(host, origin.port) as wire:
            assert wire.recv_exact(11) == b"220 hello\r\n"
            wire.send(b"QUIT")
            assert wire.recv_all() == b"221 bye\r\n"


def network_addresses():
    """This machine's addresses that are not loopback ones, if it has any."""
    return [each for each in own_addresses() if each[0].isdigit() or each[0] == "["
            if not each.startswith(("127.", "[::1]"))]


@pytest.mark.parametrize("upstream", [False, True], ids=["direct", "no_proxy"])
def test_servers_at_private_addresses_and_at_ipv6_loopback(make_pair, provider, authority,
                                                           upstream):
    """A server in the private network, or at ::1, through CONNECT and in absolute form: tunnelled raw,
    neither row nor miss, also when calls go to an upstream proxy and no_proxy names the network."""
    def handler(wire):
        http1.read_request(wire)
        wire.send(calls.response_bytes(b"near", content_type="text/plain"))

    addresses = [*network_addresses(), "[::1]"]
    with upstream_proxy.UpstreamProxy({}, refuse=403) as proxy:
        if upstream:
            pair = behind(make_pair, provider, proxy.url(),
                          no_proxy=["192.0.2.0/24", "10.0.0.0/8", "172.16.0.0/12",
                                    "192.168.0.0/16", "fc00::/7", "2000::/3"])
        else:
            pair = make_pair(connect_to=everywhere(provider.address),
                             ca_file=provider.ca_file).start()
        for host in addresses:
            with scripted_origin.ScriptedOrigin(authority, handler, tls=False,
                                                address=host.strip("[]")) as origin:
                with pair.tunnel(host, origin.port) as wire:
                    wire.send(http1.request_bytes("GET", "/mcp", host))
                    assert http1.read_response(wire).body == b"near"
                said = ask(pair, f"GET http://{host}:{origin.port}/mcp HTTP/1.1\r\nHost: x\r\n"
                           "\r\n".encode())
                assert said.endswith(b"near"), said
        assert proxy.asked == []
        pair.stop()
        assert pair.database.requests() == [] and pair.database.misses() == []


SPELLINGS = ["127.0.0.1", "localhost", "LOCALHOST", "localhost.", "a.localhost", "127.1",
             "127.0.1", "127.8.9.10", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "0",
             "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
             "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:0.0.0.0]", "rebound.test", "rebound6.test"]


def own_addresses():
    """This machine's addresses on its networks, if it has any."""
    found = set()
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect((target, 9))  # sends nothing
                found.add(sock.getsockname()[0])
            except OSError:
                pass
    found.add(socket.gethostname())
    return [f"[{each}]" if ":" in each else each for each in found]


def test_own_ports_are_out_of_reach(make_pair, provider, dns):
    """CONNECT and absolute form to the edge, the interceptor and the API, by every spelling: the
    address that would be dialled is what counts. Not one byte reaches them."""
    dns.set("rebound.test", "addr 127.0.0.1")
    dns.set("rebound6.test", "addr ::1 ::ffff:127.0.0.1")
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file,
                     environment=dns.environment).start()
    ports = pair.ports()
    names = ("edge_port", "internal_port", "api_port")
    reached = pair.interceptor_status()
    for port in (ports[name] for name in names):
        for host in SPELLINGS:
            said = connect(pair, f"{host}:{port}")
            assert said.startswith(b"HTTP/1.1 403 "), (host, port, said)
            said = ask(pair, f"GET http://{host}:{port}/health HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert said.startswith(b"HTTP/1.1 403 "), (host, port, said)
        for host in own_addresses():
            said = connect(pair, f"{host}:{port}", 60)
            assert said.split(b" ")[1] in (b"403", b"502"), (host, port, said)
    assert reached and pair.edge.poll() is None
    call(pair)
    assert pair.rows(1)


@EITHER_FIRST
def test_own_ports_at_the_interceptors_own_door(make_pair, provider, dns, edge_first):
    """The same of somebody who goes past the edge: 8090 leads to none of the three either."""
    dns.set("rebound.test", "addr 127.0.0.1")
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file,
                     environment=dns.environment)
    for start in (pair.start_edge, pair.start_interceptor) if edge_first else \
            (pair.start_interceptor, pair.start_edge):
        start()
    pair.wait_gate("open")
    ports = pair.ports()
    for port in (ports[name] for name in ("edge_port", "internal_port", "api_port")):
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "rebound.test"):
            with socket.create_connection(("127.0.0.1", ports["internal_port"]), 20) as sock:
                wire = wires.Wire(sock)
                wire.send(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                said = wire.recv_all()
                assert b" 200 " not in said and b"HTTP/1.1 " in said, (host, port, said)
    call(pair)
    assert pair.rows(1)
