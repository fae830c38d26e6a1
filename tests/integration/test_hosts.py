"""Hosts that config.toml adds: metered end to end, never at the expense of a call."""

import json
import shutil
import ssl

import pytest

import calls
import certificates
import database
import pair as pairs
import provider_answers
import provider_routes
import simulated_provider

HOUSE, FAR = "llm.house.test", "llm.far.test"
CHAT = "/openai/v1/chat/completions"

CONFIG = f"""
[[provider]]
name = "house"
host = "{HOUSE}"
shape = "openai"
path = "/openai/v1"
rates = "openai"

[[provider]]
name = "far"
host = "{FAR}:8443"
shape = "openai"
"""


@pytest.fixture
def service(tmp_path, monkeypatch):
    """The simulated provider, answering for two further hosts as well."""
    for host, path in ((HOUSE, CHAT), (FAR, "/v1/chat/completions")):
        monkeypatch.setitem(provider_routes.ROUTES, (host, path), provider_answers.openai_chat)
    server = simulated_provider.SimulatedProvider(
        tmp_path / "service", hosts=(*certificates.PROVIDER_HOSTS, HOUSE, FAR))
    yield server
    server.close()


def reach(service):
    return {f"{HOUSE}:443": service.address, f"{FAR}:8443": service.address,
            "api.openai.com:443": service.address}


@pytest.mark.smoke
def test_a_configured_host_is_metered_end_to_end(make_pair, service):
    """With rates of openai it is priced; with a namespace that no card knows it is not."""
    pair = make_pair(connect_to=reach(service), ca_file=service.ca_file, config=CONFIG).start()
    with pair.connect(HOUSE) as wire:
        assert calls.post(wire, CHAT, host=HOUSE).status == 200
        assert calls.post(wire, CHAT, calls.chat_body(stream=True), host=HOUSE).status == 200
        # Not a call to a model, and not under the path that was named.
        assert calls.post(wire, "/openai/v1/files", b"{}", host=HOUSE).status == 404
        assert calls.post(wire, "/v1/chat/completions", host=HOUSE).status == 404
    with pair.connect(FAR, 8443) as wire:
        assert calls.post(wire, "/v1/chat/completions", host=FAR).status == 200
    rows = pair.rows(3)
    assert sorted((row["provider"], row["host"], row["stream"]) for row in rows) == [
        ("far", FAR, 0), ("house", HOUSE, 0), ("house", HOUSE, 1)]
    metered = [line for line in service.ledger() if line["endpoint"]]
    assert sorted(map(database.row_key, rows)) == sorted(map(database.ledger_key, metered))
    for row in rows:
        assert row["tokens_complete"] == 1
        if row["provider"] == "house":
            assert row["rate_namespace"] == "openai"
            assert row["cost_pico_usd"] > 0 and row["rates_source"].startswith("bundled-")
        else:
            assert row["rate_namespace"] == "far"
            assert row["cost_pico_usd"] is None and row["unpriced_reason"] == "unknown_model"
    assert pair.database.misses() == []


def test_a_ca_that_is_older_than_the_entry(make_pair, service):
    """Its calls go raw and are counted, status says what to do, the rest is metered as before."""
    pair = make_pair(connect_to=reach(service), ca_file=service.ca_file)
    pair.start()
    pair.stop()
    pair.write_config(reach(service), service.ca_file, CONFIG)
    pair.start()
    with pytest.raises(ssl.SSLCertVerificationError):
        pair.connect(HOUSE)  # raw: it is the origin's own certificate
    with pair.connect(HOUSE, trust=service.ca_file) as wire:
        assert calls.post(wire, CHAT, host=HOUSE).status == 200
    with pair.connect(calls.HOST) as wire:
        assert calls.post(wire).status == 200
    assert {miss["host"] for miss in pair.misses("ca_does_not_cover")} == {HOUSE}
    assert [row["host"] for row in pair.rows(1)] == [calls.HOST]
    (pair.home / "run").symlink_to(pair.run_dir)  # where the command looks
    told = pair.command("status")
    for text in (told.stdout, pair.interceptor_status().get("config.warning", ""), pair.logs()):
        assert "setup --force" in text and str(pair.home / "ca") in text, told.stdout

    pair.stop()
    shutil.rmtree(pair.home / "ca")
    pair.start()
    with pair.connect(HOUSE) as wire:
        assert calls.post(wire, CHAT, host=HOUSE).status == 200
    assert len(pair.rows(2)) == 2
    assert "config.warning" not in pair.interceptor_status()


@pytest.mark.parametrize("entry, word", [
    ('host = "llm.far.test"\nshape = "soap"', "openai, anthropic and gemini"),
    ('host = "http://127.0.0.1:11434"\nshape = "openai"', "without TLS"),
    ('host = "*.far.test"\nshape = "openai"', "one exact name"),
    ('host = "auth.openai.com"\nshape = "openai"', "never intercepted"),
    ('host = "api.openai.com"\nshape = "openai"', "metered anyway"),
])
def test_an_entry_that_cannot_be_used_harms_nothing(make_pair, service, entry, word):
    config = f'[[provider]]\nname = "bad"\n{entry}\n' + CONFIG
    pair = make_pair(connect_to=reach(service), ca_file=service.ca_file, config=config).start()
    with pair.connect(HOUSE) as wire:
        assert calls.post(wire, CHAT, host=HOUSE).status == 200
    with pair.connect(calls.HOST) as wire:
        assert calls.post(wire).status == 200
    assert sorted(row["provider"] for row in pair.rows(2)) == ["house", "openai"]
    assert word in pair.interceptor_status()["config.warning"]


def test_login_and_regional_hosts_are_other_hosts(make_pair, authority):
    """They pass untouched: the certificate is the origin's, and nothing is counted as a miss."""
    import http1
    import scripted_origin

    others = ("auth.openai.com", "accounts.google.com", "oauth2.googleapis.com", "claude.ai",
              "console.anthropic.com", "us.api.openai.com", "us-east-1.api.x.ai")

    def handler(wire):
        while http1.read_request(wire) is not None:
            wire.send(calls.response_bytes(calls.chat_answer()))

    with scripted_origin.ScriptedOrigin(authority, handler, hosts=others) as origin:
        pair = make_pair(connect_to={f"{host}:443": origin.address for host in others},
                         ca_file=authority.cert).start()
        for host in others:
            with pair.connect(host, trust=authority.cert) as wire:
                assert calls.post(wire, host=host).status == 200
        pair.stop()
        assert len(origin.sessions) == len(others)
    assert pair.database.requests() == []
    assert pair.database.misses() == []


def test_an_anthropic_service_behind_a_path(make_pair, authority):
    """Another shape, another path, an error with all that is kept of it."""
    import http1
    import scripted_origin

    def handler(wire):
        while (request := http1.read_request(wire)) is not None:
            if request.target.endswith("count_tokens"):
                wire.send(calls.response_bytes(b'{"input_tokens":12}'))
                continue
            body = {"type": "error", "request_id": "req_b",
                    "error": {"type": "rate_limit_error", "message": "slow"}}
            wire.send(calls.response_bytes(
                json.dumps(body).encode(), "429 Too Many Requests",
                headers=[("request-id", "req_h1"), ("retry-after", "17"),
                         ("anthropic-ratelimit-requests-remaining", "0"),
                         ("anthropic-ratelimit-requests-reset", "2026-11-24T00:00:00Z")]))

    host = "llm.seek.test"
    config = (f'[[provider]]\nname = "seek"\nhost = "{host}"\nshape = "anthropic"\n'
              'path = "/anthropic/v1"\n')
    with scripted_origin.ScriptedOrigin(authority, handler, hosts=(host,)) as origin:
        pair = make_pair(connect_to={f"{host}:443": origin.address}, ca_file=authority.cert,
                         config=config).start()
        body = b'{"model":"seek-1","messages":[]}'
        with pair.connect(host) as wire:
            calls.post(wire, "/anthropic/v1/messages", body, host=host)
            calls.post(wire, "/anthropic/v1/messages/count_tokens", body, host=host)
        failed, counted = pair.rows(2)
    assert (failed["status"], failed["http_status"]) == ("error", 429)
    assert (failed["error_class"], failed["provider_error_code"]) == ("rate_limit",
                                                                      "rate_limit_error")
    assert (failed["provider_request_id"], failed["retry_after_s"]) == ("req_h1", 17)
    limits = pair.database.query("SELECT name, value, instant FROM request_rate_limits "
                                 "WHERE request_id = ? ORDER BY name", failed["id"])
    assert [limit["name"] for limit in limits] == [
        "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset",
        "retry-after"]
    assert limits[1]["instant"].startswith("2026-11-24T00:00:00")
    assert (counted["endpoint"], counted["counted_tokens"]) == ("messages.count_tokens", 12)
    pairs.wait_for("an idle interceptor",
                   lambda: pair.interceptor_status().get("store.queue") == "0")
