"""Restarts under a real systemd user manager: the units of the repository, real descriptor store."""

import json
import signal
import time

import pytest

import calls
import pair as pairs
import simulated_provider
import user_manager as managers
from pair import wait_for

EDGE, DAEMON = "halton-meter-edge.service", "halton-meter.service"

# Calls one after the other, each on a connection of its own, until stdin ends.
CLIENT = r'''
import http.client, json, select, ssl, sys
port, ca, host, path = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=ca)
made, failures, refused = 0, [], 0
while not select.select([sys.stdin], [], [], 0)[0]:
    try:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
        connection.set_tunnel(host, 443)
        connection.request("POST", path, sys.argv[5], {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        connection.close()
        made += 1
    except ConnectionRefusedError as error:
        refused += 1
    except Exception as error:
        failures.append(repr(error))
    if made % 5 == 0:
        print(made, flush=True)
print(json.dumps({"made": made, "failures": failures, "refused": refused}), flush=True)
'''


class Client:
    def __init__(self, manager, port, ca):
        self.process = manager.popen(
            "python3", "-c", CLIENT, str(port), ca, calls.HOST, calls.CHAT,
            calls.chat_body().decode(), stdin=-1, stdout=-1, text=True)

    def some_more(self):
        for _ in range(4):
            assert self.process.stdout.readline().strip().isdigit()

    def stop(self):
        self.process.stdin.close()
        return json.loads(self.process.stdout.read().splitlines()[-1])


@pytest.fixture
def installed(manager, tmp_path):
    """Both units running before a simulated provider in the same network."""
    with manager.network():
        provider = simulated_provider.SimulatedProvider(tmp_path / "provider")
    manager.write("~/provider.pem", provider.ca_file.read_text())
    lines = ["[upstream]", f'ca_file = "{managers.HOME}/provider.pem"', "[upstream.connect_to]",
             f'"{calls.HOST}:443" = "{provider.address}"']
    manager.write("~/.halton-meter/config.toml", "\n".join(lines) + "\n")
    manager.run("chmod", "700", ".halton-meter")
    manager.install_units()
    manager.systemctl("start", EDGE, DAEMON)
    wait_for("the gate", lambda: manager.status()["edge"]["gate"] == "open", 20)
    yield manager, provider
    provider.close()


def count(manager, table):
    """From inside: the database's path is another one out here."""
    told = manager.run("python3", "-c", "import sqlite3, sys; print(sqlite3.connect("
                       "'file:.halton-meter/db.sqlite?mode=ro', uri=True, timeout=5)"
                       f".execute('SELECT count(*) FROM {table}').fetchone()[0])", check=True)
    return int(told.stdout)


def worker_of(manager, parent):
    told = manager.run("ps", "-o", "pid=", "--ppid", str(parent), root=True).stdout.split()
    assert len(told) == 1, told
    return int(told[0])


def test_nothing_is_lost(installed):
    """Restarts of both units, kill -9 of both main processes: no call fails, every one is a row. Then
    kill -9 of the edge's worker: nobody is refused."""
    manager, provider = installed
    port = json.loads(manager.files("~/.halton-meter/effective-ports.json").read_text())["edge_port"]
    assert port == 8081
    everything = f"{managers.HOME}/both.pem"
    manager.write("~/both.pem", manager.files("~/.halton-meter/ca/ca-cert.pem").read_text()
                  + provider.ca_file.read_text())
    client = Client(manager, port, everything)
    client.some_more()
    for unit in (EDGE, DAEMON, EDGE, DAEMON):
        before = manager.main_pid(unit)
        manager.systemctl("restart", unit)
        assert manager.main_pid(unit) not in (0, before)
        client.some_more()
    for unit in (EDGE, DAEMON):
        before = manager.main_pid(unit)
        manager.kill(before, signal.SIGKILL)
        wait_for("a successor", lambda: manager.main_pid(unit) not in (0, before)
                 and manager.property(unit, "ActiveState") == "active", 30)
        client.some_more()
    told = client.stop()
    assert (told["failures"], told["refused"]) == ([], 0)
    wait_for("a row per call", lambda: count(manager, "requests") >= told["made"], 20)
    assert count(manager, "requests") == told["made"] == len(provider.ledger())
    assert count(manager, "misses") == 0

    client = Client(manager, port, everything)
    client.some_more()
    for _ in range(2):
        before = manager.main_pid(EDGE)
        manager.kill(worker_of(manager, before), signal.SIGKILL)
        wait_for("a successor", lambda: manager.main_pid(EDGE) not in (0, before)
                 and manager.property(EDGE, "ActiveState") == "active", 30)
        client.some_more()
    told = client.stop()
    assert told["refused"] == 0 and len(told["failures"]) <= 2, told


def test_explicit_stop_and_start(installed):
    """`stop` ends both processes of the unit soon, and closes the port; `start` has it again."""
    manager, _ = installed
    for unit in (DAEMON, EDGE):
        worker = worker_of(manager, manager.main_pid(unit))
        manager.systemctl("stop", unit)
        wait_for("end of the worker", lambda: worker not in
                 [pid for pid, _ in manager.processes()], 15)
        assert manager.property(unit, "ActiveState") == "inactive"
    begun = time.monotonic()
    manager.systemctl("start", EDGE, DAEMON)
    wait_for("the gate", lambda: manager.status()["edge"]["gate"] == "open", 20)
    assert time.monotonic() - begun < 10 * pairs.SLOW
    ports = json.loads(manager.files("~/.halton-meter/effective-ports.json").read_text())
    assert (ports["edge_port"], ports["internal_port"], ports["api_port"]) == (8081, 8090, 8765)
