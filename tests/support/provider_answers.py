"""What the simulated providers answer: bodies in the shapes of the Anthropic and OpenAI APIs; those of
the Gemini API are in provider_gemini.py.

Every usage figure follows from the number of the call alone, so that a test (or a reader of the
ledger) knows what the meter must have seen. A figure never repeats the mistakes worth catching:
cached tokens are part of OpenAI's input but not of Anthropic's, thinking is part of the output.
"""

import dataclasses
import json

import provider_tools

WORDS = ("The", "harbour", "lights", "go", "on", "one", "by", "one,", "and", "the", "last", "ferry",
         "turns", "for", "home.", "Grüße", "aus", "Köln", "✓", "\"usage\":", "{\"input_tokens\": 1}")


@dataclasses.dataclass
class Figures:
    """One call's usage in the meter's terms: the four input buckets do not overlap."""

    input_tokens: int
    output_tokens: int
    thinking_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0

    @classmethod
    def of_call(cls, number):
        return cls(input_tokens=11 + number * 37 % 1009,
                   output_tokens=23 + number * 53 % 733,
                   thinking_tokens=number * 7 % 19,
                   cache_read_tokens=(number * 101 % 4001) if number % 3 == 0 else 0,
                   cache_write_5m_tokens=(number * 29 % 613) if number % 4 == 0 else 0,
                   cache_write_1h_tokens=(number * 31 % 307) if number % 8 == 0 else 0)


@dataclasses.dataclass
class Answer:
    """A status, headers and either one body or a list of events (a stream)."""

    status: int
    content_type: str
    body: bytes = b""
    events: list | None = None
    endpoint: str = ""
    model: str = ""
    figures: Figures | None = None
    complete: bool = True
    headers: tuple = ()


def text_of(number):
    return " ".join(WORDS[(number + step) % len(WORDS)] for step in range(3 + number % 17))


def to_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _event(value, name=None):
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + to_json(value) + b"\n\n"


# --- Anthropic -------------------------------------------------------------------------------
def _anthropic_usage(figures):
    return {"input_tokens": figures.input_tokens,
            "cache_creation_input_tokens":
                figures.cache_write_5m_tokens + figures.cache_write_1h_tokens,
            "cache_read_input_tokens": figures.cache_read_tokens,
            "cache_creation": {"ephemeral_5m_input_tokens": figures.cache_write_5m_tokens,
                               "ephemeral_1h_input_tokens": figures.cache_write_1h_tokens},
            "output_tokens": figures.output_tokens,
            "output_tokens_details": {"thinking_tokens": figures.thinking_tokens},
            "service_tier": "standard"}


def anthropic_messages(number, request):
    figures, model = Figures.of_call(number), request.get("model", "claude-sonnet-4-5")
    message = {"id": f"msg_sim{number:08d}", "type": "message", "role": "assistant",
               "model": model, "content": [], "stop_reason": None, "stop_sequence": None}
    text = text_of(number)
    answer = Answer(200, "application/json", endpoint="messages", model=model, figures=figures,
                    headers=(("request-id", f"req_sim{number:08d}"),))
    if not request.get("stream"):
        message["content"] = [{"type": "text", "text": text}]
        answer.body = to_json({**message, "stop_reason": "end_turn",
                             "usage": _anthropic_usage(figures)})
        return answer
    first = {**_anthropic_usage(figures), "output_tokens": 1}
    del first["output_tokens_details"]
    tool = provider_tools.anthropic(request)
    events = [{"type": "message_start", "message": {**message, "usage": first}}]
    if tool:
        events += provider_tools.anthropic_events(number, tool)
    else:
        events += [{"type": "content_block_start", "index": 0,
                    "content_block": {"type": "text", "text": ""}}, {"type": "ping"}]
        events += [{"type": "content_block_delta", "index": 0,
                    "delta": {"type": "text_delta", "text": word + " "}}
                   for word in text.split(" ")]
        events += [{"type": "content_block_stop", "index": 0}]
    events += [{"type": "message_delta", "delta": {"stop_reason": "tool_use" if tool else "end_turn",
                                                   "stop_sequence": None},
                "usage": {"output_tokens": figures.output_tokens,
                          "output_tokens_details":
                              {"thinking_tokens": figures.thinking_tokens}}},
               {"type": "message_stop"}]
    answer.content_type = "text/event-stream; charset=utf-8"
    answer.events = [_event(value, value["type"]) for value in events]
    return answer


def anthropic_count_tokens(number, request):
    return Answer(200, "application/json", to_json({"input_tokens": 11 + number}),
                  endpoint="messages.count_tokens", model=request.get("model", ""),
                  figures=Figures(0, 0))


def anthropic_error(status, kind, message):
    return Answer(status, "application/json",
                  to_json({"type": "error", "error": {"type": kind, "message": message},
                         "request_id": "req_sim_error"}), endpoint="messages",
                  figures=Figures(0, 0))


# --- OpenAI ----------------------------------------------------------------------------------
def _openai_figures(number):
    """OpenAI writes caches with one lifetime only, here without a charge of its own."""
    figures = Figures.of_call(number)
    figures.cache_write_5m_tokens = figures.cache_write_1h_tokens = 0
    return figures


def _chat_usage(figures):
    prompt = figures.input_tokens + figures.cache_read_tokens
    return {"prompt_tokens": prompt, "completion_tokens": figures.output_tokens,
            "total_tokens": prompt + figures.output_tokens,
            "prompt_tokens_details": {"cached_tokens": figures.cache_read_tokens,
                                      "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": figures.thinking_tokens,
                                          "audio_tokens": 0, "accepted_prediction_tokens": 0,
                                          "rejected_prediction_tokens": 0}}


def openai_chat(number, request):
    figures, model = _openai_figures(number), request.get("model", "gpt-5-mini")
    answer = Answer(200, "application/json", endpoint="chat.completions", model=model,
                    figures=figures, headers=(("x-request-id", f"req_sim{number:08d}"),))
    base = {"id": f"chatcmpl-sim{number:08d}", "created": 1790000000 + number, "model": model,
            "service_tier": "default", "system_fingerprint": "fp_sim"}
    text = text_of(number)
    if not request.get("stream"):
        answer.body = to_json({**base, "object": "chat.completion",
                             "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None,
                                          "message": {"role": "assistant", "content": text,
                                                      "refusal": None}}],
                             "usage": _chat_usage(figures)})
        return answer
    with_usage = bool((request.get("stream_options") or {}).get("include_usage"))
    base["object"] = "chat.completion.chunk"

    def chunk(choices, usage=None):
        extra = {"usage": usage} if with_usage else {}
        return _event({**base, "choices": choices, **extra, "obfuscation": "q7" * (number % 5)})

    deltas = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word + " "} for word in text.split(" ")]
    answer.events = [chunk([{"index": 0, "delta": delta, "finish_reason": None}])
                     for delta in deltas]
    answer.events.append(chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    if with_usage:
        answer.events.append(chunk([], _chat_usage(figures)))
    else:
        answer.figures, answer.complete = Figures(0, 0), False
    answer.events.append(b"data: [DONE]\n\n")
    answer.content_type = "text/event-stream; charset=utf-8"
    return answer


def _text_item(number):
    """(an output item with text, its events between `added` and `done`)."""
    text = text_of(number)
    item = {"type": "message", "id": f"msg_sim{number:08d}", "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": []}]}
    part = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    return item, [
        {"type": "response.content_part.added", **part,
         "part": {"type": "output_text", "text": "", "annotations": []}},
        *({"type": "response.output_text.delta", **part, "delta": word + " "}
          for word in text.split(" ")),
        {"type": "response.output_text.done", **part, "text": text},
        {"type": "response.content_part.done", **part, "part": item["content"][0]}]


def responses_events(number, request):
    """(Answer without a body, the events of its stream): the same over SSE and over a WebSocket."""
    figures, model = _openai_figures(number), request.get("model", "gpt-5-mini")
    answer = Answer(200, "application/json", endpoint="responses", model=model, figures=figures,
                    headers=(("x-request-id", f"req_sim{number:08d}"),))
    whole_input = figures.input_tokens + figures.cache_read_tokens
    usage = {"input_tokens": whole_input,
             "input_tokens_details": {"cached_tokens": figures.cache_read_tokens},
             "output_tokens": figures.output_tokens,
             "output_tokens_details": {"reasoning_tokens": figures.thinking_tokens},
             "total_tokens": whole_input + figures.output_tokens}
    response = {"id": f"resp_sim{number:08d}", "object": "response",
                "created_at": 1790000000 + number, "status": "in_progress", "background": False,
                "error": None, "incomplete_details": None, "model": model, "output": [],
                "service_tier": "default", "tools": [], "usage": None, "metadata": {}}
    tool = provider_tools.responses(request)
    item, parts = provider_tools.responses_item(number, tool) if tool else _text_item(number)
    done = {**response, "status": "completed", "output": [item], "usage": usage}
    events = [{"type": "response.created", "response": response},
              {"type": "response.in_progress", "response": response},
              {"type": "response.output_item.added", "output_index": 0,
               "item": {**item, "status": "in_progress"}}, *parts,
              {"type": "response.output_item.done", "output_index": 0, "item": item},
              {"type": "response.completed", "response": done}]
    return answer, events


def openai_responses(number, request):
    answer, events = responses_events(number, request)
    if not request.get("stream"):
        answer.body = to_json(events[-1]["response"])
        return answer
    answer.events = [_event({**value, "sequence_number": at}, value["type"])
                     for at, value in enumerate(events)]
    answer.content_type = "text/event-stream; charset=utf-8"
    return answer


def codex_responses(number, request):
    """The same, for a ChatGPT login."""
    answer = openai_responses(number, request)
    answer.endpoint = "codex.responses"
    return answer


def openai_embeddings(number, request):
    model, tokens = request.get("model", "text-embedding-3-small"), 5 + number % 211
    vector = [round(((number * 31 + step * 17) % 2000 - 1000) / 1000, 3) for step in range(256)]
    return Answer(200, "application/json",
                  to_json({"object": "list",
                         "data": [{"object": "embedding", "index": 0, "embedding": vector}],
                         "model": model, "usage": {"prompt_tokens": tokens,
                                                   "total_tokens": tokens}}),
                  endpoint="embeddings", model=model, figures=Figures(tokens, 0))


def openai_error(status, kind, code, message):
    return Answer(status, "application/json",
                  to_json({"error": {"message": message, "type": kind, "param": None,
                                   "code": code}}),
                  endpoint="chat.completions", figures=Figures(0, 0))
