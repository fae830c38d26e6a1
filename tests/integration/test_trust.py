"""Clients that do not trust our CA, and origins that nobody should trust."""

import pathlib
import ssl
import subprocess
import threading
import time

import pytest

import calls
import http1
import pair as pairs
import wire as wires


@pytest.mark.smoke
def test_second_attempt_works_and_status_names_the_client(metered, provider):
    """A client that knows only the real roots: one failed call, then raw; status says who and
    what."""
    refusing = metered.tunnel(calls.HOST)
    time.sleep(0.3 * pairs.SLOW)  # whose connection it is can be found out only while it lives
    with pytest.raises(ssl.SSLCertVerificationError):
        refusing.start_tls(wires.client_context(provider.ca_file, ["http/1.1"]),
                           server_hostname=calls.HOST)
    with metered.connect(calls.HOST, trust=provider.ca_file) as wire:
        assert calls.post(wire).status == 200
    assert metered.misses("client_refused_ca")
    told = metered.command("status", environment={"XDG_RUNTIME_DIR": ""})
    text = told.stdout + told.stderr
    facts = metered.interceptor_status()
    everything = " ".join([*facts, *facts.values()])
    assert calls.HOST in everything
    own_name = pathlib.Path("/proc/self/comm").read_text().strip()
    assert own_name in everything, "the refusing client is named by its process"
    assert told.returncode in (0, 1), text


def test_a_ca_that_has_expired(metered, provider):
    """Nobody would accept what it signs: calls go raw at once, none fails first, and each is counted."""
    key, cert = metered.home / "ca/ca-key.pem", metered.home / "ca/ca-cert.pem"
    metered.stop()
    subprocess.run(["openssl", "x509", "-in", cert, "-signkey", key, "-days", "-1", "-out", cert],
                   check=True, capture_output=True)
    metered.start()
    trust = metered.folder / "both.pem"
    trust.write_text(cert.read_text() + provider.ca_file.read_text())
    for _ in range(2):
        with metered.connect(calls.HOST, trust=trust) as wire:
            assert calls.post(wire).status == 200
            assert wire.issuer() == "Simulated provider root"
    pairs.wait_for("both misses", lambda: sum(
        miss["count"] for miss in metered.misses("ca_out_of_date")) == 2, 10)


def test_other_clients_stay_metered(metered, provider):
    """The memory is per host and shape of the hello: a client with another shape is metered."""
    with pytest.raises(ssl.SSLCertVerificationError):
        metered.connect(calls.HOST, trust=provider.ca_file, alpn=["http/1.1"])
    with metered.connect(calls.HOST, alpn=None) as wire:
        assert calls.post(wire).status == 200
    with metered.connect("api.anthropic.com") as wire:
        assert calls.post(wire, "/v1/messages", host="api.anthropic.com",
                          body=b'{"model":"claude-sonnet-4-5"}').status == 200
    assert len(metered.rows(2)) == 2


def test_client_that_hangs_up_after_the_handshake(metered, provider):
    """Stacks that check the certificate late (Node): an end without a byte is a refusal."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    wire = metered.tunnel(calls.HOST)
    wire.start_tls(context, server_hostname=calls.HOST)
    wire.close()
    pairs.wait_for("memory of the refusal",
                   lambda: calls.HOST in " ".join(metered.interceptor_status().values()))
    wire = metered.tunnel(calls.HOST)
    wire.start_tls(context, server_hostname=calls.HOST)
    raw = ssl.DER_cert_to_PEM_cert(wire.tls.getpeercert(binary_form=True))
    provider_leaf = (provider.authority.folder / "provider.pem").read_text()
    assert raw.split() == provider_leaf.split(), "the second connection is not raw"
    wire.close()


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["wrong_name", "self_signed", "expired"])
def test_bad_origin_certificate_is_the_clients_to_judge(scripted, authority, kind):
    """We do not vouch for an origin we could not verify: the client sees the very certificate and
    decides by itself."""
    seen = threading.Event()

    def handler(wire):
        http1.read_request(wire)
        seen.set()
        wire.send(calls.response_bytes(b"{}"))

    pair, _ = scripted(handler, certificate=kind)
    strict = authority.folder / f"{ {'wrong_name': 'wrong-name', 'self_signed': 'self-signed', 'expired': 'expired'}[kind] }.pem"
    both = pair.folder / "both.pem"
    both.write_text(pair.ca_file.read_text() + authority.cert.read_text())
    with pytest.raises(ssl.SSLCertVerificationError):
        pair.connect(calls.HOST, trust=both)
    assert not seen.is_set()

    lax = ssl.create_default_context()
    lax.check_hostname, lax.verify_mode = False, ssl.CERT_NONE
    with pair.tunnel(calls.HOST) as wire:
        wire.start_tls(lax, server_hostname=calls.HOST)
        shown = ssl.DER_cert_to_PEM_cert(wire.tls.getpeercert(binary_form=True))
        assert shown.split() == strict.read_text().split()
        assert calls.post(wire).status == 200
    assert pair.misses("origin_unverified")
    assert pair.database.requests() == []


def test_leaf_is_for_the_name_and_strict_enough(metered):
    """Our leaf: SAN of the host asked for, at most seven days, signed by the local CA."""
    with metered.connect(calls.HOST) as wire:
        certificate = wire.tls.getpeercert()
    assert certificate["subjectAltName"] == (("DNS", calls.HOST),)
    days = (ssl.cert_time_to_seconds(certificate["notAfter"])
            - ssl.cert_time_to_seconds(certificate["notBefore"])) / 86_400
    assert days <= 8.1
    import subprocess
    text = subprocess.run(["openssl", "x509", "-in", metered.ca_file, "-noout", "-text"],
                          capture_output=True, text=True, check=True).stdout
    for wanted in ("prime256v1", "X509v3 Name Constraints: critical", "DNS:api.openai.com",
                   "pathlen:0", "Subject Key Identifier"):
        assert wanted in text, f"the CA lacks {wanted}"
    key = metered.home / "ca" / "ca-key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
