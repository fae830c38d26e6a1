"""What is bounded, and what happens at the bound: idle connections, memory, descriptors, peers that
vanish. The figures are those of docs/reliability.md."""

import contextlib
import os
import resource
import socket
import time

import pytest

import calls
import http1
import pair as pairs
import scripted_origin
import sink_origin
from conftest import everywhere

# docs/reliability.md: KiB of memory for each connection.
IDLE_TUNNEL_KIB = 8         # edge; the interceptor has no part in it
IDLE_SESSION_KIB = 32       # edge and interceptor together, before the ClientHello
STALLED_TUNNEL_KIB = 400    # edge: 256 KiB, one read of 64 KiB, and the idle part
STALLED_CALL_KIB = 1000     # edge and interceptor together: the same queue in each, and TLS


def room_for(wanted):
    """The test itself holds two descriptors for each connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, (hard - 300) // 2) if hard != resource.RLIM_INFINITY else wanted


@contextlib.contextmanager
def held(wires):
    """Closes them all at the end."""
    try:
        yield wires
    finally:
        for wire in wires:
            wire.close()


def one_call(pair):
    with pair.connect(calls.HOST, timeout=30) as wire:
        assert calls.post(wire).status == 200


def with_other(provider, address):
    return everywhere(provider.address) | {"www.example.org:443": address}


# --- many ----------------------------------------------------------------------------------------


def test_thousands_of_idle_connections(make_pair, provider):
    """2,000 idle tunnels and 500 idle LLM connections: calls go on being metered; memory for each
    stays below the stated figure; everything is given back."""
    with sink_origin.SinkOrigin() as sink:
        pair = make_pair(connect_to=with_other(provider, sink.address), ca_file=provider.ca_file)
        pair.start()
        one_call(pair)
        count = room_for(2000)
        edge, interceptor = pair.resident_kib(pair.edge), pair.resident_kib(pair.interceptor)
        with held([pair.tunnel("www.example.org") for _ in range(count)]):
            each = (pair.resident_kib(pair.edge) - edge) / count
            print(f"idle tunnel: {each:.1f} KiB each, {count} of them")
            assert each < IDLE_TUNNEL_KIB * pairs.SLOW
            edge = pair.resident_kib(pair.edge)
            sessions = min(500, count // 2)
            with held([pair.tunnel(calls.HOST) for _ in range(sessions)]):
                more = pair.resident_kib(pair.edge) - edge
                more += pair.resident_kib(pair.interceptor) - interceptor
                print(f"idle LLM connection: {more / sessions:.1f} KiB each")
                assert more / sessions < IDLE_SESSION_KIB * pairs.SLOW
                one_call(pair)
        assert len(pair.rows(2)) == 2
        pairs.wait_for("descriptors given back",
                       lambda: pair.open_descriptors(pair.edge) < 60
                       and pair.open_descriptors(pair.interceptor) < 60, 30)


def test_stalled_readers_cost_no_more_than_stated(make_pair, provider):
    """A hundred clients that do not read, before an origin that pours: queues stop at their mark,
    and an ordinary call goes through."""
    with sink_origin.SinkOrigin(pouring=True) as sink:
        pair = make_pair(connect_to=with_other(provider, sink.address), ca_file=provider.ca_file)
        pair.start()
        before = pair.resident_kib(pair.edge)
        with held([pair.tunnel("www.example.org") for _ in range(100)]) as wires:
            sizes = [before]
            for _ in range(40):  # the kernel's own buffers fill first
                time.sleep(0.5)
                sizes.append(pair.resident_kib(pair.edge))
                if len(sizes) > 6 and sizes[-1] == sizes[-4] > before + 1000:
                    break
            each = (max(sizes) - before) / len(wires)
            print(f"stalled tunnel: {each:.0f} KiB each")
            assert each < STALLED_TUNNEL_KIB * pairs.SLOW
            one_call(pair)
        assert pair.rows(1)


def test_stalled_readers_of_metered_calls_cost_no_more_than_stated(make_pair, authority):
    """The same for calls that are metered: fifty clients that do not read an answer of 64 MiB. Both
    processes together hold a bounded part of it, and all of it is given back."""
    head = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % (64 << 20))
    piece = b"x" * 65536

    def pour(wire):
        http1.read_request(wire)
        with contextlib.suppress(OSError):
            wire.send(head)
            for _ in range(1024):
                wire.send(piece)

    with scripted_origin.ScriptedOrigin(authority, pour, recording=False) as origin:
        pair = make_pair(connect_to=everywhere(origin.address), ca_file=authority.cert).start()

        def resident():
            return pair.resident_kib(pair.edge) + pair.resident_kib(pair.interceptor)

        before = resident()
        stalled = [pair.connect(calls.HOST, timeout=60) for _ in range(50)]
        with held(stalled):
            for wire in stalled:
                wire.send(http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body(),
                                              [("Content-Type", "application/json")]))
            sizes = [before]
            for _ in range(40):
                time.sleep(0.5)
                sizes.append(resident())
                if len(sizes) > 6 and sizes[-1] == sizes[-4] > before + 1000:
                    break
            each = (max(sizes) - before) / len(stalled)
            print(f"stalled metered call: {each:.0f} KiB each")
            assert each < STALLED_CALL_KIB * pairs.SLOW
        rows = pair.rows(50, 30)
        assert len(rows) == 50 and pair.database.misses() == []


# --- peers that vanish ---------------------------------------------------------------------------


def keepalive_timers(process):
    """Of each established TCP socket of a process: seconds until its timer, if it has one."""
    inodes = set()
    for name in os.listdir(f"/proc/{process.pid}/fd"):
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(f"/proc/{process.pid}/fd/{name}"))
    found = []
    for line in open(f"/proc/{process.pid}/net/tcp"):
        fields = line.split()
        if fields[3] == "01" and f"socket:[{fields[9]}]" in inodes:
            kind, when = fields[5].split(":")
            found.append(int(when, 16) / os.sysconf("SC_CLK_TCK") if kind == "02" else None)
    return found


def test_vanished_peers_are_found_out(metered):
    """TCP keepalive runs on every leg: client, edge, interceptor, origin; the first probe within a
    minute of silence."""
    with metered.connect(calls.HOST) as wire, metered.tunnel("api.anthropic.com"):
        assert calls.post(wire).status == 200
        time.sleep(0.3)  # a delayed ACK has a timer, too
        legs = keepalive_timers(metered.edge) + keepalive_timers(metered.interceptor)
        assert len(legs) >= 8, legs
        assert all(when is not None and 0 < when <= 60 for when in legs), legs


TCP_REPAIR = 19  # linux/tcp.h


def vanish(sock):
    """As a machine that loses its power: the peer hears nothing, and gets a reset when it asks."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.close()


def can_vanish():
    with socket.socket() as sock:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        except OSError:
            return False
    return True


@pytest.mark.skipif(not can_vanish(), reason="TCP_REPAIR needs CAP_NET_ADMIN")
def test_half_open_connections_end(make_pair, provider):
    """Clients that vanished without a word, in the middle of their head, of a raw tunnel and of a
    metered connection, and an origin that did: nobody writes anything, and yet after the first probe
    (60 s) every connection is gone from both processes, on all legs. Calls work all the time."""
    with sink_origin.SinkOrigin() as sink, socket.create_server(("127.0.0.1", 0)) as listener:
        pair = make_pair(connect_to=with_other(provider, sink.address)
                         | {"gone.example.org:443": f"127.0.0.1:{listener.getsockname()[1]}"},
                         ca_file=provider.ca_file, config="[edge]\nhead_timeout_ms = 120000").start()
        one_call(pair)
        pair.rows(1)
        legs = [pair.open_descriptors(each) for each in (pair.edge, pair.interceptor)]
        for _ in range(20):
            half = socket.create_connection(("127.0.0.1", pair.edge_port))
            half.sendall(b"CONNECT www.exam")
            vanish(half)
            vanish(pair.tunnel("www.example.org").sock)
            metered = pair.connect(calls.HOST)
            assert calls.post(metered).status == 200
            vanish(metered.sock)
        waiting = pair.tunnel("gone.example.org", timeout=100)
        vanish(listener.accept()[0])
        pair.rows(21)
        # What was still on its way to one that vanished is answered with a reset, and ends it at once.
        assert 41 <= int(pair.edge_status()["open_calls"]) <= 61
        begun = time.monotonic()
        assert waiting.recv() == b"" and 50 < time.monotonic() - begun
        pairs.wait_for("the end of all of them", lambda: pair.edge_status()["open_calls"] == "0"
                       and pair.interceptor_status()["sessions"] == "0", 40)
        pairs.wait_for("descriptors given back", lambda: all(
            pair.open_descriptors(each) <= before + 2
            for each, before in zip((pair.edge, pair.interceptor), legs)))
        one_call(pair)
        assert len(pair.rows(22)) == 22 and pair.database.misses() == []


def test_data_to_a_vanished_peer_ends_the_call_at_once(metered):
    """A half-open connection that somebody writes into is found out by the answer to that, long before
    any probe."""
    if not can_vanish():
        pytest.skip("TCP_REPAIR needs CAP_NET_ADMIN")
    wire = metered.connect("api.anthropic.com")
    body = b'{"model": "claude-haiku-4-5", "stream": true}'
    wire.send(http1.request_bytes("POST", "/v1/messages", "api.anthropic.com", body,
                                  [("x-sim-pace", "0.5"), ("x-sim-encoding", "identity")]))
    wire.recv_until(b"message_start")
    vanish(wire.sock)
    pairs.wait_for("the end", lambda: metered.edge_status()["open_calls"] == "0"
                   and metered.interceptor_status()["sessions"] == "0", 10)
    (row,) = metered.rows(1)
    assert (row["status"], row["tokens_complete"]) == ("cancelled", 0), row


@pytest.mark.parametrize("host", ["api.anthropic.com", "www.example.org"])
def test_a_reset_behind_an_end_ends_the_call(make_pair, provider, host):
    """A client that has said all it wants (FIN) and then is gone altogether (reset), before an origin
    that takes its time and does not mind the FIN: the connection is over, and with it the call."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pair = make_pair(connect_to=with_other(provider,
                                               f"127.0.0.1:{listener.getsockname()[1]}"),
                         ca_file=provider.ca_file).start()
        if host == "www.example.org":
            wire = pair.tunnel(host)
        else:
            wire = pair.connect(host)
            wire.send(http1.request_bytes(
                "POST", "/v1/messages", host, b'{"model": "claude-haiku-4-5", "stream": true}',
                [("x-sim-pace", "600"), ("x-sim-encoding", "identity")]))
            wire.recv_until(b"message_start")
        wire.fin()
        time.sleep(0.3)
        assert pair.edge_status()["open_calls"] == "1", "an answer may still come"
        wire.reset()
        pairs.wait_for("the end", lambda: pair.edge_status()["open_calls"] == "0"
                       and pair.interceptor_status()["sessions"] == "0", 5)


# --- descriptors ---------------------------------------------------------------------------------


def test_the_soft_limit_becomes_the_hard_one(make_pair):
    """`ulimit -n 1024` of a shell is no bound."""
    pair = make_pair().start()
    for process in (pair.edge, pair.interceptor):
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        assert soft == hard


def test_an_edge_with_few_descriptors(make_pair, provider):
    """A hard limit of 160: as many connections as fit are served, the others wait in the backlog
    and are served when there is room. None is refused, none fails."""
    with sink_origin.SinkOrigin() as sink:
        pair = make_pair(connect_to=with_other(provider, sink.address), ca_file=provider.ca_file,
                         descriptors=160).start()
        waiting = []
        for _ in range(120):
            sock = socket.create_connection(("127.0.0.1", pair.edge_port), timeout=60)
            sock.sendall(b"CONNECT www.example.org:443 HTTP/1.1\r\n\r\n")
            waiting.append(sock)
        pairs.wait_for("as many as fit", lambda: sink.connections >= 48)
        before = pair.cpu_seconds(pair.edge)
        time.sleep(1)
        assert pair.cpu_seconds(pair.edge) - before < 0.3 * pairs.SLOW, "it spins"
        assert sink.connections == 48
        for sock in waiting:  # who is served goes, and makes room
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
            sock.close()
        one_call(pair)
        assert pair.rows(1) and pair.edge.poll() is None


def test_an_edge_that_runs_out_of_descriptors(make_pair, provider):
    """The limit is lowered under a running edge: clients wait, it does not spin; calls it has
    accepted wait for a descriptor; afterwards everything is served."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file).start()
    one_call(pair)
    used = pair.open_descriptors(pair.edge)
    limits = pair.limit_descriptors(pair.edge, used, 4096)
    # The listening socket's backlog takes them; then one is accepted and has nothing to dial with.
    waiting = []
    for _ in range(10):
        sock = socket.create_connection(("127.0.0.1", pair.edge_port), timeout=60)
        sock.sendall(b"CONNECT api.openai.com:443 HTTP/1.1\r\n\r\n")
        waiting.append(sock)
    time.sleep(0.5)
    before = pair.cpu_seconds(pair.edge)
    time.sleep(1)
    assert pair.cpu_seconds(pair.edge) - before < 0.4 * pairs.SLOW, "it spins"
    pair.limit_descriptors(pair.edge, used + 1, 4096)
    time.sleep(0.5)
    pair.limit_descriptors(pair.edge, min(limits[0], 4096), 4096)
    for sock in waiting:
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        sock.close()
    pair.wait_gate("open")
    one_call(pair)
    assert pair.rows(2) and pair.edge.poll() is None


@pytest.mark.parametrize("spare", [0, 1])
def test_an_interceptor_without_descriptors(make_pair, provider, spare):
    """Its limit is lowered under it: with none left it cannot answer an ask, with one left it
    cannot dial. Calls go raw, each is a miss; it does not spin, does not end, and meters again."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file).start()
    trust = pair.folder / "both.pem"
    trust.write_text(pair.ca_file.read_text() + provider.ca_file.read_text())
    one_call(pair)
    pair.rows(1)
    time.sleep(0.5)
    limits = pair.limit_descriptors(pair.interceptor,
                                    pair.open_descriptors(pair.interceptor) + spare, 4096)
    for _ in range(5):
        begun = time.monotonic()
        with pair.connect(calls.HOST, trust=trust) as wire:
            assert calls.post(wire).status == 200
            assert wire.issuer() == "Simulated provider root"
        assert time.monotonic() - begun < 3 * pairs.SLOW
    before = pair.cpu_seconds(pair.interceptor)
    time.sleep(1)
    assert pair.cpu_seconds(pair.interceptor) - before < 0.4 * pairs.SLOW, "it spins"
    pair.limit_descriptors(pair.interceptor, min(limits[0], 4096), 4096)

    def metered_again():
        pair.wait_gate("open")
        with pair.connect(calls.HOST, trust=trust) as wire:
            assert calls.post(wire).status == 200
            return wire.issuer() != "Simulated provider root"
    pairs.wait_for("metering again", metered_again)
    pairs.wait_for("every raw call is a miss",
                   lambda: sum(miss["count"] for miss in pair.database.misses()) >= 5)
    assert pair.interceptor.poll() is None


# --- slow heads ----------------------------------------------------------------------------------


def test_slow_heads(make_pair, provider):
    """Three hundred clients that never finish their head, byte by byte: each is told 408 in its
    time, and calls do not notice."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file,
                     config="[edge]\nhead_timeout_ms = 3000").start()
    slow = [socket.create_connection(("127.0.0.1", pair.edge_port), timeout=60)
            for _ in range(300)]
    for _ in range(3):
        for sock in slow:
            sock.sendall(b"C")
        time.sleep(0.2)
    one_call(pair)
    for sock in slow:
        assert sock.recv(4096).startswith(b"HTTP/1.1 408 ")
        sock.close()
    pairs.wait_for("no call left", lambda: pair.edge_status()["open_calls"] == "0")
    assert pair.rows(1)
