#!/usr/bin/env bash
# Installs the npm packages that the tests use into build/node, exactly those of the lock file.
#
#   scripts/node_packages.sh           nothing is done when they are there already
#
# The lock file of tests/integration/node names versions and checksums but no download addresses: npm
# takes the packages from the registry that it is configured for. To change it:
#   cd tests/integration/node && npm install --package-lock-only --omit-lockfile-registry-resolved
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
  --help | -h) usage_of "$0"; exit 0 ;;
  '') ;;
  *) die "Unknown argument '$1'." "scripts/node_packages.sh --help" 2 ;;
esac

from="$ROOT/tests/integration/node" into="$ROOT/build/node"
if grep -q '"resolved": *"http' "$from/package-lock.json"; then
  die "tests/integration/node/package-lock.json records download addresses." \
    "make it anew as scripts/node_packages.sh --help says"
fi
wanted=$(cat "$from/package.json" "$from/package-lock.json" | sha256sum)
if [ "$(cat "$into/installed" 2>/dev/null)" = "$wanted" ]; then
  say "npm packages: everything is there."
  exit 0
fi
command -v npm >/dev/null || die "There is no npm here." "scripts/deps.sh test" 3
rm -rf "$into"
mkdir -p "$into"
cp "$from/package.json" "$from/package-lock.json" "$into/"
# No package's own script is run: none of these needs one.
if ! npm ci --prefix "$into" --ignore-scripts --no-audit --no-fund --no-update-notifier \
  --fetch-retries 2 --fetch-retry-maxtimeout 10000 >"$into/npm.log" 2>&1; then
  tail -n 15 "$into/npm.log" >&2
  die "npm could not install the packages from $(npm config get registry)." \
    "is that registry reachable? 'npm ping' tells; 'npm config set registry URL' names another"
fi
printf '%s\n' "$wanted" >"$into/installed"
say "npm packages: installed into build/node."
