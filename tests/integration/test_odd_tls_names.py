"""TLS for names, addresses and ports of all kinds, and with data as early as it can come; as in
test_odd_tls.py."""

import socket
import ssl

import pytest

import calls
import http1
import scripted_origin
import wire as wires
from conftest import everywhere
from odd_tls import ANSWER, FIGURES, REQUEST, SIZES, SMOKE, one_call, raw_context

# --- names and addresses -----------------------------------------------------------------------

@pytest.mark.parametrize("name,detail", [SMOKE(None, "no server name"),
                                         ("other.example.org", "another server name")])
def test_server_name_absent_or_different(scripted, authority, name, detail):
    """The hello does not say the CONNECT's host: whom the client means is the origin's to judge."""
    pair, origin = scripted(calls.answering(ANSWER))
    context = raw_context(authority)
    context.check_hostname = False
    with pair.tunnel(calls.HOST) as wire:
        wire.start_tls(context, server_hostname=name)
        assert wire.issuer() == "Simulated provider root"
        one_call(wire, origin)
    calls.check_miss(pair, "sni_mismatch", up=len(REQUEST), down=len(ANSWER), detail=detail)


def test_server_name_in_other_letters(scripted):
    """Names have no case (RFC 6066 3)."""
    pair, origin = scripted(calls.answering(ANSWER))
    context = wires.client_context(pair.ca_file, ["http/1.1"])
    with pair.tunnel(calls.HOST) as wire:
        wire.start_tls(context, server_hostname="API.OpenAI.com")
        one_call(wire, origin)
    calls.check_metered(pair, FIGURES, **SIZES)


def test_trailing_dot_in_the_connect_host(scripted):
    """api.openai.com. is api.openai.com, whose name the hello says without the dot."""
    pair, origin = scripted(calls.answering(ANSWER))
    context = wires.client_context(pair.ca_file, ["http/1.1"])
    with pair.tunnel(calls.HOST + ".") as wire:
        wire.start_tls(context, server_hostname=calls.HOST)
        one_call(wire, origin)
    calls.check_metered(pair, FIGURES, **SIZES)


@pytest.mark.parametrize("address,port", [("192.0.2.7", 443), ("[2001:db8::7]", 443),
                                          ("192.0.2.7", 8443)])
def test_addresses_are_other_hosts(scripted, authority, address, port):
    """CONNECT to an address names no provider: raw, neither a row nor a miss."""
    pair, origin = scripted(calls.answering(ANSWER), start=False)
    pair.write_config({f"{address}:{port}": origin.address}, authority.cert)
    pair.start()
    context = raw_context(authority)
    context.check_hostname = False
    with pair.tunnel(address, port) as wire:
        wire.start_tls(context)
        one_call(wire, origin)
    calls.check_nothing(pair)


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_addresses_as_they_are(make_pair, authority, address):
    """The same without a redirection in the configuration: the address is dialled."""
    if address == "[::1]":
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no IPv6 here")
    with scripted_origin.ScriptedOrigin(authority, calls.answering(ANSWER),
                                        address=address.strip("[]")) as origin:
        pair = make_pair().start()
        context = raw_context(authority)
        context.check_hostname = False
        with pair.tunnel(address, origin.port) as wire:
            wire.start_tls(context)
            one_call(wire, origin)
        calls.check_nothing(pair)


def test_provider_reached_over_ipv6(make_pair, authority):
    """The origin's address is an IPv6 one: metered as ever."""
    try:
        origin = scripted_origin.ScriptedOrigin(authority, calls.answering(ANSWER), address="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    with origin:
        pair = make_pair(connect_to=everywhere(origin.address), ca_file=authority.cert).start()
        with pair.connect(calls.HOST) as wire:
            one_call(wire, origin)
        calls.check_metered(pair, FIGURES, **SIZES)


def test_ports_other_than_443(scripted, authority):
    """A provider's host counts on port 443, a configured one on the port that it names."""
    config = '[[provider]]\nname = "mine"\nhost = "llm.example.org:8443"\nshape = "openai"\n'
    pair, origin = scripted(calls.answering(ANSWER), hosts=(calls.HOST, "llm.example.org"),
                            start=False)
    pair.write_config({f"{host}:{port}": origin.address for host in (calls.HOST, "llm.example.org")
                       for port in (443, 8443)}, authority.cert, config)
    pair.start()
    for host, port in ((calls.HOST, 8443), ("llm.example.org", 443)):
        with pair.connect(host, port, trust=authority.cert) as wire:
            one_call(wire, origin)
    with pair.connect("llm.example.org", 8443) as wire:
        one_call(wire, origin)
    (row,) = calls.check_metered(pair, FIGURES, **SIZES)
    assert (row["host"], row["provider"]) == ("llm.example.org", "mine")
    pair.stop()
    assert len(pair.database.requests()) == 1 and pair.database.misses() == []


# --- client data right behind the CONNECT head --------------------------------------------------

@pytest.mark.parametrize("host,reason", [(calls.HOST, "not_tls"), ("plain.example.org", None)])
def test_data_behind_the_connect_head(scripted, authority, host, reason):
    """In the same segment, before the 200, and no TLS: it arrives whole, on either way."""
    request = http1.request_bytes("POST", "/x", host, b"y" * 50_000)
    pair, origin = scripted(calls.answering(ANSWER), tls=False, start=False)
    pair.write_config({f"{host}:443": origin.address}, authority.cert)
    pair.start()
    with socket.create_connection(("127.0.0.1", pair.edge_port), timeout=20) as sock:
        wire = wires.Wire(sock)
        wire.send(f"CONNECT {host}:443 HTTP/1.1\r\n\r\n".encode() + request)
        assert wire.recv_until(b"\r\n\r\n").split(b" ")[1] == b"200"
        assert wire.recv_exact(len(ANSWER)) == ANSWER
    assert bytes(origin.sessions[-1].received) == request
    if reason is None:
        calls.check_nothing(pair)
    else:
        calls.check_miss(pair, reason, up=len(request), down=len(ANSWER))


def test_hello_and_request_in_the_connects_segment_and_the_next(scripted):
    """TLS 1.2 with everything as early as the protocol allows: the hello behind the CONNECT head, the
    request in one segment with the client's Finished."""
    pair, origin = scripted(calls.answering(ANSWER))
    context = wires.client_context(pair.ca_file, ["http/1.1"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=calls.HOST)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection(("127.0.0.1", pair.edge_port), timeout=20) as sock:
        wire = wires.Wire(sock)
        wire.send(f"CONNECT {calls.HOST}:443 HTTP/1.1\r\n\r\n".encode() + outgoing.read())
        assert wire.recv_until(b"\r\n\r\n").split(b" ")[1] == b"200"
        while True:
            incoming.write(wire.recv())
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                if outgoing.pending:
                    wire.send(outgoing.read())
        tls.write(REQUEST)
        wire.send(outgoing.read())  # Finished and request together
        got = bytearray()
        while len(got) < len(ANSWER):
            try:
                got += tls.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(wire.recv())
    assert bytes(got) == ANSWER
    assert bytes(origin.sessions[-1].received) == REQUEST
    calls.check_metered(pair, FIGURES, **SIZES)
