"""Real clients: curl, Python (urllib, requests, httpx) and Node, plain and streamed."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import database
import pair as pairs

PROGRAMS = pathlib.Path(pairs.ROOT) / "tests" / "support" / "clients"
URL = "https://api.openai.com/v1/chat/completions"


def client_command(name, stream):
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    text = json.dumps(body)
    if name == "curl":
        return ["curl", "-sS", "-N", "--fail", "--compressed", "-H",
                "content-type: application/json", "-H", "authorization: Bearer sk-test-secret",
                "-d", text, URL]
    if name == "node":
        assert shutil.which("node"), "no Node here; scripts/deps.sh test installs it"
        return ["node", str(PROGRAMS / "call.js"), URL, text]
    if name != "urllib":
        check = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True)
        assert check.returncode == 0, f"no {name} here; scripts/deps.sh test installs it"
    return [sys.executable, str(PROGRAMS / "call.py"), name, URL, text]


@pytest.mark.smoke
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("name", ["curl", "urllib", "requests", "httpx", "node"])
def test_client(metered, provider, name, stream):
    """The client gets its whole answer, and the row equals the provider's ledger."""
    told = subprocess.run(client_command(name, stream), env=metered.environment(),
                          capture_output=True, timeout=60 * pairs.SLOW)
    assert told.returncode == 0, told.stderr.decode()
    text = told.stdout.decode()
    if stream:
        assert text.rstrip().endswith("data: [DONE]"), text
    else:
        assert json.loads(text)["usage"]["total_tokens"] > 0
    (row,), (line,) = metered.rows(1), provider.ledger()
    assert database.row_key(row) == database.ledger_key(line)
    assert row["tokens_complete"] == 1 and bool(row["stream"]) is stream
    assert row["cost_pico_usd"] > 0
    assert row["client_pid"], "the socket's owner was not found"


def test_secrets_stay_out_of_every_file(metered):
    """The key that every client sends is in no file of the home, the database included."""
    told = subprocess.run(client_command("curl", True), env=metered.environment(),
                          capture_output=True, timeout=60)
    assert told.returncode == 0
    metered.rows(1)
    metered.stop()
    for folder, _, names in os.walk(metered.folder):
        for name in names:
            content = (pathlib.Path(folder) / name).read_bytes()
            assert b"sk-test-secret" not in content, name


def test_large_upload_with_expect(metered, provider):
    """curl sends bodies above 1 MiB with Expect: 100-continue."""
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 3_000_000}],
                       "model": "gpt-5-mini"})
    (metered.folder / "body.json").write_text(body)
    told = subprocess.run(["curl", "-sS", "--fail", "-H", "Expect: 100-continue", "-d",
                           f"@{metered.folder}/body.json", URL], env=metered.environment(),
                          capture_output=True, timeout=60)
    assert told.returncode == 0, told.stderr
    (row,), (line,) = metered.rows(1), provider.ledger()
    assert database.row_key(row) == database.ledger_key(line)
    assert row["requested_model"] == "gpt-5-mini" and row["bytes_up"] == len(body)
