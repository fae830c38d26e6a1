# shellcheck shell=bash
# Shared by the scripts of this folder; sourced, not run. Steps with progress, logs and a summary.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
LOGS="$ROOT/build/logs"
PYTHON=/usr/bin/python3  # the distribution's, whose modules deps.sh installs
STARTED=$SECONDS
STEP=0

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
  BOLD='' RED='' GREEN='' PLAIN=''
fi

# Prints the comment block at the top of a script: that is its help page.
usage_of() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$1"; }

say() { printf '%s\n' "$*"; }
title() { printf '%s== %s%s\n' "$BOLD" "$*" "$PLAIN"; }
warn() { printf '%s%s%s\n' "$RED" "$*" "$PLAIN" >&2; }
die() { warn "$1"; [ -n "${2:-}" ] && say "What to do: $2" >&2; exit "${3:-1}"; }

# only_help "$@": the command line of a script that takes nothing but --help.
only_help() {
  case ${1:-} in
    '') ;;
    --help | -h) usage_of "$0"; exit 0 ;;
    *) die "Unknown option '$1'." "scripts/$(basename "$0") --help" 2 ;;
  esac
}

jobs_here() { nproc 2>/dev/null || echo 2; }

elapsed() { printf '%d:%02d' $(((SECONDS - STARTED) / 60)) $(((SECONDS - STARTED) % 60)); }

# run_step NAME LIMIT_SECONDS COMMAND...: output goes to a log; every 15 s one line says how far it
# is. Returns the command's status (124: it took too long). LOG is the log's path.
run_step() {
  local name=$1 limit=$2 status=0 pid last=0 line begun=$SECONDS
  shift 2
  STEP=$((STEP + 1))
  mkdir -p "$LOGS"
  LOG="$LOGS/$(printf '%02d' "$STEP")-$(printf '%s' "$name" | tr -cs 'a-zA-Z0-9' '-' | sed 's/-$//').log"
  printf '[%s] %s ...\n' "$(elapsed)" "$name"
  # As shown in `timeout --help`: after the limit an orderly end, ten seconds later a hard one.
  timeout --kill-after=10 "$limit" "$@" >"$LOG" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if [ $((SECONDS - begun - last)) -ge 15 ]; then
      last=$((SECONDS - begun))
      line=$(tail -c 400 "$LOG" | tr '\r' '\n' | grep -v '^\s*$' | tail -n 1 | cut -c 1-90)
      printf '[%s]   %s\n' "$(elapsed)" "$line"
    fi
  done
  wait "$pid" || status=$?
  if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
    printf '\n(ended after %s seconds, the limit of this step)\n' "$limit" >>"$LOG"
  fi
  return "$status"
}

# The end of the last step's log, indented.
show_log() { tail -n "${1:-40}" "$LOG" | sed 's/^/    /'; }

# What ccache needs to keep objects that were made with precompiled headers.
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros,include_file_mtime,include_file_ctime}

# configure_and_build PRESET [TARGET...]; HM_CMAKE_OPTION is one more word for the configuration.
configure_and_build() {
  local preset=$1
  shift
  cmake --preset "$preset" -S "$ROOT" ${HM_CMAKE_OPTION:+"$HM_CMAKE_OPTION"} || return
  if [ "$#" -gt 0 ]; then
    cmake --build "$ROOT/build/$preset" -j "$(jobs_here)" --target "$@"
  else
    cmake --build "$ROOT/build/$preset" -j "$(jobs_here)"
  fi
}
export -f configure_and_build jobs_here
export ROOT
