"""The two processes as a user starts them by hand, and what a user then asks them."""

import json
import re
import signal
import socket
import ssl
import subprocess
import urllib.request

import pytest

import calls
import pair as pairs
from conftest import everywhere


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@pytest.fixture
def by_hand(make_pair, provider):
    """A home whose ports are pinned, and `halton-meter daemon` and `halton-meter edge` in the
    foreground of two terminals. Yields (pair, the two processes)."""
    ports = {name: free_port() for name in ("edge_port", "internal_port", "api_port")}
    config = "[daemon]\n" + "".join(f"{name} = {port}\n" for name, port in ports.items())
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file,
                     config=config)
    pair.run_dir = pair.home / "run"
    pair.run_dir.mkdir(mode=0o700)
    (pair.run_dir / "effective-ports.json").symlink_to(pair.home / "effective-ports.json")
    log = (pair.folder / "terminal.log").open("ab")
    processes = [subprocess.Popen([pairs.BIN / "halton-meter", name], stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=log, start_new_session=True,
                                  env=pairs.clean_environment(pair.home))
                 for name in ("daemon", "edge")]
    log.close()
    yield pair, processes
    for process in processes:
        process.kill()
        process.wait()


def status_when(pair, verdict):
    """`halton-meter status --json` once it has this verdict, and its exit code."""
    def ask():
        told = pair.command("status", "--json")
        found = json.loads(told.stdout)
        return (found, told.returncode) if found["verdict"] == verdict else None
    return pairs.wait_for(f"the verdict {verdict}", ask, 20, pause=0.1)


def test_daemon_and_edge_in_the_foreground(by_hand):
    """Pinned ports, HEALTHY, a metered call, the health page, and Ctrl-C ends both in order."""
    pair, processes = by_hand
    told, code = status_when(pair, "HEALTHY")
    assert code == 0
    ports = json.loads((pair.home / "effective-ports.json").read_text())
    for name in ("edge_port", "internal_port", "api_port"):
        assert f"{name} = {ports[name]}" in (pair.home / "config.toml").read_text()
    assert [told[name]["pid"] for name in ("daemon", "edge")] == [one.pid for one in processes]

    url = f"http://127.0.0.1:{ports['api_port']}/health"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=20) as answer:
        assert answer.status == 200
        assert json.loads(answer.read())["status"] == "ok"

    sock = socket.create_connection(("127.0.0.1", ports["edge_port"]), timeout=20)
    sock.close()
    with pair.connect(calls.HOST) as wire:
        assert calls.post(wire).status == 200
    assert len(pair.rows(1)) == 1
    for process in processes:
        process.send_signal(signal.SIGINT)
    assert [process.wait(timeout=20 * pairs.SLOW) for process in processes] == [0, 0]
    assert status_when(pair, "DOWN")[1] == 1


def test_status_names_a_client_that_distrusts(by_hand, provider):
    """What a user reads after a tool refused our CA: the host and the tool, in words and in JSON."""
    pair, _ = by_hand
    status_when(pair, "HEALTHY")
    with pytest.raises(ssl.SSLCertVerificationError):
        pair.connect(calls.HOST, trust=provider.ca_file)
    with pair.connect(calls.HOST, trust=provider.ca_file) as wire:
        assert calls.post(wire).status == 200
    own_name = open("/proc/self/comm").read().strip()
    text = pair.command("status").stdout
    (line,) = [line for line in text.splitlines() if line.startswith("distrusting client ")]
    assert own_name in line and calls.HOST in line, text
    (told,) = json.loads(pair.command("status", "--json").stdout)["distrusting_clients"]
    assert (told["host"], told["client"]) == (calls.HOST, own_name)


def test_unreadable_configuration_is_told_by_run(make_pair):
    """`run` says what is wrong with config.toml where the user looks; the command runs."""
    pair = make_pair()
    (pair.home / "config.toml").write_text("[upstream\n")
    told = pair.command("run", "--", "echo", "done")
    assert (told.returncode, told.stdout) == (0, "done\n")
    assert re.search(r"halton-meter run: .*config\.toml:\d+: .*defaults are used", told.stderr)


def test_all_groups_of_the_report_add_up(make_pair, provider):
    """With everything stopped: by project, provider and model, in JSON and CSV, each group's sums
    are the total's, which is the provider's."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file)
    script = """
curl -sS --fail -d '{"model":"gpt-5-mini"}' https://api.openai.com/v1/chat/completions
curl -sS --fail -d '{"model":"gpt-5"}' https://api.openai.com/v1/chat/completions
curl -sS --fail -d '{"model":"claude-sonnet-4-5"}' https://api.anthropic.com/v1/messages
"""
    for project in ("one", "two"):
        assert pair.command("run", "--quiet", "--project", project, "--", "sh", "-c",
                            script).returncode == 0
    report = json.loads(pair.command("report", "--json").stdout)
    ledger = provider.ledger()
    assert report["totals"]["requests"] == len(ledger) == 6
    expected = {"by_project": {"one": 3, "two": 3}, "by_provider": {"openai": 4, "anthropic": 2},
                "by_model": {"gpt-5-mini": 2, "gpt-5": 2, "claude-sonnet-4-5": 2}}
    for table, wanted in expected.items():
        key = table.removeprefix("by_")
        rows = report[table]
        assert {row[key]: row["requests"] for row in rows} == wanted
        for column in ("requests", "input_tokens", "output_tokens", "cache_read_tokens",
                       "cost_pico_usd"):
            assert sum(row[column] for row in rows) == report["totals"][column], (table, column)

        lines = pair.command("report", "--csv", "--by", key).stdout.strip().split("\n")
        names = lines[0].split(",")
        for line in lines[1:]:
            cells = dict(zip(names, line.split(","), strict=True))
            (row,) = [row for row in rows if row[key] == cells[key]]
            for column in ("requests", "input_tokens", "output_tokens", "cost_usd"):
                assert cells[column] == str(row[column]), (table, column)
        assert len(lines) == 1 + len(wanted)
    for column in ("input_tokens", "output_tokens", "cache_read_tokens"):
        assert report["totals"][column] == sum(line[column] for line in ledger)
