"""Protocols are agreed as if we were not there."""

import json
import subprocess

import pytest

import calls
import h2_origin


@pytest.mark.parametrize("origin_speaks,client_offers,agreed", [
    (("http/1.1",), ("h2", "http/1.1"), "http/1.1"),
    (("h2", "http/1.1"), ("h2", "http/1.1"), "h2"),
    (("h2", "http/1.1"), ("http/1.1",), "http/1.1"),
    (("h2", "http/1.1"), None, None),
    (None, ("h2", "http/1.1"), None),
    (("http/1.1",), None, None),
])
def test_alpn_is_mirrored(scripted, origin_speaks, client_offers, agreed):
    """The client gets the protocol that the origin chose from the client's own list."""
    pair, origin = scripted(h2_origin.serve, alpn=origin_speaks)
    with pair.connect(calls.HOST, alpn=client_offers) as wire:
        assert wire.alpn == agreed
        if agreed != "h2":
            assert calls.post(wire).status == 200
    assert origin.sessions[-1].done.wait(10)
    assert origin.sessions[-1].alpn == agreed


@pytest.mark.smoke
def test_h2_is_relayed_and_recorded_as_unread(scripted, authority):
    """curl over HTTP/2: the answer is right, nothing is metered, the miss says observer_unread."""
    pair, origin = scripted(h2_origin.serve, alpn=("h2", "http/1.1"))
    told = subprocess.run(
        ["curl", "-sS", "--http2", "-w", "%{http_version}", "-d", calls.chat_body(),
         f"https://{calls.HOST}{calls.CHAT}", "--next", "-sS", "--http2", "-w", "%{http_version}",
         "-d", calls.chat_body(), f"https://{calls.HOST}{calls.CHAT}"],
        env=pair.environment(), capture_output=True, timeout=60)
    assert told.returncode == 0, told.stderr
    answers = told.stdout.decode().split("}2")
    assert [json.loads(answer + "}") for answer in answers[:2]] == \
        [json.loads(calls.chat_answer())] * 2
    assert origin.sessions[-1].alpn == "h2"
    misses = pair.misses("observer_unread")
    assert {miss["host"] for miss in misses if miss["reason"] == "observer_unread"} == {calls.HOST}
    assert pair.database.requests() == []
