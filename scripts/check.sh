#!/usr/bin/env bash
# Checks of the source text: format, include rules, file sizes; with --tidy clang-tidy as well.
#
#   scripts/check.sh           format (clang-format-19), includes, sizes
#   scripts/check.sh --fix     formats in place first
#   scripts/check.sh --tidy    also clang-tidy-19 over everything (minutes; needs build/dev)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fix=0 tidy=0
for word in "$@"; do
  case $word in
    --help | -h) usage_of "$0"; exit 0 ;;
    --fix) fix=1 ;;
    --tidy) tidy=1 ;;
    *) die "Unknown option '$word'." "scripts/check.sh --help" 2 ;;
  esac
done
cd "$ROOT"
failed=0

mapfile -t files < <(find common edge interceptor cli tests \( -name '*.h' -o -name '*.cc' \) \
  2>/dev/null | sort)
[ "$fix" -eq 1 ] && clang-format-19 -i "${files[@]}"
# One line per file is enough; clang-format would show every place.
unformatted=$(clang-format-19 --dry-run -Werror "${files[@]}" 2>&1 | grep -E ': (error|warning):' |
  cut -d: -f1 | sort -u || true)
if [ -n "$unformatted" ]; then
  say "Format: these files differ from .clang-format. What to do: scripts/check.sh --fix"
  printf '  %s\n' $unformatted
  failed=1
else
  say "Format: ${#files[@]} files are as .clang-format wants them."
fi

scripts/check_includes.sh || failed=1

long=$(wc -l "${files[@]}" | awk '$2 != "total" && $1 > 500 {print "  " $2 ": " $1 " lines"}')
if [ -n "$long" ]; then
  say "Sizes: no file has more than 500 lines, but these do:" && say "$long"
  failed=1
else
  say "Sizes: no file has more than 500 lines."
fi

if [ "$tidy" -eq 1 ]; then
  [ -f build/dev/compile_commands.json ] || die "There is no build/dev." "cmake --preset dev" 1
  command -v clang-tidy-19 >/dev/null || die "clang-tidy-19 is missing." "scripts/deps.sh more" 3
  mapfile -t units < <(printf '%s\n' "${files[@]}" | grep -v '^tests/' | grep '\.cc$')
  # A warning is a failure here; .clang-tidy says why each check that is off is off.
  findings=$(printf '%s\0' "${units[@]}" | xargs -0 -n 1 -P "$(jobs_here)" \
    clang-tidy-19 --quiet -p build/dev 2>/dev/null || true)
  if [ -n "$findings" ]; then
    say "clang-tidy:" && say "$findings"
    failed=1
  else
    say "clang-tidy: nothing to say about ${#units[@]} files."
  fi
fi
exit "$failed"
