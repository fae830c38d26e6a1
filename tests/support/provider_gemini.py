"""What the simulated Gemini API answers: generateContent, its stream and countTokens; and Code Assist,
which wraps the same one level deeper.

Usage has Google's own rules: cached tokens are part of the prompt, thoughts stand beside the
candidates' tokens, every chunk of a stream repeats the figures so far.
"""

import re

import provider_answers as answers
import provider_tools

HOST = "generativelanguage.googleapis.com"
CODE_ASSIST = "cloudcode-pa.googleapis.com"
_PATH = re.compile(r"/v1\w*/models/([^/:]+)(?::|%3A)(\w+)$")


def _usage(figures, candidates):
    """As far as the stream is: the prompt's figures are there from the first chunk on."""
    prompt = figures.input_tokens + figures.cache_read_tokens
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": candidates,
             "totalTokenCount": prompt + candidates + figures.thinking_tokens,
             "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}]}
    if figures.cache_read_tokens:
        usage["cachedContentTokenCount"] = figures.cache_read_tokens
    if figures.thinking_tokens:
        usage["thoughtsTokenCount"] = figures.thinking_tokens
    return usage


def _chunk(number, model, text, usage, last):
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model,
            "responseId": f"gemini-sim{number:08d}"}


def _wants_json(request):
    """Gemini CLI asks for JSON when it chooses a model for the turn."""
    return (request.get("generationConfig") or {}).get("responseMimeType") == "application/json"


def _generate(number, model, endpoint, streamed, request):
    figures = answers.Figures.of_call(number)
    figures.cache_write_5m_tokens = figures.cache_write_1h_tokens = 0
    candidates = figures.output_tokens - figures.thinking_tokens
    answer = answers.Answer(200, "application/json; charset=UTF-8", endpoint=endpoint,
                            model=model, figures=figures)
    text = answers.text_of(number)
    if _wants_json(request):
        text = answers.to_json({"reasoning": "It is simple.", "model_choice": "flash",
                                "complexity_reasoning": "It is simple.",
                                "complexity_score": 7}).decode()
    if not streamed:
        answer.body = answers.to_json(_chunk(number, model, text, _usage(figures, candidates),
                                             True))
        return answer
    words = text.split(" ")
    answer.events = []
    if tool := provider_tools.gemini(request):
        chunk = _chunk(number, model, "", _usage(figures, candidates), True)
        chunk["candidates"][0]["content"]["parts"] = [
            {"functionCall": {"name": tool[0], "args": tool[1]}}]
        words, answer.events = [], [b"data: " + answers.to_json(chunk) + b"\r\n\r\n"]
    for at, word in enumerate(words, 1):
        chunk = _chunk(number, model, word + " ",
                       _usage(figures, candidates * at // len(words)), at == len(words))
        answer.events.append(b"data: " + answers.to_json(chunk) + b"\r\n\r\n")
    answer.content_type = "text/event-stream"
    return answer


def _count(number, model):
    return answers.Answer(200, "application/json; charset=UTF-8",
                          answers.to_json({"totalTokens": 7 + number}), endpoint="count_tokens",
                          model=model, figures=answers.Figures(0, 0))


def route(path):
    """The function that answers a POST to this path, or None."""
    match = _PATH.match(path)
    if match is None:
        return None
    model, verb = match.groups()
    return {"generateContent": lambda number, request: _generate(
                number, model, "generate_content", False, request),
            "streamGenerateContent": lambda number, request: _generate(
                number, model, "stream_generate_content", True, request),
            "countTokens": lambda number, _: _count(number, model)}.get(verb)


# What Gemini CLI asks of Code Assist before and besides its calls.
_FACTS = {"loadCodeAssist": {"currentTier": {"id": "standard-tier", "name": "Simulated"},
                             "cloudaicompanionProject": "simulated-project"},
          "retrieveUserQuota": {"buckets": []}, "listExperiments": {"flags": [], "experimentIds": []},
          "fetchAdminControls": {}, "recordCodeAssistMetrics": {}}


def _wrapped(number, request, verb, streamed):
    answer = _generate(number, request["model"], f"codeassist.{verb}", streamed,
                       request["request"] | {provider_tools.MARK: request.get(provider_tools.MARK)})
    if streamed:
        answer.events = [b'data: {"response": ' + event[len(b"data: "):-4]
                         + b', "traceId": "sim"}\r\n\r\n' for event in answer.events]
    else:
        answer.body = b'{"response": ' + answer.body + b"}"
    return answer


def code_assist_route(path):
    verb = path.removeprefix("/v1internal:")
    if verb in _FACTS:
        return lambda *_: answers.Answer(200, "application/json", answers.to_json(_FACTS[verb]))
    return {"generateContent": lambda number, request: _wrapped(
                number, request, "generate_content", False),
            "streamGenerateContent": lambda number, request: _wrapped(
                number, request, "stream_generate_content", True)}.get(verb)
