"""Short cuts the tests share: one call over an open connection, well-known requests."""

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
