"""Many calls at once: every call is a row, and the sums are the provider's own."""

import collections
import json
import threading

import pytest

import calls
import database

CONNECTIONS, PER_CONNECTION = 50, 20

KINDS = [
    ("api.anthropic.com", "/v1/messages", {"model": "claude-sonnet-4-5"}),
    ("api.anthropic.com", "/v1/messages", {"model": "claude-haiku-4-5", "stream": True}),
    ("api.openai.com", "/v1/chat/completions", {"model": "gpt-5-mini"}),
    ("api.openai.com", "/v1/chat/completions",
     {"model": "gpt-5", "stream": True, "stream_options": {"include_usage": True}}),
    ("api.openai.com", "/v1/responses", {"model": "gpt-5", "stream": True}),
    ("api.openai.com", "/v1/responses", {"model": "gpt-5-mini"}),
    ("api.openai.com", "/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"}),
]
ENCODINGS = ["identity", "gzip", "deflate", "br", "zstd"]


@pytest.mark.smoke
def test_thousand_calls_on_fifty_connections(metered, provider):
    """1,000 calls on 50 connections: 1,000 rows, every one equal to a line of the provider's ledger,
    sums exact, report the same with everything stopped."""
    import codings
    encodings = [name for name in ENCODINGS if name in codings.ENCODERS]
    failures = []

    def work(worker):
        host = KINDS[worker % len(KINDS)][0]
        mine = [kind for kind in KINDS if kind[0] == host]
        try:
            with metered.connect(host, timeout=60) as wire:
                for turn in range(PER_CONNECTION):
                    _, path, body = mine[(worker + turn) % len(mine)]
                    encoding = encodings[(worker * 3 + turn) % len(encodings)]
                    response = calls.post(wire, path, json.dumps(body).encode(), host,
                                          [("x-sim-encoding", encoding)])
                    assert response.status == 200, response.head
        except Exception as error:  # noqa: BLE001
            failures.append((worker, error))

    workers = [threading.Thread(target=work, args=(n,)) for n in range(CONNECTIONS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []

    total = CONNECTIONS * PER_CONNECTION
    rows, ledger = metered.rows(total, 30), provider.ledger()
    assert (len(rows), len(ledger)) == (total, total)
    assert len({row["id"] for row in rows}) == total
    assert collections.Counter(map(database.row_key, rows)) == \
        collections.Counter(map(database.ledger_key, ledger))
    for column in database.TOKEN_COLUMNS:
        assert sum(row[column] or 0 for row in rows) == sum(line[column] for line in ledger)
    assert all(row["tokens_complete"] == 1 and row["status"] == "success" for row in rows)
    assert all(row["cost_pico_usd"] is not None for row in rows), "a known model without a price"
    assert metered.database.misses() == []

    metered.stop()
    cost = sum(row["cost_pico_usd"] for row in metered.database.requests())
    told = metered.command("report", "--json")
    assert told.returncode == 0, told.stderr
    report = json.loads(told.stdout)
    assert report["totals"]["requests"] == total
    assert int(report["totals"]["cost_pico_usd"]) == cost
