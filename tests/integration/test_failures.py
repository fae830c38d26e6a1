"""The call comes first: what happens to calls when the interceptor is dead, hung or back again."""

import signal
import ssl
import time

import pytest

import calls
import control
import pair as pairs
from conftest import everywhere

OURS, THEIRS = "ours", "theirs"


def both(pair, provider):
    """A bundle that trusts the meter's CA and the provider's: works metered and raw."""
    path = pair.folder / "both.pem"
    path.write_text(pair.ca_file.read_text() + provider.ca_file.read_text())
    return path


def one_call(pair, provider, trust):
    """One call on a fresh connection; tells whose certificate the client saw."""
    with pair.connect(calls.HOST, trust=trust) as wire:
        assert calls.post(wire).status == 200
        return THEIRS if wire.issuer() == "Simulated provider root" else OURS


@pytest.mark.smoke
def test_killed_interceptor(metered, provider):
    """kill -9: the very next call works raw and is in the ledger; once back, calls are metered
    again, with the same edge process."""
    trust = both(metered, provider)
    assert one_call(metered, provider, trust) == OURS
    edge = metered.edge.pid
    metered.rows(1)
    metered.signal(metered.interceptor, signal.SIGKILL)
    begun = time.monotonic()
    assert one_call(metered, provider, trust) == THEIRS
    assert time.monotonic() - begun < 2 * pairs.SLOW
    metered.wait_gate("closed")
    assert one_call(metered, provider, trust) == THEIRS

    metered.start_interceptor()
    metered.wait_gate("open")
    assert one_call(metered, provider, trust) == OURS
    assert metered.edge.poll() is None and metered.edge.pid == edge
    assert len(metered.rows(2)) == 2
    pairs.wait_for("two misses handed over",
                   lambda: sum(miss["count"] for miss in metered.database.misses()) >= 2)
    reasons = set(metered.database.miss_reasons())
    assert reasons <= {"ask_refused", "gate_closed", "interceptor_lost", "ask_timeout"}, reasons
    assert all(miss["host"] == calls.HOST for miss in metered.database.misses())


@pytest.mark.smoke
def test_stopped_interceptor(metered, provider):
    """SIGSTOP: the next call succeeds within the ask limit; SIGCONT: metered again."""
    trust = both(metered, provider)
    assert one_call(metered, provider, trust) == OURS
    metered.signal(metered.interceptor, signal.SIGSTOP)
    begun = time.monotonic()
    assert one_call(metered, provider, trust) == THEIRS
    assert time.monotonic() - begun < 2 * pairs.SLOW, "the ask limit is 300 ms"
    metered.wait_gate("closed")
    metered.signal(metered.interceptor, signal.SIGCONT)
    metered.wait_gate("open")
    assert one_call(metered, provider, trust) == OURS
    metered.misses()


def test_edge_alone(make_pair, provider):
    """No interceptor was ever started: every call works, raw."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file)
    pair.start_edge()
    for _ in range(3):
        with pair.connect(calls.HOST, trust=provider.ca_file) as wire:
            assert calls.post(wire).status == 200
    assert pair.edge_status().get("gate") == "closed"
    pair.start_interceptor()
    pair.wait_gate("open")
    pairs.wait_for("the misses of before",
                   lambda: sum(miss["count"] for miss in pair.database.misses()) >= 3)


def test_misses_outlive_a_restart_of_the_edge(make_pair, provider):
    """The ledger is kept in a file: misses of an edge that was restarted are not lost."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file)
    pair.start_edge()
    with pair.connect(calls.HOST, trust=provider.ca_file) as wire:
        calls.post(wire)
    pair.edge.terminate()
    pair.edge.wait(timeout=20)
    pair.start_edge()
    pair.start_interceptor()
    pair.wait_gate("open")
    pair.misses()


@pytest.mark.smoke
def test_killed_in_the_middle_of_a_call(scripted, authority):
    """The one window that cannot be covered: the call breaks at once instead of hanging, is in the
    ledger, and the client's own retry works."""
    def handler(wire):
        import http1
        while http1.read_request(wire) is not None:
            wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")

    pair, _ = scripted(handler)
    wire = pair.connect(calls.HOST)
    wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    wire.recv_until(b"abc")
    pair.signal(pair.interceptor, signal.SIGKILL)
    begun = time.monotonic()
    assert wire.recv_all() in (b"", b"\r\n")
    assert time.monotonic() - begun < 5
    with pair.connect(calls.HOST, trust=authority.cert) as again:
        again.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        again.recv_until(b"abc")
    pair.start_interceptor()
    pair.wait_gate("open")
    pair.misses("interceptor_lost")


def test_database_that_cannot_be_written(make_pair, provider):
    """A home whose database is a folder: calls still work and the process lives."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file)
    (pair.home / "db.sqlite").mkdir()
    pair.start_edge()
    pair.start_interceptor()
    # Whether the gate is open by now or not: both ways to the answer are fine.
    bundle = pair.folder / "any.pem"
    bundle.write_text(provider.ca_file.read_text() +
                      (pair.ca_file.read_text() if pair.ca_file.exists() else ""))
    with pair.connect(calls.HOST, trust=bundle) as wire:
        assert calls.post(wire).status == 200
    assert pair.edge.poll() is None


@pytest.mark.smoke
def test_orderly_stop_loses_no_row(metered):
    """SIGTERM right after a call: the row is in the database when the process has ended."""
    with metered.connect(calls.HOST) as wire:
        assert calls.post(wire).status == 200
    metered.stop()
    assert metered.interceptor.returncode == 0 and metered.edge.returncode == 0
    assert len(metered.database.requests()) == 1


def test_dead_origin_is_a_502(make_pair):
    """Nobody listens at the origin: the client gets a 502 from a proxy, not a reset, and not a
    second attempt that takes another age."""
    import socket
    pair = make_pair(connect_to=everywhere("127.0.0.1:9"))
    pair.start()
    with socket.create_connection(("127.0.0.1", pair.edge_port), timeout=20) as sock:
        sock.sendall(b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_first_flight_is_kept_and_replayed(make_pair, provider, number):
    """The interceptor has said 200 and dies, or hangs, before its ServerHello: the client's hello
    goes to the origin instead, and the client notices nothing."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file,
                     config="[edge]\nfirst_answer_limit_ms = 1000\n").start()
    import wire as wires
    context = wires.client_context(both(pair, provider), ["http/1.1"])
    with pair.tunnel(calls.HOST) as wire:
        pair.signal(pair.interceptor, number)
        wire.start_tls(context, server_hostname=calls.HOST)
        assert wire.issuer() == "Simulated provider root"
        assert calls.post(wire).status == 200
    assert int(pair.edge_status()["edge.rescued"]) == 1
    if number == signal.SIGSTOP:
        pair.signal(pair.interceptor, signal.SIGCONT)
    else:
        pair.start_interceptor()
    pair.wait_gate("open")
    misses = pair.misses("no_first_answer" if number == signal.SIGSTOP else "interceptor_lost")
    assert sum(miss["count"] for miss in misses) == 1
    assert pair.database.requests() == []


def client_hello(host):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("gives_up", ["interceptor", "client"])
def test_nobody_waits_twice_for_a_silent_origin(scripted, authority, gives_up):
    """Once an origin has not answered our hello, the next connections to it are raw from the start,
    each of them a miss, until it is asked again."""
    heard = []

    def handler(wire):
        heard.append(wire.recv_all())

    pair, origin = scripted(handler, tls=False, start=False)
    limit_ms = 1000 if gives_up == "interceptor" else 50_000
    pair.write_config({f"{calls.HOST}:443": origin.address}, authority.cert,
                      "[edge]\nfirst_answer_limit_ms = 60000\n"
                      f"[intercept]\nhandshake_timeout_ms = {limit_ms}\n")
    pair.start()
    hello = client_hello(calls.HOST)
    with pair.tunnel(calls.HOST) as wire:
        wire.send(hello)
        if gives_up == "interceptor":
            pairs.wait_for("the second try", lambda: len(origin.sessions) == 2)
        else:
            time.sleep(2.5)  # a client that does not wait longer
    pairs.wait_for("the memory", lambda: pair.interceptor_status().get("silent_origin.0"))
    before = len(origin.sessions)
    for _ in range(3):
        with pair.tunnel(calls.HOST) as wire:
            wire.send(hello)
            wire.fin()
            wire.recv_all()
    pairs.wait_for("all to be heard", lambda: len(heard) == before + 3)
    assert heard[before:] == [hello] * 3  # the client's own, at once and once
    told = pair.interceptor_status()["silent_origin.0"]
    assert f"host={calls.HOST}" in told and "tunnelled=3" in told
    assert sum(miss["count"] for miss in pair.misses("origin_timeout")) == 4
    control.ask(pair.run_dir / "daemon.sock", "reload")
    assert "silent_origin.0" not in pair.interceptor_status()


@pytest.mark.parametrize("first", ["edge", "interceptor"])
def test_a_silent_origin_is_one_miss(scripted, authority, first):
    """An origin that says nothing to the hello: whoever loses patience first goes round, and the call
    is counted once, whatever the other one thinks of it."""
    def handler(wire):
        wire.recv_all()

    pair, origin = scripted(handler, tls=False, start=False)
    edge_ms, interceptor_ms = (500, 1200) if first == "edge" else (1200, 500)
    pair.write_config({f"{calls.HOST}:443": origin.address}, authority.cert,
                      f"[edge]\nfirst_answer_limit_ms = {edge_ms}\n"
                      f"[intercept]\nhandshake_timeout_ms = {interceptor_ms}\n")
    pair.start()
    with pair.tunnel(calls.HOST) as wire:
        wire.send(client_hello(calls.HOST))
        pairs.wait_for("both to have tried", lambda: len(origin.sessions) >= 2)
        time.sleep(2)
    pair.misses()
    pair.stop()
    (miss,) = pair.database.misses()
    assert miss["count"] == 1 and miss["reason"] in ("no_first_answer", "origin_timeout"), miss
