"""What stays of a call that did not end well, and of traffic that is no call at all."""

import json

import pytest

import calls
import http1

HOST = "api.anthropic.com"
START = (b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1",'
         b'"model":"claude-sonnet-4-5","usage":{"input_tokens":321,"cache_read_input_tokens":45,'
         b'"output_tokens":3}}}\n\n')


@pytest.mark.parametrize("end, status, error_class, reason", [
    ("client", "cancelled", None, "client_abort"),
    ("origin", "truncated", "network", "truncated"),
])
def test_counts_of_an_unfinished_stream_are_kept(scripted, end, status, error_class, reason):
    def handler(wire):
        http1.read_request(wire)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nrequest-id: req_1\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(START), START))
        if end == "client":
            wire.recv_all()

    pair, _ = scripted(handler)
    wire = pair.connect(HOST)
    wire.send(http1.request_bytes("POST", "/v1/messages", HOST,
                                  b'{"model":"claude-sonnet-4-5","stream":true}'))
    wire.recv_until(START)
    if end == "origin":
        wire.recv_all()
    wire.close()
    (row,) = pair.rows(1)
    assert (row["status"], row["error_class"]) == (status, error_class)
    assert (row["tokens_complete"], row["incomplete_reason"]) == (0, reason)
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (321, 45, 3)
    assert (row["model"], row["stream"], row["provider_request_id"]) == (
        "claude-sonnet-4-5", 1, "req_1")


@pytest.mark.parametrize("host, target, status, headers, body, wanted", [
    ("api.openai.com", calls.CHAT, "429 Too Many Requests",
     [("x-request-id", "req_o"), ("retry-after-ms", "1500"),
      ("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s")],
     {"error": {"type": "tokens", "code": "rate_limit_exceeded", "message": "m"}},
     ("rate_limit", "rate_limit", "rate_limit_exceeded", "req_o", 1.5, 3)),
    ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-pro:generateContent",
     "429 Too Many Requests", [],
     {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": [
         {"violations": [{"quotaId": "RequestsPerDay"}]}, {"retryDelay": "34s"}]}},
     ("auth", "quota", "RESOURCE_EXHAUSTED", None, 34, 0)),
    ("api.x.ai", calls.CHAT, "403 Forbidden", [("x-request-id", "req_x")],
     {"code": "The caller does not have permission", "error": "Your team has used all credits"},
     ("auth", "quota", None, "req_x", None, 0)),
    ("chatgpt.com", "/backend-api/codex/responses", "429 Too Many Requests",
     [("x-oai-request-id", "req_c"), ("x-codex-primary-used-percent", "100"),
      ("x-codex-primary-reset-at", "1795000000")],
     {"error": {"type": "usage_limit_reached", "resets_in_seconds": 600}},
     ("auth", "quota", "usage_limit_reached", "req_c", 600, 2)),
    ("api.anthropic.com", "/v1/messages", "524 A Timeout Occurred", [("cf-ray", "8f1-FRA")],
     "<html>timeout</html>", ("server_error", "server", None, "8f1-FRA", None, 0)),
])
def test_errors_are_kept_with_all_that_tells_why(scripted, host, target, status, headers, body,
                                                 wanted):
    def handler(wire):
        http1.read_request(wire)
        html = isinstance(body, str)
        wire.send(calls.response_bytes((body if html else json.dumps(body)).encode(), status,
                                       "text/html" if html else "application/json", headers))
        wire.recv_all()

    pair, _ = scripted(handler)
    with pair.connect(host) as wire:
        calls.post(wire, target, host=host)
    (row,) = pair.rows(1)
    limits = pair.database.query("SELECT * FROM request_rate_limits")
    assert (row["error_class"], row["error_kind"], row["provider_error_code"],
            row["provider_request_id"], row["retry_after_s"], len(limits)) == wanted
    assert row["http_status"] == int(status.split()[0])
    assert (row["status"], row["tokens_complete"], row["input_tokens"]) == ("error", 1, 0)


def test_side_traffic_is_no_usage(scripted):
    """Telemetry, settings, model lists, quota questions: relayed, no row, no miss."""
    side = (("api.anthropic.com", "/api/event_logging/batch"), ("api.anthropic.com", "/v1/files"),
            ("api.openai.com", "/v1/files"), ("api.openai.com", "/v1/batches"),
            ("generativelanguage.googleapis.com", "/v1beta/cachedContents"),
            ("cloudcode-pa.googleapis.com", "/v1internal:loadCodeAssist"),
            ("cloudcode-pa.googleapis.com", "/v1internal:retrieveUserQuota"),
            ("api.x.ai", "/v1/tokenize-text"), ("chatgpt.com", "/backend-api/wham/usage"),
            ("chatgpt.com", "/backend-api/conversation"))
    usage = calls.chat_answer(1000, 1000)

    def handler(wire):
        http1.read_request(wire)
        wire.send(calls.response_bytes(usage))
        wire.recv_all()

    pair, origin = scripted(handler)
    for host, target in side:
        with pair.connect(host) as wire:
            assert calls.post(wire, target, host=host).body == usage
    pair.stop()
    assert len(origin.sessions) == len(side)
    assert pair.database.requests() == [] and pair.database.misses() == []
