"""Somebody sits down in front of the inner doors, where only the edge and a browser are expected: calls
do not fail for it, and everything is as before when the time of such guests is over."""

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest

import calls
import pair as pairs


@contextlib.contextmanager
def guests(port, count, words=b""):
    """So many connections that say these words, and nothing after them."""
    made = []
    try:
        for _ in range(count):
            made.append(socket.create_connection(("127.0.0.1", port), timeout=60 * pairs.SLOW))
            made[-1].sendall(words)
        yield made
    finally:
        for sock in made:
            sock.close()


def ended(sock):
    """Reads to the end of it."""
    with contextlib.suppress(ConnectionResetError):
        while sock.recv(65536):
            pass
    return True


@pytest.fixture
def both(metered, provider):
    """Trust for either way."""
    path = metered.folder / "both.pem"
    path.write_text(metered.ca_file.read_text() + provider.ca_file.read_text())
    return path


def one_call(pair, trust):
    """How long it took, and whether it was metered."""
    begun = time.monotonic()
    with pair.connect(calls.HOST, trust=trust) as wire:
        assert calls.post(wire).status == 200
        return time.monotonic() - begun, wire.issuer() != "Simulated provider root"


@pytest.mark.parametrize("words", [b"", b"CONNECT api.openai.com:443 HTTP/1.1\r\nHos"],
                         ids=["silent", "half a head"])
def test_more_guests_than_sessions_at_the_interceptors_door(metered, both, provider, words):
    """1,500 connections at 8090, where 1,024 are served at once: every call succeeds, in a
    moment, metered or counted as a miss; when the guests' five seconds are over it meters as before."""
    pair = metered
    assert one_call(pair, both)[1]
    done = 1
    with guests(pair.ports()["internal_port"], 1500, words) as made:
        begun = time.monotonic()
        while time.monotonic() - begun < 4:
            took, _ = one_call(pair, both)
            assert took < 1.5 * pairs.SLOW, took
            done += 1
        assert all(ended(sock) for sock in made)
        assert time.monotonic() - begun < 30 * pairs.SLOW
        pair.wait_gate("open")
        pairs.wait_for("room again", lambda: one_call(pair, both)[1] or None, 20)
    assert pair.interceptor.poll() is None
    pairs.wait_for("each call a row or a miss", lambda: len(provider.ledger()) ==
                   len(pair.database.requests())
                   + sum(miss["count"] for miss in pair.database.misses()), 20)
    assert len(provider.ledger()) > done


def health(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * pairs.SLOW)
    with contextlib.closing(connection):
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status == 200 and json.loads(answer.read())


def health_or_not(port):
    try:
        return health(port)
    except OSError:
        return None


@pytest.mark.parametrize("words", [b"", b"GET /health HTTP/1.1\r\nHos"],
                         ids=["silent", "half a head"])
def test_guests_at_the_api(metered, both, words):
    """More slow clients than the API serves: calls are metered all the time, as quickly as ever, and the
    API answers again when their time is over."""
    port = metered.ports()["api_port"]
    assert health(port)
    with guests(port, 500, words) as made:
        for _ in range(20):
            took, was_metered = one_call(metered, both)
            assert was_metered and took < pairs.SLOW, took
        waiting = [threading.Thread(target=ended, args=(sock,)) for sock in made]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join(60 * pairs.SLOW)
        assert not any(thread.is_alive() for thread in waiting)
        pairs.wait_for("the API", lambda: health_or_not(port), 10)  # the guests are still there
    assert len(metered.rows(20)) == 20 and metered.database.misses() == []
