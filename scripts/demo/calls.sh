#!/usr/bin/env bash
# The demonstration's calls, made by ordinary clients. They know nothing of the meter: the proxy and
# the CA come from the environment that `halton-meter run` gives to its command.
set -euo pipefail

ANTHROPIC=https://api.anthropic.com/v1/messages
CHAT=https://api.openai.com/v1/chat/completions
RESPONSES=https://api.openai.com/v1/responses
EMBEDDINGS=https://api.openai.com/v1/embeddings
STREAM='"stream":true,"stream_options":{"include_usage":true}'

# call NAME COMMAND...: one line per call.
call() {
  local name=$1 size
  shift
  printf '  %-58s' "$name"
  if size=$("$@" | wc -c); then printf '%7s bytes\n' "$size"; else printf 'failed\n' && return 1; fi
}
post=(curl -sS --fail -N --compressed -H 'content-type: application/json' -d)
python=(/usr/bin/python3 "$DEMO_SUPPORT/clients/call.py" urllib)

call 'curl: Claude message' "${post[@]}" '{"model":"claude-sonnet-4-5","max_tokens":64}' $ANTHROPIC
call 'curl: Claude message, streamed' \
  "${post[@]}" '{"model":"claude-sonnet-4-5","max_tokens":64,"stream":true}' $ANTHROPIC
call 'curl: GPT chat' "${post[@]}" '{"model":"gpt-5-mini","messages":[]}' $CHAT
call 'curl: GPT chat, streamed' "${post[@]}" "{\"model\":\"gpt-5-mini\",$STREAM}" $CHAT
call 'curl: embedding' \
  "${post[@]}" '{"model":"text-embedding-3-small","input":"harbour"}' $EMBEDDINGS
call 'Python: Claude message' "${python[@]}" $ANTHROPIC '{"model":"claude-haiku-4-5"}'
call 'Python: GPT response, streamed' "${python[@]}" $RESPONSES '{"model":"gpt-5","stream":true}'
if command -v node >/dev/null; then
  call 'Node: GPT chat' node "$DEMO_SUPPORT/clients/call.js" $CHAT '{"model":"gpt-5"}'
  call 'Node: GPT response, streamed' \
    node "$DEMO_SUPPORT/clients/call.js" $RESPONSES '{"model":"gpt-5-mini","stream":true}'
else
  printf '  (no Node here: its two calls are left out)\n'
fi
