#!/usr/bin/env python3
"""Runs real agents through `halton-meter run` against the simulated provider, and compares the rows with
the provider's ledger, token for token. Called by scripts/agents.sh, which installs the agents.

    agents.py --bin FOLDER --agents FOLDER [NAME...]

Every run has homes of its own (the meter's and the agent's) and a fake key. Whatever an agent wants
from other hosts is refused, so nothing leaves this machine.
"""

import argparse
import base64
import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

import certificates  # noqa: E402
import database  # noqa: E402
import simulated_provider  # noqa: E402

QUESTION = "How many gulls sit on the pier?"
LIMIT_S = 300
KEY = "sk-test-not-a-real-key-0000000000000000"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def claude_code(home):
    # Onboarding done, and this key accepted (it is known by its last twenty characters).
    write(home / ".claude.json", json.dumps({
        "hasCompletedOnboarding": True,
        "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []}}))
    return ["claude", "-p", QUESTION, "--allowedTools", "Bash(echo:*)"], {
        "ANTHROPIC_API_KEY": KEY, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1"}


def claude_code_login(home):
    """As with a subscription: a bearer token in place of a key."""
    command, env = claude_code(home)
    del env["ANTHROPIC_API_KEY"]
    return command, env | {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-test-not-a-real-token"}


def claude_code_everything(home):
    """With all that it likes to say besides."""
    command, env = claude_code(home)
    del env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"]
    return command, env


def unsigned_token(claims):
    """A JWT that nobody signed."""
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.{part({})}"


def codex_login(home):
    """As after a ChatGPT login."""
    command, _ = codex(home)
    account = {"https://api.openai.com/auth": {"chatgpt_account_id": "acct-test",
                                               "chatgpt_plan_type": "pro",
                                               "chatgpt_user_id": "user-test"},
               "email": "nobody@example.org", "exp": int(time.time()) + 10**6}
    token = unsigned_token(account)
    write(home / ".codex/auth.json", json.dumps({
        "auth_mode": "chatgpt", "OPENAI_API_KEY": None, "last_refresh":
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "tokens": {
            "id_token": token, "access_token": token, "refresh_token": "test",
            "account_id": "acct-test"}}))
    return command, {}


def codex(home):
    write(home / ".codex/config.toml", "[analytics]\nenabled = false\n")
    return ["codex", "exec", "--skip-git-repo-check", QUESTION], {
        "CODEX_API_KEY": KEY, "OPENAI_API_KEY": KEY}


def gemini(home):
    write(home / ".gemini/settings.json", json.dumps({
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False},
        "general": {"disableAutoUpdate": True, "enableAutoUpdate": False}}))
    return ["gemini", "--skip-trust", "-p", QUESTION], {"GEMINI_API_KEY": KEY}


def gemini_login(home):
    """As after a login with Google: Code Assist."""
    command, _ = gemini(home)
    settings = home / ".gemini/settings.json"
    settings.write_text(settings.read_text().replace("gemini-api-key", "oauth-personal"))
    return command, {"GOOGLE_GENAI_USE_GCA": "true", "GOOGLE_CLOUD_ACCESS_TOKEN": "ya29.test-not-real"}


# name: (what sets it up, options of the provider)
H2 = {"alpn": ("h2", "http/1.1")}
RUNS = {"claude-code": (claude_code, {}), "claude-code-everything": (claude_code_everything, H2),
        "claude-code-login": (claude_code_login, H2), "codex": (codex, {}),
        "codex-without-websocket": (codex, {"websockets": False} | H2),
        "codex-login": (codex_login, H2),
        "codex-login-without-websocket": (codex_login, {"websockets": False} | H2),
        "gemini-cli": (gemini, H2), "gemini-cli-login": (gemini_login, H2)}


def write_config(home, provider):
    """All providers are the simulated one; every other host is behind a proxy that does not exist."""
    hosts = certificates.PROVIDER_HOSTS
    lines = ["[upstream]", f'ca_file = "{provider.ca_file}"', 'proxy = "http://127.0.0.1:9"',
             "no_proxy = [" + ", ".join(f'"{host}"' for host in (*hosts, "127.0.0.1")) + "]",
             "[upstream.connect_to]",
             *(f'"{host}:443" = "{provider.address}"' for host in hosts)]
    write(home / "config.toml", "\n".join(lines) + "\n")


def environment(folder, binaries, more):
    """Nothing of the user's own agents, proxies and CA files."""
    kept = {name: os.environ[name] for name in ("LANG", "TERM", "TMPDIR", "USER") if name in os.environ}
    return kept | {"HOME": str(folder / "agent"), "HALTON_METER_HOME": str(folder / "meter"),
                   "PATH": f"{binaries}:{os.environ['PATH']}"} | more


def run(name, options):
    prepare, provider_options = RUNS[name]
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"halton-meter-{name}-"))
    for part in ("agent", "meter", "work"):
        (folder / part).mkdir(mode=0o700)
    provider = simulated_provider.SimulatedProvider(folder / "provider", tools=True, **provider_options)
    command, more = prepare(folder / "agent")
    write_config(folder / "meter", provider)
    env = environment(folder, options.agents / "node_modules/.bin", more)
    version = subprocess.run([command[0], "--version"], env=env, capture_output=True, text=True,
                             timeout=60).stdout.strip().split("\n")[-1]
    try:
        told = subprocess.run([options.bin / "halton-meter", "run", "--quiet", "--project", name, "--",
                               *command], env=env, cwd=folder / "work", stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=LIMIT_S)
        code, talk = told.returncode, told.stdout + told.stderr
    except subprocess.TimeoutExpired as error:
        code, talk = "timeout", f"{error.stdout}\n{error.stderr}"
    rows = database.Database(folder / "meter/db.sqlite")
    result = {"name": name, "version": version, "code": code, "talk": talk, "folder": folder,
              "rows": rows.requests(), "misses": rows.misses(), "ledger": provider.ledger(),
              "others": provider.others}
    provider.close()
    return result


def agree(result):
    return sorted(map(database.row_key, result["rows"])) == \
        sorted(map(database.ledger_key, result["ledger"]))


def show(result):
    """Prints what was seen; true when meter and provider agree and the agent was content."""
    rows, ledger = result["rows"], result["ledger"]
    equal = agree(result)
    good = equal and bool(rows) and result["code"] == 0
    print(f"== {result['name']}: {result['version']}")
    print(f"   exit code {result['code']}; {len(ledger)} calls in the provider's ledger, "
          f"{len(rows)} rows: {'equal' if equal else 'DIFFERENT'}")
    for row in rows:
        figures = " ".join(f"{name.removesuffix('_tokens')}={row[name]}"
                           for name in database.TOKEN_COLUMNS)
        print(f"   row     {row['transport']} {row['endpoint']} {row['model']} {row['status']} "
              f"{figures} billing={row['billing']} "
              f"client={row['client_name']}/{row['client_version']}")
    for line in ledger if not equal else ():
        print(f"   ledger  {database.ledger_key(line)}")
    for what, count in sorted(result["others"].items()):
        print(f"   no call {what} x{count}")
    for reason, count in collections.Counter((miss["host"], miss["reason"])
                                              for miss in result["misses"]).items():
        print(f"   miss    {' '.join(reason)} x{count}")
    if not good:
        print(f"   it said:\n{result['talk'][-3000:]}\n   kept: {result['folder']}")
    else:
        shutil.rmtree(result["folder"], ignore_errors=True)
    return good


def table(results):
    """As docs/clients.md has it."""
    lines = ["| run | agent | endpoints | transport | billing | ledger | rows | tokens in and out |",
             "|---|---|---|---|---|---|---|---|"]
    for result in results:
        rows, ledger = result["rows"], result["ledger"]

        def words(column):
            return ", ".join(f"`{word}`" for word in sorted({row[column] for row in rows}))

        def total(lines):
            whole = sum(line[name] for line in lines for name in database.TOKEN_COLUMNS
                        if name not in ("thinking_tokens", "output_tokens"))
            return whole, sum(line["output_tokens"] for line in lines)
        lines.append(f"| {result['name']} | {result['version']} | {words('endpoint')} | "
                     f"{words('transport')} | {words('billing')} | {len(ledger)} | {len(rows)} | "
                     + (f"{total(rows)[0]} and {total(rows)[1]}, equal" if agree(result)
                        else "DIFFERENT") + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--agents", required=True, type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("names", nargs="*", help=f"of {', '.join(RUNS)}; default all")
    options = parser.parse_args()
    unknown = set(options.names) - set(RUNS)
    if unknown:
        parser.error(f"no such run: {', '.join(sorted(unknown))}")
    results = [run(name, options) for name in options.names or RUNS]
    good = [show(result) for result in results]
    print("\n".join(["", *table(results), ""]))
    print(f"{sum(good)} of {len(good)} runs: meter and provider agree")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
