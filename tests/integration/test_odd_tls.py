"""TLS in all its turns, through the real processes: the call succeeds with the same bytes as without
us, and what was recorded is what happened: a row, or a miss with its reason."""

import ssl
import subprocess
import threading
import time

import pytest

import calls
import http1
import pair as pairs
import scripted_origin
import wire as wires
from odd_tls import ANSWER, FIGURES, REQUEST, SIZES, SMOKE, one_call, only, raw_context

# --- versions and protocols --------------------------------------------------------------------

@pytest.mark.parametrize("origin_speaks", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("client_speaks", ["TLSv1_2", "TLSv1_3"])
def test_tls_versions(scripted, client_speaks, origin_speaks):
    """Either side may speak only one of the two versions; each gets its own."""
    pair, origin = scripted(calls.answering(ANSWER), tune=only(origin_speaks))
    context = wires.client_context(pair.ca_file, ["http/1.1"])
    only(client_speaks)(context)
    with pair.tunnel(calls.HOST) as wire:
        wire.start_tls(context, server_hostname=calls.HOST)
        assert wire.tls.version() == client_speaks.replace("_", ".")
        one_call(wire, origin)
    assert origin.sessions[0].tls_version == origin_speaks.replace("_", ".")
    calls.check_metered(pair, FIGURES, **SIZES)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("side", ["client", "origin"])
def test_tls_older_than_ours(scripted, authority, side):
    """TLS 1.1 on either side: not ours to speak, so nobody is asked to speak anything else."""
    pair, origin = scripted(calls.answering(ANSWER), tune=only("TLSv1_1", old=True))
    context = raw_context(authority)
    if side == "client":
        only("TLSv1_1", old=True)(context)
    else:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pair.tunnel(calls.HOST) as wire:
        wire.start_tls(context, server_hostname=calls.HOST)
        assert wire.tls.version() == "TLSv1.1"
        one_call(wire, origin)
    reason = "not_tls" if side == "client" else "origin_handshake_failed"
    calls.check_miss(pair, reason, up=len(REQUEST), down=len(ANSWER))


@pytest.mark.parametrize("offered,spoken,agreed", [
    (None, ("http/1.1",), None), (("http/1.1",), None, None), (None, None, None),
    (("http/1.0",), ("http/1.0",), "http/1.0"), (("tea/1", "http/1.1"), ("http/1.1",), "http/1.1"),
    (("tea/1",), ("http/1.1",), None)])
def test_no_alpn_and_odd_alpn(scripted, offered, spoken, agreed):
    """Whatever the two agree on or leave open, the call is read as HTTP/1."""
    pair, origin = scripted(calls.answering(ANSWER), alpn=spoken)
    with pair.connect(calls.HOST, alpn=offered) as wire:
        assert wire.alpn == agreed
        one_call(wire, origin)
    assert origin.sessions[0].alpn == agreed
    calls.check_metered(pair, FIGURES, **SIZES)


def test_a_protocol_nobody_here_reads(scripted):
    """tea/1, agreed by both: relayed as it is, and the miss names it."""
    pot, cup = b"\x00\xff TEA? \x80" * 300, b"\x01 no, COFFEE \xfe" * 400

    def handler(wire):
        assert wire.recv_exact(len(pot)) == pot
        wire.send(cup)
        wire.recv_all()

    pair, origin = scripted(handler, alpn=("tea/1",))
    with pair.connect(calls.HOST, alpn=("tea/1", "http/1.1")) as wire:
        assert wire.alpn == "tea/1"
        wire.send(pot)
        assert wire.recv_exact(len(cup)) == cup
    miss = calls.check_miss(pair, "observer_unread", detail="tea/1")
    assert (miss["bytes_up"], miss["bytes_down"]) == (len(pot), len(cup))


def test_an_origin_that_has_none_of_the_offered_protocols(scripted):
    """It answers the hello with an alert (RFC 7301 3.2), and the client gets that very alert."""
    no_application_protocol = b"\x15\x03\x03\x00\x02\x02\x78"

    def handler(wire):
        wire.recv_exact(100)
        wire.send(no_application_protocol)
        wire.half_close()
        wire.recv_all()

    pair, _ = scripted(handler, tls=False)
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        pair.connect(calls.HOST, alpn=("tea/1",))
    calls.check_miss(pair, "origin_handshake_failed", up=100, down=len(no_application_protocol))


# --- resumption --------------------------------------------------------------------------------

def both_contexts(pair, authority, version="TLSv1_3"):
    """A client that takes the metered and the raw way alike."""
    bundle = pair.folder / "both.pem"
    bundle.write_text(pair.ca_file.read_text() + authority.cert.read_text())
    context = wires.client_context(bundle, ["http/1.1"])
    only(version)(context)
    return context


def resumable_call(pair, origin, context, session=None):
    """One call; (was the session resumed, the session to resume next time, whose certificate)."""
    with pair.tunnel(calls.HOST) as wire:
        wire.start_tls(context, server_hostname=calls.HOST, session=session)
        one_call(wire, origin)
        return wire.tls.session_reused, wire.tls.session, wire.issuer()


@pytest.mark.parametrize("version", ["TLSv1_2", SMOKE("TLSv1_3")])
def test_session_resumption(scripted, authority, version):
    """A client comes back with our ticket: taken, and metered as before; also after a restart, which
    has forgotten the ticket's key."""
    pair, origin = scripted(calls.answering(ANSWER))
    context = both_contexts(pair, authority, version)
    reused, session, _ = resumable_call(pair, origin, context)
    assert not reused and session.has_ticket
    reused, session, _ = resumable_call(pair, origin, context, session)
    assert reused
    calls.check_metered(pair, FIGURES * 2, **SIZES)
    pair.stop()
    pair.start()
    reused, _, _ = resumable_call(pair, origin, context, session)
    assert not reused
    calls.check_metered(pair, FIGURES * 3, **SIZES)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_tickets_of_the_other_way(scripted, authority, version):
    """A ticket of the origin's means nothing to us, ours means nothing to the origin: a full
    handshake, and the call succeeds both times."""
    pair, origin = scripted(calls.answering(ANSWER), start=False)
    pair.start_edge()
    pair.start_interceptor()  # makes the CA
    pair.wait_gate("open")
    context = both_contexts(pair, authority, version)
    pair.interceptor.kill()
    pair.wait_gate("closed")
    _, theirs, issuer = resumable_call(pair, origin, context)
    assert issuer == "Simulated provider root"
    pair.start_interceptor()
    pair.wait_gate("open")
    reused, ours, issuer = resumable_call(pair, origin, context, theirs)
    assert not reused and issuer != "Simulated provider root"
    pair.rows(1)
    pair.interceptor.kill()
    pair.wait_gate("closed")
    reused, _, issuer = resumable_call(pair, origin, context, ours)
    assert not reused and issuer == "Simulated provider root"
    pair.start_interceptor()
    pair.wait_gate("open")
    calls.check_rows(pair, FIGURES, **SIZES)


def test_early_data_is_declined(make_pair, authority, tmp_path):
    """TLS 1.3 early data with a ticket that the origin gave when the tunnel was raw: we decline it as any
    server may (RFC 8446 4.2.10), the client says it again, and the origin hears it once."""
    cert, key = authority.leaf([calls.HOST], name="early")
    listening = subprocess.Popen(
        ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key, "-tls1_3",
         "-early_data", "-alpn", "http/1.1"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = listening.stdout.readline()
        while not line.startswith("ACCEPT"):
            assert line, "openssl s_server did not start"
            line = listening.stdout.readline()
        theirs = "127.0.0.1:" + line.rsplit(":", 1)[1].strip()
        pair = make_pair(connect_to={f"{calls.HOST}:443": theirs}, ca_file=authority.cert)
        pair.start_interceptor()  # makes the CA
        pair.interceptor.kill()
        pair.start_edge()
        both = tmp_path / "both.pem"
        both.write_text(pair.ca_file.read_text() + authority.cert.read_text())
        (tmp_path / "early").write_bytes(REQUEST)
        ticket = tmp_path / "ticket"
        client = ["openssl", "s_client", "-proxy", f"127.0.0.1:{pair.edge_port}", "-connect",
                  f"{calls.HOST}:443", "-servername", calls.HOST, "-CAfile", both, "-tls1_3",
                  "-verify_return_error", "-alpn", "http/1.1", "-ign_eof"]
        with subprocess.Popen([*client, "-sess_out", ticket], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as asking:
            pairs.wait_for("a ticket", ticket.exists)
            time.sleep(0.2)  # for it to be whole
            asking.kill()
    finally:
        listening.kill()
        listening.wait()

    def handler(wire):
        assert wire.recv_exact(len(REQUEST)) == REQUEST
        wire.send(ANSWER)
        wire.half_close()
        wire.recv_all()

    with scripted_origin.ScriptedOrigin(authority, handler) as origin:
        pair.write_config({f"{calls.HOST}:443": origin.address}, authority.cert)
        pair.start_interceptor()
        pair.wait_gate("open")
        told = subprocess.run([*client, "-sess_in", ticket, "-early_data", tmp_path / "early"],
                              input=REQUEST, capture_output=True, timeout=60 * pairs.SLOW).stdout
        assert b"Early data was rejected" in told and ANSWER in told
        assert bytes(origin.sessions[0].received) == REQUEST and len(origin.sessions) == 1
    calls.check_rows(pair, FIGURES, **SIZES)


# --- ends --------------------------------------------------------------------------------------

@pytest.mark.parametrize("orderly", [True, SMOKE(False)], ids=["close_notify", "bare_fin"])
def test_client_ends_first(scripted, orderly):
    """A client that has said all still gets its answer; how it ended reaches the origin as it was."""
    ends = []

    def handler(wire):
        wire.recv_exact(len(REQUEST))
        assert wire.recv_all() == b""
        ends.append(wire.eof)
        wire.send(ANSWER)
        wire.half_close()

    pair, origin = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(REQUEST)
        wire.half_close() if orderly else wire.fin()
        assert wire.recv_all() == ANSWER
        assert wire.eof == "close_notify"
    assert ends == ["close_notify" if orderly else "fin"]
    calls.check_metered(pair, FIGURES, **SIZES)


@pytest.mark.parametrize("orderly", [True, False], ids=["close_notify", "bare_fin"])
def test_origin_ends_first(scripted, orderly):
    """An origin that has said all before the upload is whole still gets the rest of it."""
    rest = b"x" * 3_000_000

    def handler(wire):
        wire.recv_until(b"\r\n\r\n")
        wire.send(ANSWER)
        wire.half_close() if orderly else wire.fin()
        wire.recv_exact(len(rest))
        wire.recv_all()

    pair, origin = scripted(handler)
    head = http1.request_bytes("POST", calls.CHAT, calls.HOST, b"",
                               [("Content-Length", str(len(rest)))])
    with pair.connect(calls.HOST) as wire:
        wire.send(head)
        assert wire.recv_all() == ANSWER
        assert wire.eof == ("close_notify" if orderly else "fin")
        wire.send(rest)
        wire.fin()
        assert origin.sessions[0].done.wait(20)
    assert origin.sessions[0].error is None
    assert bytes(origin.sessions[0].received) == head + rest
    calls.check_metered(pair, FIGURES, down=SIZES["down"])


@pytest.mark.parametrize("framed", [True, False], ids=["content_length", "until_close"])
def test_origin_closes_without_close_notify(scripted, framed):
    """Common among servers: the missing close_notify stays missing, and the answer was whole."""
    answer = ANSWER if framed else \
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + calls.chat_answer(21, 34)

    def handler(wire):
        http1.read_request(wire)
        wire.send(answer)
        wire.fin()
        wire.recv_all()

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(REQUEST)
        assert wire.recv_all() == answer
        assert wire.eof == "fin"
    calls.check_metered(pair, FIGURES, **SIZES)


@pytest.mark.parametrize("first", ["client", "origin"])
@pytest.mark.parametrize("host,reason", [(calls.HOST, "not_tls"), ("plain.example.org", None)])
def test_halves_of_raw_tunnels(scripted, authority, host, reason, first):
    """The same without TLS of ours, through both processes or the edge alone."""
    early, late = b"GET / HTTP/1.1\r\n\r\n" + b"1" * 200_000, b"2" * 3_000_000

    def handler(wire):
        assert wire.recv_exact(len(early)) == early
        if first == "client":
            assert wire.recv_all() == b"" and wire.eof == "fin"
            wire.send(late)
        else:
            wire.send(late)
            wire.fin()
            assert wire.recv_all() == late

    pair, origin = scripted(handler, tls=False, start=False)
    pair.write_config({f"{host}:443": origin.address}, authority.cert)
    pair.start()
    with pair.tunnel(host) as wire:
        wire.send(early)
        if first == "client":
            wire.fin()
            assert wire.recv_all() == late
        else:
            assert wire.recv_all() == late and wire.eof == "fin"
            wire.send(late)
            wire.fin()
            assert origin.sessions[-1].done.wait(20)
    assert origin.sessions[-1].error is None
    if reason is None:
        calls.check_nothing(pair)
    else:
        up = len(early) + (len(late) if first == "origin" else 0)
        miss = calls.check_miss(pair, reason)
        assert (miss["bytes_up"], miss["bytes_down"]) == (up, len(late))


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_origin_gives_up_before_the_hello(scripted, authority, how):
    """A connection opened for later, which the origin ends meanwhile: the hello finds a fresh one, and
    the call is metered."""
    opened = threading.Event()
    context = wires.server_context(*authority.leaf([calls.HOST], name="late"), ["http/1.1"])

    def handler(wire):
        if len(origin.sessions) == 1:
            assert opened.wait(10)
            return wire.reset() if how == "reset" else wire.half_close()
        wire.record = None
        wire.start_tls(context, server_side=True)
        assert http1.read_request(wire).raw == REQUEST
        wire.send(ANSWER)
        return wire.recv_all()

    pair, origin = scripted(handler, tls=False)
    with pair.tunnel(calls.HOST) as wire:
        opened.set()
        pairs.wait_for("the origin's end", lambda: origin.sessions and origin.sessions[0].done.is_set())
        time.sleep(0.3)  # for its end to arrive
        wire.start_tls(wires.client_context(pair.ca_file, ["http/1.1"]),
                       server_hostname=calls.HOST)
        wire.send(REQUEST)
        assert wire.recv_exact(len(ANSWER)) == ANSWER
    assert len(origin.sessions) == 2
    calls.check_metered(pair, FIGURES, **SIZES)


# --- client certificates -----------------------------------------------------------------------

@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("required,shown", [SMOKE(True, True), (False, True), (False, False)],
                         ids=["required", "asked_and_shown", "asked_and_not_shown"])
def test_origin_asks_for_a_client_certificate(scripted, authority, version, required, shown):
    """We have no certificate to show: the tunnel is raw, and the client shows its own or none."""
    def tune(context):
        only(version)(context)
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        context.load_verify_locations(str(authority.cert))

    seen = []

    def handler(wire):
        http1.read_request(wire)
        seen.append(wire.tls.getpeercert())
        wire.send(ANSWER)
        wire.recv_all()

    pair, origin = scripted(handler, tune=tune)
    context = raw_context(authority)
    if shown:
        context.load_cert_chain(*map(str, authority.leaf(["a-client.example"], name="client")))
    with pair.tunnel(calls.HOST) as wire:
        wire.start_tls(context, server_hostname=calls.HOST)
        one_call(wire, origin)
    names = [dict(part[0] for part in cert["subject"])["commonName"] for cert in seen if cert]
    assert names == (["a-client.example"] if shown else [])
    calls.check_miss(pair, "client_certificate", up=len(REQUEST), down=len(ANSWER))
