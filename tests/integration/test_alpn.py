"""Protocols are agreed as if we were not there."""

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
    pair, origin = scripted(h2_origin.H2Origin(), alpn=origin_speaks)
    with pair.connect(calls.HOST, alpn=client_offers) as wire:
        assert wire.alpn == agreed
        if agreed != "h2":
            assert calls.post(wire).status == 200
    assert origin.sessions[-1].done.wait(10)
    assert origin.sessions[-1].alpn == agreed
