"""The official npm SDKs of the providers, and undici's own fetch, behind the meter: each makes a plain
and a streamed call, and the rows equal the provider's ledger and what the SDK itself says.

The packages come from scripts/node_packages.sh; without them these tests fail.
"""

import json
import subprocess

import pytest

import database
import pair as pairs
import simulated_provider

MODULES = pairs.ROOT / "build/node/node_modules"
PROGRAM = pairs.ROOT / "tests/integration/node/sdk.js"


@pytest.fixture(scope="module")
def node_modules():
    made = subprocess.run([pairs.ROOT / "scripts/node_packages.sh"], capture_output=True, text=True)
    assert made.returncode == 0, "\n" + made.stdout + made.stderr
    return MODULES


def told_by(client, usage):
    """(whole input, whole output) as the SDK reports it."""
    if client == "genai":
        return (usage["promptTokenCount"],
                usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0))
    if client == "anthropic":
        whole = (usage["input_tokens"] + usage["cache_read_input_tokens"]
                 + usage["cache_creation_input_tokens"])
        return whole, usage["output_tokens"]
    names = ("input_tokens", "output_tokens") if client == "openai-responses" else \
        ("prompt_tokens", "completion_tokens")
    return tuple(usage[name] for name in names)


def whole_input(row):
    return sum(row[name] for name in ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens",
                                      "cache_write_1h_tokens"))


@pytest.fixture
def provider(tmp_path):
    """One that takes HTTP/2 as well."""
    server = simulated_provider.SimulatedProvider(tmp_path / "provider", alpn=("h2", "http/1.1"))
    yield server
    server.close()


@pytest.mark.parametrize("protocol", ["h1", "h2"])
@pytest.mark.parametrize("client,agent", [
    ("undici", None), ("openai-chat", "OpenAI"), ("openai-responses", "OpenAI"),
    ("anthropic", "Anthropic"), ("genai", "google-genai-sdk")])
def test_sdk(metered, provider, node_modules, client, agent, protocol):
    environment = metered.environment() | {"NODE_PATH": str(node_modules)}
    told = subprocess.run(["node", PROGRAM, client, protocol], env=environment,
                          capture_output=True, timeout=60 * pairs.SLOW)
    assert told.returncode == 0, told.stderr.decode()
    rows, ledger = metered.rows(2), provider.ledger()
    assert [database.row_key(row) for row in rows] == list(map(database.ledger_key, ledger))
    assert [(whole_input(row), row["output_tokens"]) for row in rows] == \
        [told_by(client, json.loads(line)) for line in told.stdout.splitlines()]
    assert [bool(row["stream"]) for row in rows] == [False, True]
    for row in rows:
        assert (row["status"], row["tokens_complete"], row["transport"]) == ("success", 1, protocol)
        assert row["cost_pico_usd"] > 0 and row["client_pid"]
        assert agent is None or row["client_name"].startswith(agent), row["client_name"]
    assert metered.database.misses() == []
