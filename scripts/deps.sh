#!/usr/bin/env bash
# Installs the Debian 12 packages that building and testing need; says first which.
#
#   scripts/deps.sh            what building and running needs (group run)
#   scripts/deps.sh run test   and what the tests need
#   scripts/deps.sh all        and the tools for tidy and coverage (group more)
#   scripts/deps.sh bench      the proxies that scripts/bench compares with; none of them is started
#                              as a service, now or at the next boot
#   scripts/deps.sh --list G   print a group's packages and stop
#
# Only what is missing is installed. As root it calls apt-get itself, otherwise through sudo.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

packages_of() {
  case $1 in
    run)
      echo g++ cmake ninja-build pkg-config libuv1-dev libfmt-dev libtomlplusplus-dev \
        libcxxopts-dev rapidjson-dev libsqlitecpp-dev libsqlite3-dev android-libboringssl-dev \
        libnghttp2-dev zlib1g-dev libbrotli-dev libzstd-dev ca-certificates curl \
        openssl python3
      ;;
    test)
      echo catch2 clang-19 libclang-rt-19-dev clang-format-19 llvm-19 nodejs npm python3-pytest \
        python3-pytest-xdist python3-requests python3-httpx python3-certifi python3-h2 python3-brotli \
        python3-zstandard nghttp2-client nghttp2-server sqlite3 binutils git procps systemd \
        util-linux valgrind zsh fish
      ;;
    more) echo clang-tidy-19 ccache ;;
    bench)
      echo mitmproxy haproxy squid-openssl tinyproxy-bin microsocks nginx-light openssl python3 \
        util-linux
      ;;
    *) die "There is no group '$1'." "use run, test, more, bench or all" 2 ;;
  esac
}

groups=()
for word in "$@"; do
  case $word in
    --help | -h) usage_of "$0"; exit 0 ;;
    --list) [ "$#" -eq 2 ] || die "--list takes one group." "scripts/deps.sh --list run" 2
      packages_of "$2" | tr ' ' '\n'
      exit 0
      ;;
    all) groups+=(run test more) ;;
    *) packages_of "$word" >/dev/null && groups+=("$word") ;;
  esac
done
[ "${#groups[@]}" -eq 0 ] && groups=(run)

missing=()
for group in "${groups[@]}"; do
  for package in $(packages_of "$group"); do
    # Node from another source brings its npm along, and excludes Debian's.
    [ "$package" = npm ] && command -v npm >/dev/null && continue
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
  done
done
if [ "${#missing[@]}" -eq 0 ]; then
  say "Packages: everything is there (${groups[*]})."
  exit 0
fi

say "These Debian packages are missing and will be installed:"
printf '%s\n' "${missing[*]}" | fold -s -w 96 | sed 's/^/  /'

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null ||
    die "Installing needs root, and there is no sudo here." "as root: apt-get install ${missing[*]}" 3
  as_root=(sudo)
fi
command -v apt-get >/dev/null ||
  die "This is no Debian system." "install the packages above by your own means, see the README" 3

# A password is asked for here, where it can be typed; the steps below run without a terminal.
[ "${#as_root[@]}" -eq 0 ] || sudo -v || die "sudo refused." "as root: apt-get install ${missing[*]}" 3
apt_step() {
  local name=$1 limit=$2
  shift 2
  run_step "$name" "$limit" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -y -o Dpkg::Use-Pty=0 "$@"
}
# A list that is out of date names packages the mirror no longer has: refresh it before.
apt_step "refresh the package lists" 600 update || {
  show_log 5
  warn "apt-get update failed; trying with the lists that are there."
}

# The proxies of the benchmarks are wanted as programs. Debian starts what it installs as a service;
# while this installs, its policy hook (invoke-rc.d(8)) says no, and what is new is disabled after it.
POLICY=/usr/sbin/policy-rc.d
SERVICES=(haproxy squid nginx tinyproxy microsocks)
new_services=()
unit_exists() { [ -e "/lib/systemd/system/$1.service" ] || [ -e "/etc/init.d/$1" ]; }
services_as_before() {
  "${as_root[@]}" rm -f "$POLICY"
  [ ! -e "$POLICY.kept" ] || "${as_root[@]}" mv "$POLICY.kept" "$POLICY"
}
keep_services_off() {
  local name
  for name in "${SERVICES[@]}"; do unit_exists "$name" || new_services+=("$name"); done
  trap services_as_before EXIT
  [ ! -e "$POLICY" ] || "${as_root[@]}" mv "$POLICY" "$POLICY.kept"
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$POLICY" >/dev/null
  "${as_root[@]}" chmod 755 "$POLICY"
}
disable_new_services() {
  local name
  for name in "${new_services[@]}"; do
    unit_exists "$name" || continue
    if command -v systemctl >/dev/null; then
      "${as_root[@]}" systemctl disable --quiet "$name.service" 2>/dev/null || true
    else
      "${as_root[@]}" update-rc.d "$name" disable >/dev/null || true
    fi
  done
}
case " ${groups[*]} " in *" bench "*) keep_services_off ;; esac
apt_step "install ${#missing[@]} packages" 1800 install --no-install-recommends "${missing[@]}" || {
  show_log 20
  die "Installing failed." "see the lines above; 'apt-get update' and a Debian 12 mirror with updates and security help"
}
disable_new_services
say "Packages: installed ${#missing[@]}."
