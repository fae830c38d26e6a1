"""Which answer a request to the simulated provider gets, by host, path and wanted status."""

import provider_answers as answers
import provider_gemini
import provider_socket

ROUTES = {
    ("api.anthropic.com", "/v1/messages"): answers.anthropic_messages,
    ("api.anthropic.com", "/v1/messages/count_tokens"): answers.anthropic_count_tokens,
    ("api.openai.com", "/v1/chat/completions"): answers.openai_chat,
    **provider_socket.ENDPOINTS,
    ("api.openai.com", "/v1/embeddings"): answers.openai_embeddings,
}

# What clients want to know before they call a model.
FACTS = {
    ("api.anthropic.com", "/v1/models"): {"data": [], "has_more": False},
    ("api.openai.com", "/v1/models"): {"object": "list", "data": []},
    ("chatgpt.com", "/backend-api/wham/accounts/check"): {
        "account_ordering": ["acct-test"],
        "accounts": [{"id": "acct-test", "workspace_backend_origin": "NO_CONSTRAINT",
                      "account_routing_override": "NO_CONSTRAINT"}]},
}

ERRORS = {
    ("api.anthropic.com", 401): ("authentication_error", None, "invalid x-api-key"),
    ("api.anthropic.com", 429): ("rate_limit_error", None, "Number of requests exceeded."),
    ("api.anthropic.com", 529): ("overloaded_error", None, "Overloaded"),
    ("api.openai.com", 401): ("invalid_request_error", "invalid_api_key", "Incorrect API key"),
    ("api.openai.com", 429): ("requests", "rate_limit_exceeded", "Rate limit reached."),
    ("api.openai.com", 500): ("server_error", None, "The server had an error."),
}


def route_of(host, path):
    """The function that answers a POST: (number of the call, request) -> Answer; or None."""
    path = path.split("?")[0]
    if host == provider_gemini.HOST:
        return provider_gemini.route(path)
    if host == provider_gemini.CODE_ASSIST:
        return provider_gemini.code_assist_route(path)
    return ROUTES.get((host, path))


def _json_answer(status, value):
    return answers.Answer(status, "application/json", answers.to_json(value))


def answer_for(host, method, path, request, number, wanted_status=200):
    """The answer to one request; 404 in the provider's own shape for what is not known."""
    if wanted_status != 200:
        kind, code, message = ERRORS.get((host, wanted_status),
                                         ("api_error", None, "simulated error"))
        answer = (answers.anthropic_error(wanted_status, kind, message)
                  if host == "api.anthropic.com"
                  else answers.openai_error(wanted_status, kind, code, message))
        route = route_of(host, path)
        answer.endpoint = route(number, request).endpoint if route else ""
        answer.model = request.get("model", "")
        return answer
    if method == "GET" and (host, path) in FACTS:
        return _json_answer(200, FACTS[host, path])
    if method == "GET" and (host, path.split("?")[0]) in provider_socket.ENDPOINTS:
        return _json_answer(426, {"error": {"message": "no WebSocket here", "type": "upgrade"}})
    route = route_of(host, path)
    if route is None or method != "POST":
        return _json_answer(404, {"error": {"message": f"no {method} {path}",
                                            "type": "not_found"}})
    return route(number, request)
