"""The golden cases of tests/golden for tests with real processes: loaded in their wire form, and
rows of the database compared with the records that the cases expect, field by field.

The layout of a case is told by the unit tests' reader, tests/unit/meter/golden_test.cc.
"""

import dataclasses
import json
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "golden"
CODINGS = (".gz", ".br", ".zst")

TOKENS = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
          "output_tokens")
SEARCHES = ("web_search", "x_search", "google_search")
PARTS = {"audio_input_tokens": "input_audio", "audio_output_tokens": "output_audio",
         "image_output_tokens": "output_image"}


@dataclasses.dataclass
class Sample:
    name: str
    meta: dict
    expected: list       # records, in the order in which they are finished
    request: bytes       # bodies as they go over the wire
    response: bytes
    messages: list       # of a WebSocket: (sent by the client, text)

    @property
    def host(self):
        return self.meta["host"]

    @property
    def end(self):
        return self.meta["end"]

    @property
    def is_socket(self):
        return self.meta.get("transport") == "websocket"

    @property
    def request_headers(self):
        """Lower-case names; the case is told to the origin in one of our own."""
        headers = dict(self.meta.get("request_headers") or {})
        if self.request and "content-type" not in headers:
            headers["content-type"] = "application/json"
        return [("x-sample", self.name), ("authorization", "Bearer sk-test-secret"),
                *headers.items()]

    @property
    def response_headers(self):
        told = [] if self.is_socket else [("content-type", self.meta["content_type"])]
        return told + list((self.meta.get("response_headers") or {}).items())

    def pieces(self):
        """The response cut at the borders that the case names, else in a few hundreds of bytes."""
        sizes, at, cut = list(self.meta.get("chunks") or []), 0, []
        while at < len(self.response):
            size = sizes.pop(0) if sizes else 700
            cut.append(self.response[at:at + size])
            at += size
        return cut


def _body(folder, stem):
    """The recorded wire form when there is one; never both it and its decoded twin."""
    paths = sorted(folder.glob(f"{stem}.*"))
    coded = [path for path in paths if path.suffix in CODINGS]
    return (coded or paths)[0].read_bytes() if paths else b""


def load(folder):
    messages = []
    if (folder / "ws.jsonl").exists():
        lines = (folder / "ws.jsonl").read_text().split("\n")
        messages = [(line["dir"] == "c2s", line["text"]) for line in map(json.loads,
                                                                         filter(None, lines))]
    expected = json.loads((folder / "expected.json").read_text())
    return Sample(folder.name, json.loads((folder / "meta.json").read_text()),
                  expected if isinstance(expected, list) else [expected],
                  _body(folder, "request"), _body(folder, "response"), messages)


def load_all():
    return [load(folder) for folder in sorted(FOLDER.iterdir()) if folder.is_dir()]


def check_rows(database, rows, sample):
    """As many rows as records, each equal to its record in every field."""
    assert len(rows) == len(sample.expected), rows
    for row, expected in zip(rows, sample.expected):
        wanted = _core(expected) | _optional(expected.get("optional") or {})
        found = _core_of(row) | _optional_of(database, row, expected.get("optional") or {})
        assert found == wanted
        assert row["host"] == sample.host and row["status"] == _status(sample, expected)
        assert row["incomplete_reason"] is None if expected["tokens_complete"] else \
            row["incomplete_reason"], row["incomplete_reason"]
        assert (row["error_class"] is None) == (expected["error_class"] is None)
        assert row["ttfb_us"] is not None and row["duration_us"] >= row["ttfb_us"] >= 0


def _core(expected):
    provider = {"google": "gemini"}.get(expected["provider"], expected["provider"])
    return {"provider": provider, "error_kind": expected["error_class"],
            **{name: expected[name] for name in ("model", "endpoint", "stream", *TOKENS,
                                                 "thinking_tokens", "tokens_complete")}}


def _core_of(row):
    return {"provider": row["provider"], "error_kind": row["error_kind"],
            "model": row["model"], "endpoint": row["endpoint"], "stream": bool(row["stream"]),
            "tokens_complete": bool(row["tokens_complete"]),
            **{name: row[name] for name in (*TOKENS, "thinking_tokens")}}


def _optional(optional):
    wanted = dict(optional)
    if "cost_usd" in wanted:
        wanted["cost_usd"] = round(wanted["cost_usd"] * 10**12)
    return wanted


def _optional_of(database, row, optional):
    """What the database says to each optional field that the case has; an unknown one fails."""
    def one(name):
        if name in ("requested_model", "service_tier", "stop_reason", "counted_tokens", "billing"):
            return row[name]
        if name == "cost_usd":
            return row["provider_cost_pico_usd"]
        if name == "web_search_requests":
            calls = database.query("SELECT name, count FROM request_tool_calls "
                                   "WHERE request_id = ?", row["id"])
            return sum(call["count"] for call in calls if call["name"] in SEARCHES)
        if name == "extra_usage":
            extras = database.query("SELECT * FROM request_extra_usage WHERE request_id = ? "
                                    "ORDER BY position", row["id"])
            return [{key: extra[key] for key in ("kind", "model", *TOKENS)} for extra in extras]
        parts = database.query("SELECT tokens FROM request_usage_parts WHERE request_id = ? "
                               "AND extra_position = -1 AND bucket = ?", row["id"], PARTS[name])
        return sum(part["tokens"] for part in parts)
    return {name: one(name) for name in optional}


def _status(sample, expected):
    if sample.end == "client_abort":
        return "cancelled"
    if expected["error_class"] is None:
        return "success"
    return "error" if sample.end == "complete" else "truncated"
