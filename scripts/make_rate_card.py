#!/usr/bin/env python3
"""Writes the bundled rate card from a reviewed price table.

    scripts/make_rate_card.py PRICES.json interceptor/pricing/rates/rates-YYYY-MM-DD.json

The price table is the hand-kept research file (one entry per model, with sources); that of the card
in use is tests/prices/prices-YYYY-MM-DD.json, and unit tests compare the two figure by figure. The card holds
what pricing needs and what `pricing list` shows, one model per line so that a change of a price is
a change of one line. Figures are copied as the decimal strings they are; nothing is computed here.
"""
import json
import sys

PROVIDER_IDS = {"google": "gemini"}  # the ids that our database uses

# Said in the table's prose only.
GUARANTEED_THROUGH = {("openai", "gpt-5.6-sol", "2026-08-21"): "2026-11-21"}
FREE_PER_CALL = {"xai": ["mcp"]}  # remote MCP calls are not charged


def rates_of(rates):
    for bucket, rate in rates.items():
        if not isinstance(rate, str):
            sys.exit(f"{bucket}: {rate!r} is not a decimal string")
    return rates


def period_of(provider, model, period):
    out = {"from": period["from"], "to": period["to"]}
    guaranteed = GUARANTEED_THROUGH.pop((provider, model, period["from"]), None)
    if guaranteed:
        out["guaranteed_through"] = guaranteed
    out["rates"] = rates_of(period["rates"])
    if "long_context" in period:
        long_context = period["long_context"]
        out["long_context"] = {
            "threshold_tokens": long_context["threshold_tokens"],
            "op": long_context["op"],
            "rates": rates_of(long_context["rates"]),
        }
    tiers = {}
    for name, tier in period.get("service_tiers", {}).items():
        tiers[name] = {"rates": rates_of(tier["rates"])}
        if "long_rates" in tier:
            tiers[name]["long_rates"] = rates_of(tier["long_rates"])
        if "derived" in tier:
            tiers[name]["derived"] = True
    if tiers:
        out["service_tiers"] = tiers
    if "note" in period:
        out["note"] = period["note"]
    return out


def model_of(entry):
    out = {
        "provider": PROVIDER_IDS.get(entry["provider"], entry["provider"]),
        "model": entry["model"],
        "kind": entry["kind"],
        "status": entry["status"],
        "ids": entry["match"]["exact"],
    }
    if "pattern" in entry["match"]:
        out["pattern"] = entry["match"]["pattern"]
    if entry.get("enabled", True) is False:
        out["enabled"] = False
    out["periods"] = [period_of(entry["provider"], entry["model"], p) for p in entry["periods"]]
    geo = {name: g["multiplier"] for name, g in entry.get("geo", {}).items()}
    if geo:
        out["geo"] = geo
    out["sources"] = entry["source"]
    out["agree"] = entry["agree"]
    for optional in ("confidence", "disagree", "notes"):
        if optional in entry:
            out[optional] = entry[optional]
    return out


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        table = json.load(file, parse_float=lambda text: sys.exit(f"floating point: {text}"))
    providers = {}
    for name, provider in table["providers"].items():
        per_call = {k: v["usd_per_1000"] for k, v in provider.get("per_call", {}).items()}
        per_call.update({k: "0" for k in FREE_PER_CALL.get(name, [])})
        providers[PROVIDER_IDS.get(name, name)] = {"per_call": per_call}
    head = {
        "format": "halton-meter-rates",
        "format_version": 1,
        "card_date": table["card_date"],
        "evidence_until": table["evidence_until"],
        "currency": table["currency"],
        "units": "USD per 1,000,000 tokens; per_call in USD per 1,000 calls; decimal strings",
    }
    lines = [f' {json.dumps(k)}: {json.dumps(v)},' for k, v in head.items()]
    lines.append(' "providers": {')
    lines.append(",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in providers.items()))
    lines.append(' },\n "models": [')
    lines.append(",\n".join("  " + json.dumps(model_of(m)) for m in table["models"]))
    lines.append(" ]")
    if GUARANTEED_THROUGH:
        sys.exit(f"no such period: {list(GUARANTEED_THROUGH)}")
    with open(sys.argv[2], "w", encoding="ascii") as file:
        file.write("{\n" + "\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
