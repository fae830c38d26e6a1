#!/usr/bin/env bash
# Runs the real agents - Claude Code, Codex, Gemini CLI - through the meter against a simulated provider,
# and compares the meter's rows with the provider's own ledger, token for token. Not part of the tests:
# it takes about 750 MiB of packages from the npm registry, and their versions move.
#
#   scripts/agents.sh                     every run; needs no key and no account
#   scripts/agents.sh NAME...             some of: claude-code claude-code-everything
#                                         claude-code-login codex codex-without-websocket codex-login
#                                         codex-login-without-websocket gemini-cli gemini-cli-login
#   scripts/agents.sh --bin FOLDER ...    binaries to use (default: build/release/bin, built first)
#   scripts/agents.sh --latest ...        the newest agents in place of the versions named below
#
# Agents are installed into build/agents. Each run has a home of its own for the agent and for the
# meter; keys are fake, and other hosts than the providers are refused: nothing leaves this machine.
# Exit code 0 when all runs came out equal. docs/clients.md has what was seen.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CLAUDE_CODE=2.1.330 CODEX=0.169.0 GEMINI_CLI=0.61.0

bin='' names=()
while [ "$#" -gt 0 ]; do
  case $1 in
    --help | -h) usage_of "$0"; exit 0 ;;
    --bin) bin=$(cd "${2:?a folder}" && pwd) || exit 2; shift ;;
    --latest) CLAUDE_CODE=latest CODEX=latest GEMINI_CLI=latest ;;
    -*) die "Unknown option '$1'." "scripts/agents.sh --help" 2 ;;
    *) names+=("$1") ;;
  esac
  shift
done
cd "$ROOT" || exit

command -v npm >/dev/null || die "There is no npm here." "scripts/deps.sh test" 3
"$PYTHON" -c 'import h2, zstandard' 2>/dev/null ||
  die "python3-h2 and python3-zstandard are missing." "scripts/deps.sh test" 3

if [ -z "$bin" ]; then
  title "1. Release build"
  run_step "build release (g++)" 1800 bash -c 'configure_and_build release' || {
    show_log 30
    die "The build failed." "read ${LOG#"$ROOT"/}"
  }
  bin="$ROOT/build/release/bin"
fi

title "2. Agents, from $(npm config get registry)"
agents="$ROOT/build/agents"
wanted="@anthropic-ai/claude-code@$CLAUDE_CODE @openai/codex@$CODEX @google/gemini-cli@$GEMINI_CLI"
if [ "$CODEX" != latest ] && [ "$(cat "$agents/installed" 2>/dev/null)" = "$wanted" ]; then
  say "everything is there ($wanted)"
else
  mkdir -p "$agents" && printf '{"private": true}\n' >"$agents/package.json"
  # shellcheck disable=SC2086  (three words)
  run_step "npm install" 900 npm install --prefix "$agents" --no-audit --no-fund --no-package-lock \
    $wanted || {
    show_log 20
    die "npm could not install the agents." "is that registry reachable? 'npm ping' tells"
  }
  printf '%s' "$wanted" >"$agents/installed"
fi

title "3. Runs"
exec "$PYTHON" scripts/agents.py --bin "$bin" --agents "$agents" "${names[@]}"
