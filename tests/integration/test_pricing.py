"""Rates of one's own, end to end: an unknown model, rates.toml, exact figures."""

import json

import pytest

import calls
import http1

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
