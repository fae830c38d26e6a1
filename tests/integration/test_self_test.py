"""The reserved name selftest.halton-meter.invalid: a whole call that the interceptor answers."""

import socket

import calls
import http1
import wire as wires
from pair import wait_for

HOST = "selftest.halton-meter.invalid"
PATH = "/v1/messages/count_tokens"


def ask(wire, name):
    return calls.post(wire, PATH, b'{"model":"x","messages":[]}', HOST,
                      [("X-Halton-Selftest", name)])


def test_a_self_test_becomes_a_row(metered):
    """The call takes the way of every call and becomes a row of a provider of its own, at no cost,
    that no report counts; no project is made for it, and no resolver asked."""
    with metered.connect(HOST) as wire:
        response = ask(wire, "0a-1b")
    assert response.status == 200
    (row,) = metered.rows(1)
    assert row["provider"] == "halton-meter" and row["provider_request_id"] == "0a-1b"
    assert row["cost_pico_usd"] == 0 and row["status"] == "success" and row["slug"] == "misc"
    told = metered.command("report", "--json")
    assert '"requests": 0' in told.stdout, told.stdout
    assert metered.edge_status()["edge.metered"] == "1"


def test_without_an_interceptor_it_fails_at_once(make_pair):
    """Nobody else may answer for that name: 502, no DNS, and no miss is counted."""
    pair = make_pair().start_edge()
    with wires.Wire(socket.create_connection(("127.0.0.1", pair.edge_port))) as wire:
        wire.send(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        assert wire.recv_until(b"\r\n\r\n").split(b" ")[1] == b"502"
    wait_for("an idle edge", lambda: pair.edge_status()["open_calls"] == "0")
    assert pair.edge_status()["ledger.calls"] == "0"


def test_what_is_no_self_test_gets_400(metered):
    """The origin behind the name answers nothing else."""
    with metered.connect(HOST) as wire:
        wire.send(http1.request_bytes("GET", "/", HOST, b"", []))
        assert http1.read_response(wire, "GET").status == 400
