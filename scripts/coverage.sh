#!/usr/bin/env bash
# Line coverage of the unit tests (clang 19): a table per file, and build/coverage/html.
#
#   scripts/coverage.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
only_help "$@"
cd "$ROOT"
for tool in clang++-19 llvm-profdata-19 llvm-cov-19; do
  command -v "$tool" >/dev/null || die "$tool is missing." "scripts/deps.sh all" 3
done

flags='-fprofile-instr-generate -fcoverage-mapping'
cmake -S . -B build/coverage -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang-19 \
  -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_C_FLAGS="$flags" \
  -DCMAKE_EXE_LINKER_FLAGS='-fprofile-instr-generate'
cmake --build build/coverage -j "$(jobs_here)"

rm -rf build/coverage/profiles && mkdir -p build/coverage/profiles
objects=() status=0
for binary in build/coverage/bin/unit_*; do
  LLVM_PROFILE_FILE="build/coverage/profiles/%p.profraw" "$binary" >/dev/null ||
    { warn "$binary failed"; status=1; }
  objects+=(-object "$binary")
done
llvm-profdata-19 merge -sparse build/coverage/profiles/*.profraw -o build/coverage/all.profdata
llvm-cov-19 report "${objects[@]}" -instr-profile build/coverage/all.profdata \
  common edge interceptor cli
llvm-cov-19 show "${objects[@]}" -instr-profile build/coverage/all.profdata -format html \
  -output-dir build/coverage/html common edge interceptor cli >/dev/null
say "Line by line: build/coverage/html/index.html"
exit "$status"
