"""Secrets pass through and stay nowhere: everything that the processes wrote is searched for them.

Every secret carries the mark; each has the shape that it has in real life or a shape of its own, so
that nothing but its place gives it away.
"""

import json
import socket
import sqlite3
import ssl
import subprocess

import pytest

import calls
import control
import http1

MARK = "hmsecret"
DEBUG = '[log]\nlevel = "debug"\n'


def secret(place, form="{}"):
    """A secret for one place. The search below ignores case."""
    return form.format(f"{MARK}-{place}-0123456789abcdef")


# providers.md, section 12
REQUEST_HEADERS = [(name, secret(name.lower(), form)) for name, form in (
    ("Authorization", "Bearer sk-ant-oat01-{}"), ("Proxy-Authorization", "Basic {}"),
    ("x-api-key", "sk-ant-api03-{}"), ("api-key", "{}"), ("x-goog-api-key", "AIza{}"),
    ("Cookie", "__cf_bm={}"), ("x-oai-attestation", "{}"),
    ("x-codex-turn-state", "{}"), ("x-codex-turn-metadata", "{}"), ("x-amz-security-token", "{}"),
    ("x-amz-date", "{}"), ("x-amz-content-sha256", "{}"), ("x-error-json", "{}"),
    ("Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.{}"),
    ("Sec-WebSocket-Key", "{}"), ("Referer", "https://example.test/?key={}"),
    ("x-my-token", "{}"), ("x-my-secret", "{}"), ("x-my-signature", "{}"),
    ("ChatGPT-Account-ID", "{}"), ("OpenAI-Organization", "{}"), ("OpenAI-Project", "{}"),
    ("x-goog-user-project", "{}"), ("x-codex-installation-id", "{}"))]
RESPONSE_HEADERS = [(name, secret(name.lower(), form)) for name, form in (
    ("Set-Cookie", "__cf_bm={}; path=/"), ("openai-organization", "{}"),
    ("anthropic-organization-id", "{}"), ("x-codex-turn-state", "{}"), ("x-error-json", "{}"),
    ("authorization", "Bearer {}"), ("x-session-token", "{}"), ("request-id", "sk-ant-api03-{}"))]
QUERY = "?" + "&".join(f"{name}={secret('query-' + name.lower())}" for name in (
    "key", "api_key", "apikey", "access_token", "token", "code", "client_secret", "signature",
    "sig", "X-Amz-Signature", "upload_id"))
BODY = {
    "messages": [{"role": "user", "content": secret("prompt", "My key is sk-proj-{}")}],
    "user": secret("user"), "safety_identifier": secret("safety"),
    "prompt_cache_key": secret("cache-key"), "metadata": {"user_id": secret("user-id", "user_{}")},
    "mcp_servers": [{"url": "https://m.test", "authorization_token": secret("mcp")}],
    "tools": [{"type": "mcp", "headers": {"Authorization": secret("tool-header")},
               "authorization": secret("tool-auth")}],
    "model": "gpt-5-mini",
}
USAGE = {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}


def answers():
    """By the last segment of the path: status line, content type, body."""
    text = secret("answer", "-----BEGIN PRIVATE KEY----- {}")
    chat = {"id": "chatcmpl-1", "model": "gpt-5-mini", "usage": USAGE,
            "client_secret": {"value": secret("client-secret")},
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": text}}]}
    chunk = {"id": "c", "model": "gpt-5-mini",
             "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
    message = secret("error", "Incorrect API key provided: sk-proj-{}. You can find your key.")
    error = {"error": {"message": message, "type": secret("error-type", "sk-{}"), "param": None,
                       "code": secret("error-code", "sk-proj-{}")}}
    xai = {"code": message, "error": message}
    google = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": message,
                        "details": [{"reason": secret("reason", "AIza{}")}]}}
    event = "data: " + json.dumps(chunk) + "\n\n"
    return {
        "json": ("200 OK", "application/json", json.dumps(chat)),
        "sse": ("200 OK", "text/event-stream", event + "data: [DONE]\n\n"),
        "cut": ("200 OK", "text/event-stream", event + event[:40]),
        "midway": ("200 OK", "text/event-stream", event + "data: " + json.dumps(error) + "\n\n"),
        "error": ("401 Unauthorized", "application/json", json.dumps(error)),
        "xai": ("400 Bad Request", "application/json", json.dumps(xai)),
        "google": ("400 Bad Request", "application/json", json.dumps(google)),
        "html": ("403 Forbidden", "text/html", f"<html>{message}</html>"),
        "broken": ("200 OK", "application/json", '{"usage": "' + secret("broken")),
    }


def serve(wire):
    while (request := http1.read_request(wire)) is not None:
        kind = request.header("x-test-answer") or "json"
        status, content_type, body = answers()[kind]
        wire.send(calls.response_bytes(body.encode(), status, content_type, RESPONSE_HEADERS))


def send(wire, kind, target=calls.CHAT, body=None, host=calls.HOST, headers=()):
    """One call with secrets in every place; the answer reaches the client with all of them."""
    body = json.dumps(BODY).encode() if body is None else body
    wire.send(http1.request_bytes("POST", target + QUERY, host, body, [
        ("Content-Type", "application/json"), ("x-test-answer", kind), *REQUEST_HEADERS,
        *headers]))
    answer = http1.read_response(wire, "POST")
    for _, value in RESPONSE_HEADERS:
        assert value.encode() in answer.head, "the call itself must not be altered"
    return answer


def written_files(pair):
    for folder in (pair.home, pair.run_dir, pair.folder):
        for path in sorted(folder.rglob("*")):
            # Sockets hold nothing; config.toml is the user's own file, and its copy as closed as it.
            if path.name == "config.toml.good":
                assert path.stat().st_mode & 0o777 == 0o600
            elif path.is_file() and path.name != "config.toml":
                yield path


def check_nothing_stayed(pair, more=()):
    found, searched = [], []
    for path in written_files(pair):
        data = path.read_bytes().lower()
        searched.append(path.name)
        at = data.find(MARK.encode())
        if at >= 0:
            found.append(f"{path.name}: {data[max(0, at - 60):at + 40]!r}")
    for name, text in more:
        at = text.lower().find(MARK)
        if at >= 0:
            found.append(f"{name}: {text[max(0, at - 60):at + 40]!r}")
    assert not found, "\n".join(found)
    return searched


def everything_told(pair):
    """What the processes and commands say when asked."""
    for name in ("edge", "daemon"):
        for request in ("status", "doctor", "counters", "nonsense"):
            yield (f"{name} {request}", control.ask(pair.run_dir / f"{name}.sock", request))
    if not (pair.home / "run").exists():
        (pair.home / "run").symlink_to(pair.run_dir)  # where the commands look
    for arguments in (("status", "--json"), ("status",), ("report", "--json"), ("report",)):
        told = pair.command(*arguments)
        yield " ".join(arguments), told.stdout + told.stderr


@pytest.mark.smoke
def test_secrets_stay_nowhere(scripted, authority):
    pair, origin = scripted(serve, config=DEBUG)

    # Metered: successes, streams, errors of every form.
    for kind in answers():
        with pair.connect(calls.HOST) as wire:
            send(wire, kind)
    for host, target in (("generativelanguage.googleapis.com",
                          "/v1beta/models/gemini-2.5-pro:generateContent"),
                         ("api.anthropic.com", "/v1/messages"), ("api.x.ai", calls.CHAT),
                         ("chatgpt.com", "/backend-api/codex/responses"),
                         ("cloudcode-pa.googleapis.com", "/v1internal:generateContent")):
        with pair.connect(host) as wire:
            send(wire, "google" if "google" in host else "error", target, host=host)
            send(wire, "json", target, host=host)
    # Side traffic and a login exchange on a metered host.
    with pair.connect(calls.HOST) as wire:
        send(wire, "json", "/v1/realtime/client_secrets")
        send(wire, "json", "/oauth/token")
        # A socket: counted as unread.
        wire.send(http1.request_bytes("GET", "/v1/realtime" + QUERY, calls.HOST, headers=[
            ("Connection", "Upgrade"), ("Upgrade", "websocket"), *REQUEST_HEADERS]))
        http1.read_response(wire)
    # A form, with a file.
    form = (f'--b\r\nContent-Disposition: form-data; name="file"; filename="{secret("file")}"\r\n'
            f'\r\n{secret("upload")}\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
            "whisper-1\r\n--b--\r\n").encode()
    with pair.connect(calls.HOST) as wire:
        wire.send(http1.request_bytes("POST", "/v1/audio/transcriptions" + QUERY, calls.HOST, form, [
            ("Content-Type", "multipart/form-data; boundary=b"), *REQUEST_HEADERS]))
        http1.read_response(wire)
    # What the observer cannot read: it lets go and says so, in the log too.
    with pair.connect(calls.HOST) as wire:
        wire.send(f"{secret('no-http')}\r\n\r\n".encode() * 3)
        wire.half_close()
    # Refused CA, then raw.
    with pytest.raises(ssl.SSLCertVerificationError):
        pair.connect(calls.HOST, trust=authority.cert)
    with pair.connect(calls.HOST, trust=authority.cert) as wire:
        send(wire, "error")
    # In the CONNECT head, and in heads that are none.
    for head in (f"CONNECT {calls.HOST}:443 HTTP/1.1\r\nHost: {calls.HOST}\r\n"
                 f"Proxy-Authorization: Basic {secret('proxy-auth')}\r\n\r\n",
                 f"GET http://{calls.HOST}/{QUERY} HTTP/1.1\r\nHost: {calls.HOST}\r\n\r\n",
                 f"CONNECT user:{secret('user-info')}@{calls.HOST}:443 HTTP/1.1\r\n\r\n",
                 f"{secret('no-head')}\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", pair.edge_port), timeout=10) as sock:
            sock.sendall(head.encode())
            sock.settimeout(2)
            try:
                sock.recv(4096)
            except OSError:
                pass
    # A key on a command line: attribution looks at the client's process.
    subprocess.run(["curl", "-s", "-o", "/dev/null", "-H",
                    f"Authorization: Bearer {secret('argument')}", "-d", "{}",
                    f"https://{calls.HOST}{calls.CHAT}?key={secret('argument-query')}"],
                   env={**pair.environment(), "OPENAI_API_KEY": secret("environment")},
                   timeout=30, check=True)

    rows = pair.rows(len(answers()) + 2)
    assert any(row["error_class"] == "auth" for row in rows)
    pair.misses("client_refused_ca")
    received = b"".join(bytes(session.received) for session in origin.sessions)
    for _, value in REQUEST_HEADERS:
        assert value.encode() in received
    searched = check_nothing_stayed(pair, everything_told(pair))
    assert "db.sqlite" in searched and any(name.endswith(".log") for name in searched)

    # Rows that wait in a spool file, because somebody holds the database.
    holder = sqlite3.connect(pair.home / "db.sqlite", timeout=10, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pair.connect(calls.HOST, alpn=None) as wire:  # the other shape is remembered as refusing
        send(wire, "error")
        send(wire, "json")
    pair.stop()
    spooled = list((pair.home / "spool").glob("*.spool"))
    holder.execute("ROLLBACK")
    holder.close()
    assert spooled, "nothing was spooled"
    check_nothing_stayed(pair)


def test_a_proxy_password_stays_in_the_configuration(make_pair, authority):
    """User info of [upstream] proxy: not in warnings, not in errors of the connection."""
    good = f'proxy = "http://me:{secret("proxy-password")}@127.0.0.1:9"\n'
    for number, line in enumerate((good, good.replace("http://", "socks5://"),
                                   good.replace('"\n', "\n"))):
        pair = make_pair()
        (pair.home / "config.toml").write_text(DEBUG + "[upstream]\n" + line)
        pair.start()
        with socket.create_connection(("127.0.0.1", pair.edge_port), timeout=10) as sock:
            if number == 0:  # the others would go out into the world
                sock.sendall(b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com\r\n\r\n")
                assert b" 502 " in sock.recv(4096)
        told = list(everything_told(pair))
        pair.stop()
        check_nothing_stayed(pair, told)


def test_the_search_finds_what_it_should(make_pair):
    """The search itself: a mark in any file is found."""
    pair = make_pair()
    (pair.home / "spool").mkdir()
    (pair.home / "spool" / "x").write_bytes(b"\0\1HmSecret-1\0")
    with pytest.raises(AssertionError, match="hmsecret"):
        check_nothing_stayed(pair)
