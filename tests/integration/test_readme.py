"""The README is for users and always true: its library table, its commands, its files."""

import re
import subprocess

import pair as pairs

README = (pairs.ROOT / "README.md").read_text()

# What a name of the table is called in Debian.
PACKAGES = {"libuv": "libuv1-dev", "fmt": "libfmt-dev", "toml++": "libtomlplusplus-dev",
            "BoringSSL": "android-libboringssl-dev", "nghttp2": "libnghttp2-dev",
            "zlib": "zlib1g-dev", "Brotli": "libbrotli-dev", "Zstandard": "libzstd-dev",
            "RapidJSON": "rapidjson-dev", "SQLiteCpp": "libsqlitecpp-dev",
            "SQLite": "libsqlite3-dev", "cxxopts": "libcxxopts-dev", "Catch2": "catch2"}


def library_table():
    """{library: version} of the table under "Libraries"."""
    section = README.split("\n## Libraries\n")[1].split("\n## ")[0]
    table = {}
    for line in re.findall(r"^\| (?!library|---)(.*) \|$", section, re.MULTILINE):
        names, versions = [cell.strip() for cell in line.split("|")[:2]]
        names = [re.sub(r" \(.*\)", "", name) for name in names.split(", ")]
        table |= dict(zip(names, versions.split(", "), strict=True))
    return table


def test_libraries_and_their_versions():
    """Every library that a build needs is in the table, with the version that Debian has."""
    table = library_table()
    for group in ("run", "test"):
        wanted = subprocess.run([pairs.ROOT / "scripts/deps.sh", "--list", group], text=True,
                                capture_output=True, check=True).stdout.split()
        libraries = [one for one in wanted if one.endswith("-dev") and "clang" not in one]
        assert set(libraries) <= set(PACKAGES.values()), "a library without a row in the README"
    assert set(table) == set(PACKAGES)
    for name, version in table.items():
        installed = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", PACKAGES[name]],
                                   text=True, capture_output=True, check=True).stdout
        upstream = installed.split(":")[-1]
        assert re.match(re.escape(version) + r"(?![0-9])", upstream), (name, version, installed)


def test_commands_of_the_tour_exist():
    """Each `halton-meter COMMAND` that the README names has a help page."""
    named = set(re.findall(r"halton-meter ([a-z]+)", README)) - {"is", "and"}
    assert {"run", "status", "report"} <= named
    for command in named:
        told = subprocess.run([pairs.BIN / "halton-meter", "help", command], text=True,
                              capture_output=True)
        assert told.returncode == 0 and "Usage:" in told.stdout, command


def test_scripts_and_pages_exist():
    """Files that the README sends its reader to are there."""
    for name in set(re.findall(r"\]\((docs/[a-z]+\.md)\)", README)) | \
            set(re.findall(r"\bscripts/[a-z_.]+[a-z]\b", README)):
        assert (pairs.ROOT / name).exists(), name
