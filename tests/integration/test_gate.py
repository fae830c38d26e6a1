"""The gate and the ask, by the clock: how often the edge knocks, what opens the gate and what does not,
how long a call may be kept waiting by an interceptor, and how soon that says that it has a call."""

import json
import signal
import socket
import statistics
import threading
import time

import pytest

import calls
import dns as name_service
import fake_interceptor
import pair as pairs
import wire as wires
from conftest import everywhere

ASK_LIMIT_S = 0.3  # [edge] ask_limit_ms, as it is when nobody has set it


@pytest.fixture
def before(make_pair, provider):
    """before(fake) -> a pair whose edge takes the fake for its interceptor; nothing configured."""
    def make(fake):
        pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file)
        (pair.run_dir / "effective-ports.json").write_text(json.dumps({"internal_port": fake.port}))
        return pair.start_edge()
    return make


def raw_call(pair, provider):
    """A call that the edge has to carry past the interceptor; how long its 200 took."""
    begun = time.monotonic()
    with pair.tunnel(calls.HOST) as wire:
        took = time.monotonic() - begun
        wire.start_tls(wires.client_context(provider.ca_file, ["http/1.1"]),
                       server_hostname=calls.HOST)
        assert calls.post(wire).status == 200
    return took


def pauses(fake, count):
    """The pauses between so many knocks from now on."""
    start = len(fake.knocks)
    pairs.wait_for(f"{count} knocks", lambda: len(fake.knocks) > start + count, 20)
    times = fake.knocks[start:start + count + 1]
    return [later - earlier for earlier, later in zip(times, times[1:])]


def test_it_knocks_each_second_while_open_and_five_times_while_closed(before):
    """Asymmetric: a second between knocks while calls are metered, 200 ms while they are not."""
    with fake_interceptor.FakeInterceptor() as fake:
        pair = before(fake).wait_gate("open")
        slow = pauses(fake, 4)
        assert 0.9 < statistics.median(slow) < 1.3 * pairs.SLOW and min(slow) > 0.8, slow
        fake.knock = "refuse"
        pair.wait_gate("closed", 3)  # by the next knock, one is enough
        fast = pauses(fake, 10)
        assert 0.18 < statistics.median(fast) < 0.3 * pairs.SLOW and min(fast) > 0.15, fast
        fake.knock = fake_interceptor.GOOD
        begun = time.monotonic()
        pair.wait_gate("open")
        assert time.monotonic() - begun < 0.7 * pairs.SLOW, "two good knocks, 200 ms apart"


@pytest.mark.parametrize("knock", [
    None, b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 404 No\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 503 Full\r\n\r\n", b"ok\r\n", b"", "refuse",
], ids=["silent", "any proxy", "404", "full", "nonsense", "closes", "resets"])
def test_a_port_that_is_open_opens_nothing(before, provider, knock):
    """Somebody accepts at the port; but nobody there says that a call would be metered."""
    with fake_interceptor.FakeInterceptor(knock=knock) as fake:
        pair = before(fake)
        pairs.wait_for("some knocks", lambda: len(fake.knocks) >= 4, 20)
        assert pair.edge_status()["gate"] == "closed"
        raw_call(pair, provider)
        assert pair.edge_status()["gate"] == "closed" and len(fake.asks) <= 1


@pytest.mark.parametrize("how", ["refuse", b""], ids=["resets", "closes"])
def test_one_refused_ask_closes_at_once(before, provider, how):
    """Its knocks are answered well, and then it takes no call: that call goes raw at once, and the
    next one does not even ask."""
    with fake_interceptor.FakeInterceptor(ask=how) as fake:
        pair = before(fake).wait_gate("open")
        fake.knock = "refuse"  # or two good ones would open it again
        assert raw_call(pair, provider) < ASK_LIMIT_S * pairs.SLOW, "a refusal is not waited for"
        assert pair.edge_status()["gate"] == "closed"
        raw_call(pair, provider)
        assert len(fake.asks) == 1
        pairs.wait_for("two misses", lambda: pair.edge_status()["ledger.calls"] == "2")


def test_a_silent_ask_costs_300_ms_once(before, provider):
    """It takes the connection and says nothing: after 300 ms the call goes on without it, and the next
    one does not wait."""
    with fake_interceptor.FakeInterceptor(ask=None) as fake:
        pair = before(fake).wait_gate("open")
        fake.knock = "refuse"
        first, second = raw_call(pair, provider), raw_call(pair, provider)
        assert ASK_LIMIT_S - 0.01 < first < (ASK_LIMIT_S + 0.15) * pairs.SLOW, first
        assert second < ASK_LIMIT_S * pairs.SLOW and len(fake.asks) == 1, (second, len(fake.asks))


# --- the real interceptor's side -----------------------------------------------------------------


@pytest.fixture
def apart(make_pair, provider, tmp_path):
    """A pair whose interceptor waits for a name service without end, and whose edge does not."""
    dns = name_service.Dns(tmp_path / "dns")
    dns.set("origin.test", "hang")
    well = dns.folder / "well"
    well.write_text("origin.test * addr 127.0.0.1\n")
    pair = make_pair(connect_to=everywhere(f"origin.test:{provider.port}"),
                     ca_file=provider.ca_file, environment=dns.environment)
    pair.start_interceptor()
    pair.process_environment = {**dns.environment, "HM_TEST_DNS": str(well)}
    pair.start_edge()
    return pair.wait_gate("open")


def interim_times(port, count):
    """So many asks at once for an origin that is not to be had; when each was told 102."""
    took = []

    def ask():
        with wires.Wire(socket.create_connection(("127.0.0.1", port), timeout=20)) as wire:
            begun = time.monotonic()
            wire.send(f"CONNECT {calls.HOST}:443 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert wire.recv_until(b"\r\n\r\n").startswith(b"HTTP/1.1 102 ")
            took.append(time.monotonic() - begun)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def test_it_says_that_it_has_the_call_long_before_the_limit(apart):
    """102 does not wait for the origin: a hundred at once, each far below 300 ms."""
    took = interim_times(apart.ports()["internal_port"], 100)
    assert len(took) == 100
    assert max(took) < ASK_LIMIT_S * pairs.SLOW, sorted(took)[-5:]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_between_102_and_200(apart, provider, number):
    """It has the call and is still looking for the origin: the edge carries the call on at once, and
    it is one miss."""
    pair = apart
    told = []
    with socket.create_connection(("127.0.0.1", pair.edge_port), 30 * pairs.SLOW) as sock:
        wire = wires.Wire(sock, timeout=30 * pairs.SLOW)
        wire.send(f"CONNECT {calls.HOST}:443 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        pairs.wait_for("the session", lambda: pair.interceptor_status()["sessions"] == "1")
        time.sleep(ASK_LIMIT_S * 1.5)  # beyond what it waits for a 102: it has had it
        pair.signal(pair.interceptor, number)
        begun = time.monotonic()
        told = wire.recv_until(b"\r\n\r\n")
        took = time.monotonic() - begun
        assert told.startswith(b"HTTP/1.1 200 "), told
        wire.start_tls(wires.client_context(provider.ca_file, ["http/1.1"]),
                       server_hostname=calls.HOST)
        assert calls.post(wire).status == 200
    if number == signal.SIGKILL:
        assert took < pairs.SLOW, took
    pair.interceptor.wait(30 * pairs.SLOW)
    pair.process_environment = {}
    pair.start_interceptor()
    pair.wait_gate("open")
    pairs.wait_for("the miss", lambda: pair.database.misses(), 20)
    time.sleep(1.5)
    (miss,) = pair.database.misses()
    assert miss["count"] == 1 and miss["host"] == calls.HOST, miss
    assert pair.database.requests() == []
