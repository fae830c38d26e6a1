#!/usr/bin/env bash
# Runs a fuzz target for a while, with the golden samples and earlier finds as its corpus.
#
#   scripts/fuzz.sh               names the targets
#   scripts/fuzz.sh NAME [SECONDS]    builds and runs one (default 60)
#   scripts/fuzz.sh all [SECONDS]     each of them
#
# The corpus grows in build/fuzz/NAME. A crash leaves its input there and is printed with the command
# that repeats it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

mapfile -t targets < <(find tests/fuzz -name '*.cc' -exec basename {} .cc \; 2>/dev/null | sort)
case ${1:-} in
  --help | -h) usage_of "$0"; exit 0 ;;
  '') printf '%s\n' "${targets[@]}"; exit 0 ;;
esac
name=$1 seconds=${2:-60}
if [ "$name" != all ]; then
  [ -f "tests/fuzz/$name.cc" ] ||
    die "There is no fuzz target '$name'." "one of: ${targets[*]}" 2
  targets=("$name")
fi
if [ -z "${HM_FUZZ_PREBUILT:-}" ]; then
  cmake --preset asan >/dev/null
  cmake --build build/asan -j "$(jobs_here)" --target "${targets[@]/#/fuzz_}"
fi

failed=0
for target in "${targets[@]}"; do
  corpus="build/fuzz/$target"
  mkdir -p "$corpus"
  seeds=("$corpus")
  for seed in tests/fuzz/corpus/"$target" tests/golden tests/samples; do
    [ -d "$seed" ] && seeds+=("$seed")
  done
  say "fuzz_$target: $seconds s"
  if ! "build/asan/bin/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
    -max_len=65536 -print_final_stats=1 -artifact_prefix="$corpus/crash-" "${seeds[@]}"; then
    warn "fuzz_$target failed. Repeat it: build/asan/bin/fuzz_$target $corpus/crash-..."
    failed=1
  fi
done
exit "$failed"
