"""Short cuts the tests share: one call over an open connection, well-known requests, origins that
answer them, and what must have been recorded."""

import json

import http1

HOST = "api.openai.com"
CHAT = "/v1/chat/completions"


def chat_body(stream=False, model="gpt-5-mini", content="Count the gulls.", **more):
    body = {"messages": [{"role": "user", "content": content}], "model": model, **more}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body).encode()


def post(wire, target=CHAT, body=None, host=HOST, headers=()):
    """Sends a POST and reads its answer (interim ones are skipped)."""
    body = chat_body() if body is None else body
    wire.send(http1.request_bytes("POST", target, host, body,
                                  [("Content-Type", "application/json"),
                                   ("Authorization", "Bearer sk-test-secret"), *headers]))
    response = http1.read_response(wire, "POST")
    while response.status < 200:
        response = http1.read_response(wire, "POST")
    return response


def chat_answer(prompt=8, completion=13, model="gpt-5-mini-2025-08-07", **more):
    """A plausible answer body of the chat endpoint."""
    return json.dumps({
        "id": "chatcmpl-t1", "object": "chat.completion", "created": 1790000000, "model": model,
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": "Seven."}}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion,
                  "total_tokens": prompt + completion}, **more}).encode()


def response_bytes(body, status="200 OK", content_type="application/json", headers=()):
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}",
             f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def answering(*answers):
    """A handler that answers each request on a connection with the next of these bytes."""
    def handler(wire):
        for answer in answers:
            if http1.read_request(wire) is None:
                return
            wire.send(answer)
        wire.recv_all()
    return handler


def numbered(count):
    """Answers with different usage: (10, 1), (20, 2), ..."""
    return [response_bytes(chat_answer(10 * n, n)) for n in range(1, count + 1)]


def figures(rows):
    return [(row["input_tokens"], row["output_tokens"]) for row in rows]


def check_rows(pair, expected, up=None, down=None, transport="h1", complete=True):
    """Exactly these rows: (input, output) tokens of each, in any order, with all that every record
    carries. `up`, `down`: the bytes of the bodies."""
    rows = pair.rows(len(expected))
    assert sorted(figures(rows)) == sorted(expected)
    for row in rows:
        assert transport is None or row["transport"] == transport, row
        assert row["tokens_complete"] == int(complete), row
        assert up is None or row["bytes_up"] == up, row
        assert down is None or row["bytes_down"] == down, row
        assert row["duration_us"] > 0 and 0 <= row["ttfb_us"] <= row["duration_us"], row
    return rows


def check_metered(pair, *args, **options):
    """These rows and no miss."""
    rows = check_rows(pair, *args, **options)
    assert pair.database.misses() == []
    return rows


def check_miss(pair, reason, host=HOST, up=0, down=0, detail=None, rows=0):
    """One miss with this reason, that many bytes at least, and as many rows."""
    pair.misses(reason, 20)
    (miss,) = pair.database.misses()
    assert (miss["reason"], miss["host"], miss["count"]) == (reason, host, 1), miss
    assert miss["bytes_up"] >= up and miss["bytes_down"] >= down, miss
    if detail is not None:
        assert miss["detail"] == detail, miss
    assert len(pair.rows(rows) if rows else pair.database.requests()) == rows
    return miss


def check_nothing(pair):
    """Neither a row nor a miss, also after all that was waiting has been written."""
    pair.stop()
    assert pair.database.requests() == [] and pair.database.misses() == []


def make(pair, count):
    """So many metered calls, each on a connection of its own; all of them must work."""
    for _ in range(count):
        with pair.connect(HOST) as wire:
            assert post(wire).status == 200
    return count
