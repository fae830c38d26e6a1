#!/usr/bin/env bash
# Which folder may include which, and who may open a library's headers. Fails on a stranger.
#
#   scripts/check_includes.sh
#
# The two tables below are the rules of the house; CMakeLists.txt links by the same ones.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
only_help "$@"

exec "$PYTHON" - "$ROOT" <<'PYTHON'
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])

BASE, NET, WIRE, CONFIG = "common/base", "common/net", "common/wire", "common/config"
RATES_TOML = "common/rates_toml"
SETUP = "common/setup"
ASK = "common/ask"
INTERCEPTOR = "interceptor"  # call_record.h, the nouns that all floors share


def inside(*names):
    return [f"interceptor/{name}" for name in names]


# Folder: what it may include besides itself.
FOLDERS = {
    BASE: [],
    NET: [BASE],
    WIRE: [BASE],
    CONFIG: [BASE],
    ASK: [BASE, NET, WIRE],  # what may be asked at the interceptor's door
    RATES_TOML: [BASE],
    SETUP: [BASE, NET, WIRE, CONFIG],  # what both processes do alike
    "edge": [BASE, NET, WIRE, ASK, CONFIG, SETUP],
    INTERCEPTOR: [BASE],
    "interceptor/tls": [BASE],
    "interceptor/http": [BASE],
    "interceptor/pricing": [BASE, RATES_TOML, INTERCEPTOR],
    "interceptor/attribution": [BASE, NET, INTERCEPTOR],
    "interceptor/meter": [BASE, WIRE, INTERCEPTOR, *inside("http")],
    "interceptor/store": [BASE, INTERCEPTOR, *inside("pricing")],
    "interceptor/relay": [BASE, NET, WIRE, INTERCEPTOR,
                          *inside("tls", "http", "meter", "attribution")],
    "interceptor/api": [BASE, NET, INTERCEPTOR, *inside("http", "store")],
    "interceptor/app": [BASE, NET, WIRE, CONFIG, SETUP, INTERCEPTOR,
                        *inside("tls", "http", "pricing", "attribution", "meter", "store",
                                "relay", "api")],
    "cli": [BASE, WIRE, CONFIG, INTERCEPTOR, "cli/checks", *inside("pricing", "store", "tls")],
    "cli/checks": ["cli", BASE, WIRE, CONFIG, *inside("pricing", "store", "tls")],
}

# Beginning of a header's name: the folders that may open it. With "one": in one .cc file each.
LIBRARIES = {
    "uv.h": [NET],
    "fmt/": [BASE],
    "toml++/": [CONFIG, RATES_TOML, "one"],
    "openssl/": ["interceptor/tls"],
    "nghttp2/": ["interceptor/http", "one"],
    "zlib.h": ["interceptor/http", "one"],
    "brotli/": ["interceptor/http", "one"],
    "zstd.h": ["interceptor/http", "one"],
    "rapidjson/": ["interceptor/pricing", "interceptor/meter", "interceptor/api", "one"],
    "SQLiteCpp/": ["interceptor/store"],
    "sqlite3.h": ["interceptor/store"],
    "cxxopts.hpp": ["cli", "one"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def sources():
    for top in ("common", "edge", "interceptor", "cli"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in (".h", ".cc"):
                yield path


def main():
    problems, doors = [], collections.defaultdict(set)
    includes = collections.defaultdict(list)  # file: (line, project header)
    openers = {}  # header that opens a library: that library
    for path in sources():
        name = path.relative_to(ROOT)
        folder = str(name.parent)
        if str(name) == "interceptor/main.cc":
            folder = "interceptor/app"  # composes, as the app does
        if folder not in FOLDERS:
            problems.append(f"{name}: the folder {folder} is not in the table of this script")
            continue
        for number, text in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(text)
            if not match:
                continue
            kind, header = match.groups()
            if kind == '"':
                includes[str(name)].append((number, header))
                target = str(pathlib.PurePath(header).parent)
                if target not in (folder, *FOLDERS[folder]):
                    problems.append(f"{name}:{number}: {folder} may not include {target} ({header})")
                continue
            for prefix, places in LIBRARIES.items():
                if not header.startswith(prefix):
                    continue
                if folder not in places:
                    problems.append(f"{name}:{number}: <{header}> may be opened in "
                                    f"{', '.join(p for p in places if p != 'one')} only")
                    continue
                if path.suffix == ".h":
                    openers[str(name)] = prefix
                if "one" in places:
                    doors[folder, prefix].add(str(name))
    # A header that opens a library, itself or through another one, is for its own folder only.
    changed = True
    while changed:
        changed = False
        for file, lines in includes.items():
            for _, header in lines:
                if header in openers and file.endswith(".h") and file not in openers:
                    openers[file], changed = openers[header], True
    for file, lines in includes.items():
        for number, header in lines:
            if header in openers and pathlib.PurePath(file).parent != pathlib.PurePath(header).parent:
                problems.append(f"{file}:{number}: {header} opens {openers[header]}, which is for "
                                f"{pathlib.PurePath(header).parent} alone")
    for (folder, prefix), files in doors.items():
        if len(files) > 1:
            problems.append(f"{folder}: {prefix} is opened in more than one file: "
                            + ", ".join(sorted(files)))
    for problem in problems:
        print(problem)
    if problems:
        print(f"{len(problems)} includes break the rules of the house (tables in "
              "scripts/check_includes.sh)")
        return 1
    print("Includes: every folder keeps to its floor.")
    return 0


sys.exit(main())
PYTHON
