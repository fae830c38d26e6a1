"""One call and its two ends, shared by test_odd_tls.py and test_odd_tls_names.py."""

import functools
import ssl

import pytest

import calls
import http1
import wire as wires

# One of several variants is enough under the sanitizers.
SMOKE = functools.partial(pytest.param, marks=pytest.mark.smoke)
ANSWER = calls.response_bytes(calls.chat_answer(21, 34))
BODY = calls.chat_body()
REQUEST = http1.request_bytes("POST", calls.CHAT, calls.HOST, BODY,
                              [("Content-Type", "application/json")])
FIGURES = [(21, 34)]
SIZES = {"up": len(BODY), "down": len(calls.chat_answer(21, 34))}


def one_call(wire, origin):
    """One call; both ends got exactly what the other sent."""
    wire.send(REQUEST)
    assert wire.recv_exact(len(ANSWER)) == ANSWER
    assert bytes(origin.sessions[-1].received) == REQUEST


def only(version, old=False):
    """An SSLContext's limits: this version and no other."""
    def fix(context):
        if old:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else OpenSSL will not speak it
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    return fix


def raw_context(authority, alpn=("http/1.1",)):
    """A client that trusts the origin and not us: it succeeds only if the tunnel is raw."""
    return wires.client_context(authority.cert, list(alpn) if alpn else None)
