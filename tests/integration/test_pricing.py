"""Rates of one's own, end to end: an unknown model, rates.toml, exact figures."""

import json
import subprocess
import sys

import pytest

import calls
import http1
import pair as pairs
import replay
import test_samples

RATES = """
[[model]]
provider = "openai"
model = "house-1"
[[model.periods]]
rates = { input = "2.5", output = "10" }
"""


def origin_of(models):
    """Answers each call with the next model's name, 1000 tokens in and 100 out."""
    def handler(wire):
        for model in models:
            http1.read_request(wire)
            answer = calls.chat_answer(1000, 100, model, id=f"chatcmpl-{model}")
            wire.send(calls.response_bytes(answer))
    return handler


@pytest.mark.smoke
def test_unknown_model_gets_a_price_from_rates_toml(scripted):
    for text, cost, source in ((None, None, None), ("hope = 1\n", None, None),
                               (RATES, 1000 * 2_500_000 + 100 * 10_000_000, "override")):
        pair, _ = scripted(origin_of(["gpt-5-mini-2025-08-07", "house-1"]), start=False)
        rates_file = pair.home / "rates.toml"
        if text:
            rates_file.write_text(text)
        pair.start()
        with pair.connect(calls.HOST) as wire:
            assert calls.post(wire).status == 200
            assert calls.post(wire).status == 200
        rows = {row["model"]: row for row in pair.rows(2)}
        known, house = rows["gpt-5-mini-2025-08-07"], rows["house-1"]
        assert known["cost_pico_usd"] == 1000 * 250_000 + 100 * 2_000_000
        assert known["rates_source"].startswith("bundled-")
        assert (house["cost_pico_usd"], house["rates_source"]) == (cost, source)
        assert (house["input_tokens"], house["output_tokens"]) == (1000, 100)
        told = json.loads(pair.command("pricing", "unpriced", "--json").stdout)["unpriced"]
        report = pair.command("report").stdout
        if cost is None:
            assert [(one["model"], one["calls"], one["input_tokens"], one["output_tokens"])
                    for one in told] == [("house-1", 1, 1000, 100)]
            assert ">= $0.000450" in report
        else:
            assert told == []
            assert ">=" not in report
        if text == "hope = 1\n":
            assert "rates.toml:1: unknown field" in pair.logs(whole=True)
            checked = pair.command("pricing", "check", rates_file)
            assert checked.returncode == 1
            assert 'rates.toml:1: unknown field "hope"' in checked.stderr


DEARER = RATES + """
[[model]]
provider = "openai"
model = "gpt-5-mini"
[[model.periods]]
rates = { input = "0.5", output = "4" }
"""
OLD, NEW, HOUSE = 1000 * 250_000 + 100 * 2_000_000, 1000 * 500_000 + 100 * 4_000_000, 3_500_000_000


@pytest.mark.smoke
def test_repricing_beside_a_running_meter_and_with_everything_stopped(scripted):
    known = "gpt-5-mini-2025-08-07"
    pair, _ = scripted(origin_of([known, "house-1", known]))
    (pair.home / "run").symlink_to(pair.run_dir)  # where commands look for a meter that runs

    def costs():
        return [row["cost_pico_usd"] for row in pair.rows(2)]

    def command(*words, code=0):
        done = pair.command(*words)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    with pair.connect(calls.HOST) as wire:
        assert calls.post(wire).status == 200
        assert calls.post(wire).status == 200
        assert sorted(costs(), key=str) == [OLD, None]
        (pair.home / "rates.toml").write_text(DEARER)

        would = json.loads(command("pricing", "reprice", "--dry-run", "--json"))
        assert (would["moved"], would["dry_run"]) == (2, True)
        assert "1 of these calls has rates by now" in command("pricing", "unpriced")
        assert sorted(costs(), key=str) == [OLD, None]

        done = json.loads(command("pricing", "reprice", "--json"))
        assert (done["looked_at"], done["moved"]) == (2, 2)
        assert [(one["model"], one["newly_priced"]) for one in done["models"]] == [
            ("house-1", 1), (known, 0)]
        assert done["totals"]["cost_before_pico_usd"] == OLD
        assert done["totals"]["cost_after_pico_usd"] == NEW + HOUSE
        assert sorted(costs()) == sorted([NEW, HOUSE])
        # The meter goes on, and has taken up the same rates; a file with a fault changes nothing.
        assert calls.post(wire).status == 200
        assert [row["cost_pico_usd"] for row in pair.rows(3)][2] == NEW
        (pair.home / "rates.toml").write_text("hope = 1\n")
        command("pricing", "reprice", code=1)
        (pair.home / "rates.toml").write_text(DEARER)

    row = min(pair.rows(3), key=lambda row: row["requested_at"])
    told = command("report", "--explain", row["id"][:18])  # two calls may be of the same millisecond
    assert "- input: 1,000 x 0.5 per M = 500,000,000 pico-USD\n" in told
    assert f"- total: {NEW:,} pico-USD = {NEW // 1000:,} nano-USD exactly" in told
    assert "before it was priced again at " in told
    assert "- input: 1,000 x 0.25 per M = 250,000,000 pico-USD\n" in told
    as_json = json.loads(command("report", "--explain", f"chatcmpl-{known}", "--json", code=1)
                         or "{}")
    assert as_json == {}  # two calls have that id of the provider's
    as_json = json.loads(command("report", "--explain", "chatcmpl-house-1", "--json"))
    assert as_json["cost_pico_usd"] == HOUSE
    assert as_json["history"][0]["unpriced_reason"] == "unknown_model"
    assert "2 calls priced again later" in command("report")

    pair.stop()
    assert json.loads(command("pricing", "reprice", "--json"))["moved"] == 0
    (pair.home / "rates.toml").unlink()
    back = json.loads(command("pricing", "reprice", "--json"))
    assert (back["moved"], back["totals"]["newly_unpriced"]) == (3, 1)
    assert sorted(costs(), key=str) == [OLD, OLD, None]
    assert pair.database.query("PRAGMA integrity_check") == [{"integrity_check": "ok"}]


def test_a_key_of_the_free_tier_costs_nothing_and_is_never_written(scripted):
    pair, _ = scripted(origin_of(["gpt-5-mini-2025-08-07"] * 2), start=False)
    print_of_key = pair.command("pricing", "key", stdin="sk-test-secret\n").stdout.strip()
    assert len(print_of_key) == 16
    (pair.home / "rates.toml").write_text(f'[free_tier]\nkeys = ["{print_of_key}"]\n')
    pair.start()
    with pair.connect(calls.HOST) as wire:
        assert calls.post(wire).status == 200
        assert calls.post(wire, headers=[("x-api-key", "sk-another-secret")]).status == 200
    first, second = pair.rows(2)
    assert (first["cost_pico_usd"], first["shadow_cost_pico_usd"]) == (None, OLD)
    assert (second["cost_pico_usd"], second["shadow_cost_pico_usd"]) == (OLD, None)
    assert first["key_print"] == print_of_key != second["key_print"]
    report = pair.command("report").stdout
    assert "total cost $0.000450\n" in report
    assert "shadow cost $0.000450: list price of 1 call" in report
    pair.stop()
    for file in pair.home.rglob("*"):
        if file.is_file():
            assert b"sk-test-secret" not in file.read_bytes(), file


def test_the_card_is_what_the_script_makes_of_the_price_table(tmp_path):
    made = tmp_path / "card.json"
    table = pairs.ROOT / "tests/prices/prices-2026-11-23.json"
    subprocess.run([sys.executable, pairs.ROOT / "scripts/make_rate_card.py", table, made], check=True)
    card = pairs.ROOT / "interceptor/pricing/rates/rates-2026-11-23.json"
    assert made.read_bytes() == card.read_bytes()


HOSTS = sorted({sample.host for sample in test_samples.CALLS})


@pytest.mark.parametrize("host", HOSTS)
def test_the_cost_of_every_sample_is_explained(scripted, host):
    samples = [sample for sample in test_samples.CALLS
               if sample.host == host and sample.end == "complete"]
    handler = replay.Replay()
    pair, origin = scripted(handler, alpn=("http/1.1",))
    room = test_samples.Room(("http/1.1",), handler, pair, origin)
    with room.connect(host) as wire:
        for sample in samples:
            replay.exchange_h1(wire, sample, handler)
        room.finish(wire, samples[0])
    for row in room.rows(sum(len(sample.expected) for sample in samples)):
        told = json.loads(pair.command("report", "--explain", row["id"], "--json").stdout)
        assert told["cost_pico_usd"] == row["cost_pico_usd"]
        assert told["shadow_cost_pico_usd"] == row["shadow_cost_pico_usd"]
        figure = row["cost_pico_usd"]
        if figure is None:
            figure = row["shadow_cost_pico_usd"]
        if figure is None:
            assert told["unpriced_reason"]  # a word for what is missing, always
        elif row["rates_source"] != "provider":
            assert sum(line["amount_pico_usd"] for line in told["lines"]) == figure
        text = pair.command("report", "--explain", row["id"]).stdout
        assert all(f"- {line['text']}\n" in text for line in told["lines"])
    # And read back, each comes to the same price again.
    again = json.loads(pair.command("pricing", "reprice", "--dry-run", "--json").stdout)
    assert (again["looked_at"], again["moved"]) == (room.seen, 0)
