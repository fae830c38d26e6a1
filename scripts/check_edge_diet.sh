#!/usr/bin/env bash
# The edge stays small: it links libuv, fmt and the C and C++ runtime, and fails here on a stranger.
#
#   scripts/check_edge_diet.sh [BINARY]     default: build/dev/bin/halton-meter-edge
#
# Looked at are the libraries that the binary asks for (readelf), those that come with them (ldd), and
# the dynamic symbols (nm). Sanitizer runtimes are fine in a binary that was built with one.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case ${1:-} in --help | -h) usage_of "$0"; exit 0 ;; esac

binary=${1:-$ROOT/build/dev/bin/halton-meter-edge}
[ -x "$binary" ] || die "There is no $binary." "cmake --build --preset dev --target halton-meter-edge" 1

runtime='libstdc\+\+|libgcc_s|libc|libm|libpthread|libdl|librt|libresolv|ld-linux.*|linux-vdso'
allowed="^(libuv|libfmt|$runtime)\\.so"
if nm -D "$binary" 2>/dev/null | grep -qE '__(asan|tsan|ubsan)_'; then
  allowed="$allowed|^lib(asan|tsan|ubsan|clang_rt\\..*)\\.so"
fi

needed=$(readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
loaded=$(ldd "$binary" | awk '{print $1}' | sed 's|.*/||')
strangers=$(printf '%s\n' "$needed" "$loaded" | grep -v '^$' | sort -u | grep -vE "$allowed" || true)
libraries='^(SSL_|EVP_|sqlite3_|nghttp2_|llhttp_|inflate|Brotli|ZSTD_|sd_|curl_)'
symbols=$(nm -D --undefined-only "$binary" | awk '{print $NF}' | sed 's/@.*//' |
  grep -E "$libraries" || true)

# A run path would let it load libraries from elsewhere; sanitizer builds may have one.
path=$(readelf -d "$binary" | sed -n 's/.*(R\(UN\)*PATH).*\[\(.*\)\]/\2/p')
if [ -n "$path" ] && [ "$allowed" = "^(libuv|libfmt|$runtime)\\.so" ]; then
  die "Diet: ${binary##*/} has the run path '$path'." "INSTALL_RPATH in CMakeLists.txt" 1
fi
if [ -n "$strangers$symbols" ]; then
  warn "Diet: ${binary##*/} has company that it must not have:"
  printf '%s\n' "$strangers" "$symbols" | sed '/^$/d; s/^/  /'
  say "What to do: the edge may use the folders of common/ only."
  exit 1
fi
say "Diet: ${binary##*/} asks for ${needed//$'\n'/, } and nothing else."
