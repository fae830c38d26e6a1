#!/usr/bin/env python3
"""Writes docs/accuracy.md: what the golden cases cover, counted from tests/golden and its tests.

    scripts/accuracy.py            write the page
    scripts/accuracy.py --check    write nothing; exit code 1 when the page is not up to date
"""

import collections
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/accuracy.md"
GOLDEN = ROOT / "tests/golden"

SHAPES = {
    "messages": "Anthropic messages",
    "messages.count_tokens": "Anthropic messages",
    "messages.batch_result": "Anthropic batch results",
    "chat.completions": "OpenAI chat",
    "completions": "OpenAI chat",
    "responses": "OpenAI responses",
    "responses.compact": "OpenAI responses",
    "responses.input_tokens": "OpenAI responses",
    "codex.responses": "OpenAI responses",
    "codex.responses.compact": "OpenAI responses",
    "embeddings": "OpenAI embeddings",
    "images": "OpenAI images and audio",
    "audio.transcriptions": "OpenAI images and audio",
    "realtime": "OpenAI realtime",
    "generate_content": "Gemini generate",
    "stream_generate_content": "Gemini generate",
    "count_tokens": "Gemini generate",
    "embed_content": "Gemini embeddings",
    "batch_embed_contents": "Gemini embeddings",
    "interactions": "Gemini interactions",
    "codeassist.generate_content": "Code Assist generate",
    "codeassist.stream_generate_content": "Code Assist generate",
    "codeassist.count_tokens": "Code Assist generate",
}
PROVIDERS = {"anthropic": "Anthropic", "openai": "OpenAI", "google": "Gemini", "xai": "xAI"}
HOSTS = {"chatgpt.com": "OpenAI (chatgpt.com)",
         "cloudcode-pa.googleapis.com": "Gemini (Code Assist)"}
CODINGS = {".gz": "gzip", ".br": "br", ".zst": "zstd"}
COLUMNS = ("JSON", "SSE", "array", "lines", "error", "cut", "WebSocket")


class Case:
    def __init__(self, folder):
        self.meta = json.loads((folder / "meta.json").read_text())
        expected = json.loads((folder / "expected.json").read_text())
        self.records = expected if isinstance(expected, list) else [expected]
        record = self.records[0]
        self.provider = HOSTS.get(self.meta["host"], PROVIDERS[record["provider"]])
        self.shape = SHAPES[record["endpoint"]]
        self.form = self._form(folder)
        self.codings = [(path.name.split(".")[0], CODINGS[path.suffix])
                        for path in sorted(folder.iterdir()) if path.suffix in CODINGS]

    def _form(self, folder):
        if self.meta.get("transport") == "websocket":
            return "WebSocket"
        if self.meta["end"] != "complete":
            return "cut"
        if any(record["error_class"] for record in self.records):
            return "error"
        if (folder / "response.sse").exists():
            return "SSE"
        if (folder / "response.txt").exists():
            return "lines"
        body = (folder / "response.json").read_text().lstrip()
        return "array" if body.startswith("[") else "JSON"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def found(pattern, text, what):
    match = re.search(pattern, text)
    if match is None:
        sys.exit(f"accuracy.py: {what} is no longer where it was; mend the pattern {pattern!r}")
    return match.group(1)


def ways_of_feeding():
    """The cuts and codings, from the sources of the tests themselves."""
    splits = (ROOT / "tests/support/splits.h").read_text()
    golden = (ROOT / "tests/unit/meter/golden_test.cc").read_text()
    names = re.findall(r'\{"(whole|bytes|sevens|primes)"', splits)
    codings = re.findall(r'"(\w+)"', found(r"coding : \{([^}]*)\}", golden, "list of codings"))
    pieces = re.findall(r"size_t\{(\d+)\}", found(r"piece : \{(.*)\}\) \{", golden, "flushes"))
    rounds = int(found(r"run_all_splits\(golden, golden.exchange, (\d+)\)", golden, "rounds"))
    coded = int(found(r"run_all_splits\(golden, exchange, (\d+)\);\n      \}", golden, "rounds"))
    return names, codings, pieces, rounds, coded


def page():
    cases = [Case(folder) for folder in sorted(GOLDEN.iterdir()) if folder.is_dir()]
    read = [case for case in cases if case.form != "WebSocket"]
    names, codings, pieces, rounds, coded = ways_of_feeding()
    lines = ["# Accuracy", "",
             "Written by `scripts/accuracy.py` from `tests/golden`; a test compares. Do not edit.", "",
             f"{len(cases)} golden cases: exchanges in the providers' formats, each with the record that "
             "must come of it,", "every field compared exactly. "
             f"{len(read)} are HTTP exchanges, fed over HTTP/1.1 and once more as mixed HTTP/2 streams; "
             f"the {len(cases) - len(read)}",
             "WebSocket cases are fed as frames: masked, fragmented, with pings in between, plain and with",
             "permessage-deflate, behind an HTTP/1.1 upgrade and behind extended CONNECT. All of them also go through the",
             "real processes (`tests/integration/test_samples.py`): an origin replays the answer, a client asks through the",
             "edge, the row in the database is compared, and both ends must have seen the same bytes.", "",
             "## Cases by provider and wire shape", ""]
    counts = collections.defaultdict(collections.Counter)
    for case in cases:
        counts[case.provider, case.shape][case.form] += 1
    rows = [(provider, shape, *(forms[column] or "" for column in COLUMNS), sum(forms.values()))
            for (provider, shape), forms in sorted(counts.items())]
    totals = collections.Counter(case.form for case in cases)
    rows.append(("**all**", "", *(totals[column] or "" for column in COLUMNS), len(cases)))
    lines += table(("provider", "shape", *COLUMNS, "cases"), rows)
    lines += ["", "JSON, SSE, array (one JSON array written over time) and lines (JSON Lines) are "
              "answers without an error;", "error: an HTTP status of 400 and above, or an error "
              "inside an answer of status 200; cut: ended early, reset,", "or left by the client.",
              "", "## Ways of feeding", ""]
    lines += table(("way", "what"), [
        *((name, {"whole": "in one piece", "bytes": "byte by byte", "sevens": "seven bytes at a time",
                  "primes": "pieces of 2, 3, 5, ... 43 bytes"}[name]) for name in names),
        ("random", f"{rounds} rounds of seeded random cuts ({coded} in the coded runs)"),
        ("chunks", f"the borders that {sum('chunks' in case.meta for case in read)} cases name: "
                   "inside CRLF, characters and escapes"),
        ("strangers", "streams once more with a comment, an unknown event and an empty event between "
                      "any two events")])
    lines += ["", "## Content encodings", "",
              "Every HTTP case is fed once more with request and response in each of "
              f"{', '.join(codings)}, flushed after every", f"{' or '.join(pieces)} bytes, in all "
              "ways above. Besides, these bodies are there as they went over the wire:", ""]
    wire = collections.Counter(coding for case in read for coding in case.codings)
    lines += table(("body", "coding", "cases"),
                   [(body, coding, count) for (body, coding), count in sorted(wire.items())])
    lines += prices()
    return "\n".join(lines) + "\n"


def prices():
    """What stands behind the figures of money, and the edges that no golden case has."""
    source = (ROOT / "tests/unit/meter/traps_test.cc").read_text()
    hosts = re.findall(r'^ +\{"[^"]+", k(\w+),|^ +\{"[^"]+",\n +k(\w+),', source, re.M)
    traps = collections.Counter(first or second for first, second in hosts)
    tables = ROOT / "tests/prices"
    models = json.loads(next(tables.glob("prices-*.json")).read_text())["models"]
    models = [model for model in models if model.get("enabled", True)]
    figures = sum(len(rates) for model in models for period in model["periods"]
                  for rates in every_rate_set(period))
    examples = (tables / "worked-examples.txt").read_text().count("\n# ") + 1
    return ["", "## Traps", "",
            f"{sum(traps.values())} answers that look like another one (a figure that is repeated, "
            "nested, missing or told twice), in all ways of", "feeding:", "",
            *table(("host", "traps"), sorted(traps.items())),
            "", "## Prices", "",
            f"The {figures} figures of all {len(models)} models of the rate card are compared with the "
            "price table that it was made of.", "Models that charge input and output are priced at "
            "each of their standard, long and tier rates, on both", "sides of their thresholds. The "
            f"{examples} worked examples of the price reference are exact, line by line."]


def every_rate_set(period):
    yield period["rates"]
    yield period.get("long_context", {}).get("rates", {})
    for tier in period.get("service_tiers", {}).values():
        yield tier["rates"]
        yield tier.get("long_rates", {})


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__.strip())
        return 0 if sys.argv[1:] in (["--help"], ["-h"]) else 2
    text = page()
    if not sys.argv[1:]:
        PAGE.write_text(text)
        return 0
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    print("docs/accuracy.md is not what tests/golden says; run scripts/accuracy.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
