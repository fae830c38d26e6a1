"""Answers that call a tool, so that an agent comes back with a further call. Asked for with
SimulatedProvider(tools=True), which marks the requests; only harmless tools, once per turn.
"""

import json

MARK = "x_sim_tools"

_ARGUMENTS = {
    "Bash": {"command": "echo seven gulls", "description": "Count the gulls"},           # Claude Code
    "update_plan": {"plan": [{"step": "Count the gulls", "status": "in_progress"}]},     # Codex
    "list_directory": {"dir_path": "."},                                                 # Gemini CLI
}


def _chosen(names):
    return next(((name, _ARGUMENTS[name]) for name in names if name in _ARGUMENTS), None)


def anthropic(request):
    """(name, arguments) of the tool to call, or None when it was called already or is not wanted."""
    if not request.get(MARK) or "tool_result" in json.dumps(request.get("messages", [])[-1:]):
        return None
    return _chosen(tool.get("name") for tool in request.get("tools") or [])


def responses(request):
    if not request.get(MARK) or "function_call_output" in json.dumps(request.get("input")):
        return None
    # Over a WebSocket the tools may have been told with the warm-up already.
    names = [tool.get("name") for tool in request.get("tools") or []]
    return _chosen(names) if names else ("update_plan", _ARGUMENTS["update_plan"])


def gemini(request):
    if not request.get(MARK) or "functionResponse" in json.dumps(request.get("contents", [])[-1:]):
        return None
    return _chosen(tool.get("name") for group in request.get("tools") or []
                   for tool in group.get("functionDeclarations") or [])


def anthropic_events(number, call):
    """The block of a tool call; its stop reason is tool_use."""
    name, arguments = call
    block = {"type": "tool_use", "id": f"toolu_sim{number:08d}", "name": name, "input": {}}
    text = json.dumps(arguments)
    return [{"type": "content_block_start", "index": 0, "content_block": block},
            *({"type": "content_block_delta", "index": 0,
               "delta": {"type": "input_json_delta", "partial_json": part}}
              for part in (text[:9], text[9:])),
            {"type": "content_block_stop", "index": 0}]


def responses_item(number, call):
    """(the output item, its events between `added` and `done`)."""
    name, arguments = call
    text = json.dumps(arguments)
    item = {"type": "function_call", "id": f"fc_sim{number:08d}", "status": "completed",
            "call_id": f"call_sim{number:08d}", "name": name, "arguments": text}
    place = {"item_id": item["id"], "output_index": 0}
    return item, [{"type": "response.function_call_arguments.delta", **place, "delta": text},
                  {"type": "response.function_call_arguments.done", **place, "arguments": text}]
