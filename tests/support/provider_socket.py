"""The simulated Responses API over a WebSocket: many turns on a socket, as Codex uses it with a key
(api.openai.com) and with a ChatGPT login (chatgpt.com).
"""

import provider_answers as answers
import provider_tools
import websocket

ENDPOINTS = {("api.openai.com", "/v1/responses"): answers.openai_responses,
             ("chatgpt.com", "/backend-api/codex/responses"): answers.codex_responses}


def is_asked(host, request):
    return (host, request.target.split("?")[0]) in ENDPOINTS and \
        (request.header("Upgrade") or "").lower() == "websocket"


def serve(wire, host, request, tools, next_number, write_ledger):
    """write_ledger(number, asked, answer), at each turn's end. Returns when the client leaves."""
    socket = websocket.accept(wire, request=request)
    while (asked := socket.recv()) is not None:
        if asked.get("type") != "response.create":
            continue
        asked[provider_tools.MARK] = tools
        number = next_number()
        answer, events = answers.responses_events(number, asked)
        answer.endpoint = ENDPOINTS[host, request.target.split("?")[0]](number, asked).endpoint
        if asked.get("generate") is False:  # a warm-up: nothing is generated, nothing is charged
            nothing = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
            events = [events[0], events[-1]]
            events[-1]["response"] |= {"output": [], "usage": nothing}
        else:
            write_ledger(number, asked, answer)
        for at, event in enumerate(events):
            socket.send({**event, "sequence_number": at})
    socket.close()
