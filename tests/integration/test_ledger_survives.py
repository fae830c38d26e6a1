"""The ledgers survive: of calls that went past the meter, and of those that were under way when it
died. Each such call is counted once, whatever dies and in whatever order it comes back.
"""

import contextlib
import csv
import io
import json
import os
import pathlib
import shutil
import signal
import time

import pytest

import calls
import control
import http1
import memory
import pair as pairs
from conftest import everywhere
from store_steps import again, kill, wait_safe


def missed(pair, count, seconds=20):
    """Waits until so many calls are in table `misses`, and that no more come."""
    def total():
        return sum(miss["count"] for miss in pair.database.misses())
    pairs.wait_for(f"{count} misses", lambda: total() >= count, seconds)
    time.sleep(1.5)
    assert total() == count, pair.database.misses()
    return sorted(miss["reason"] for miss in pair.database.misses())


def raw_calls(pair, provider, count):
    """So many unmetered calls that are over, for the edge as well."""
    before = int(pair.edge_status()["ledger.calls"])
    for _ in range(count):
        with pair.connect(calls.HOST, trust=provider.ca_file) as wire:
            assert calls.post(wire).status == 200
    pairs.wait_for("the ends of the tunnels",
                   lambda: int(pair.edge_status()["ledger.calls"]) == before + count)


@pytest.fixture
def edge_alone(make_pair, provider):
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file)
    return pair.start_edge()


@pytest.mark.smoke
def test_ledger_survives_kill_9(edge_alone, provider):
    """Misses of an edge that was killed, and the tunnels that were open in it, are counted by the
    next one, once."""
    pair = edge_alone
    raw_calls(pair, provider, 3)
    with pair.connect(calls.HOST, trust=provider.ca_file) as wire:
        assert calls.post(wire).status == 200
        pair.signal(pair.edge, signal.SIGKILL)
    pair.start_edge()
    assert pair.edge_status()["ledger.calls"] == "4"
    raw_calls(pair, provider, 1)
    pair.signal(pair.edge, signal.SIGKILL)
    pair.start_edge()
    pair.start_interceptor()
    pair.wait_gate("open")
    assert missed(pair, 5) == ["edge_lost"] + ["gate_closed"] * 4
    lost = [miss for miss in pair.database.misses() if miss["reason"] == "edge_lost"]
    assert lost[0]["detail"] == "gate_closed" and lost[0]["host"] == calls.HOST


def test_ledger_of_an_edge_that_never_came_back(edge_alone, provider):
    """No successor: the interceptor takes the file itself."""
    pair = edge_alone
    raw_calls(pair, provider, 2)
    pair.signal(pair.edge, signal.SIGKILL)
    pair.start_interceptor()
    pairs.wait_for("two misses", lambda: len(pair.database.misses()) == 2, 20)
    pairs.wait_for("no ledger left", lambda: not pair.ledgers("edge"))


def test_ledger_is_handed_over_once(edge_alone, provider):
    """The interceptor dies between its commit and the removal of what it had taken over: the same
    entries come again, and are the same rows."""
    pair = edge_alone
    raw_calls(pair, provider, 3)
    pair.signal(pair.edge, signal.SIGKILL)
    (ledger,) = memory.ledgers(pair.home, "edge")
    content = ledger.read_bytes()
    for _ in range(2):
        pair.start_interceptor()
        pairs.wait_for("three misses", lambda: len(pair.database.misses()) == 3, 20)
        pairs.wait_for("no ledger left", lambda: not pair.ledgers("edge"))
        kill(pair)
        ledger.write_bytes(content)
    pair.start_edge()  # the next edge takes it over, and hands it on
    assert pair.edge_status()["ledger.calls"] == "3"
    pair.start_interceptor()
    pair.wait_gate("open")
    pairs.wait_for("acknowledged", lambda: pair.edge_status()["ledger.calls"] == "0")
    assert missed(pair, 3) == ["gate_closed"] * 3


@pytest.mark.smoke
def test_killed_with_calls_under_way(scripted, authority):
    """kill -9 with three calls under way and one connection that is idle after two: three misses,
    two rows. The edge sees four connections break and cannot tell; the log of flights can."""
    def handler(wire):
        while (request := http1.read_request(wire)) is not None:
            if b"hang" in request.body:
                wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            else:
                wire.send(calls.response_bytes(calls.chat_answer()))

    pair, _ = scripted(handler)
    with contextlib.ExitStack() as stack:
        idle = stack.enter_context(pair.connect(calls.HOST))
        for _ in range(2):
            assert calls.post(idle).status == 200
        pair.rows(2)
        for _ in range(3):
            wire = stack.enter_context(pair.connect(calls.HOST))
            body = calls.chat_body(content="hang")
            wire.send(http1.request_bytes("POST", calls.CHAT, calls.HOST, body,
                                          [("Content-Type", "application/json")]))
            wire.recv_until(b"abc")
        wait_safe(pair)
        kill(pair)
        assert idle.recv_all() == b""
    pair.wait_gate("closed")
    again(pair)
    assert missed(pair, 3) == ["interceptor_lost"] * 3
    assert len(pair.database.requests()) == 2
    assert len(memory.ledgers(pair.home, "daemon")) == 1  # that of the living one


def test_two_edges_keep_their_own(edge_alone, provider):
    """A second edge in the same home takes nothing from the living one."""
    pair = edge_alone
    raw_calls(pair, provider, 2)
    first, own_run = pair.edge, pair.run_dir
    pair.run_dir = pair.folder / "run2"
    pair.run_dir.mkdir(mode=0o700)
    pair.start_edge()
    assert pair.edge_status()["ledger.calls"] == "0"
    raw_calls(pair, provider, 1)
    assert control.facts(own_run / "edge.sock")["ledger.calls"] == "2"
    assert len(memory.ledgers(pair.home, "edge")) == 2
    first.terminate()
    first.wait(20 * pairs.SLOW)
    pair.start_interceptor()
    pair.wait_gate("open")
    assert missed(pair, 3) == ["gate_closed"] * 3


def test_no_room_at_home(small_disk, make_pair, provider):
    """A home without room for anything: the ledger does not need any, and outlives its edge."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file)
    if small_disk.kind != "tmpfs":
        pytest.skip("needs a small disk")
    small_disk.fill(None)
    pair.start_edge()
    assert pair.edge_status()["ledger.survives"] == "1"
    raw_calls(pair, provider, 2)
    pair.signal(pair.edge, signal.SIGKILL)
    pair.start_edge()
    assert pair.edge_status()["ledger.calls"] == "2"
    small_disk.free(None)
    pair.start_interceptor()
    pair.wait_gate("open")
    assert missed(pair, 2) == ["gate_closed"] * 2


def shared_files(pid):
    """{inode: name} of what a process has mapped so that its stores go to a file."""
    lines = [line.split(maxsplit=5) for line in
             pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()]
    return {int(words[4]): words[5] for words in lines if "s" in words[1] and words[4] != "0"}


@pytest.mark.smoke
def test_no_loop_writes_to_a_disk(metered):
    """A store into a mapped page of a file on a disk waits for that disk: a frozen or hanging one
    would stop every call. Both processes map files in memory only; but for the database's index,
    which its own thread alone uses."""
    pair = metered
    calls.make(pair, 1)
    pair.rows(1)
    for process, kind in ((pair.edge, "edge"), (pair.interceptor, "daemon")):
        files = {inode: name for inode, name in shared_files(process.pid).items()
                 if not name.endswith("db.sqlite-shm")}
        (ledger,) = memory.ledgers(pair.home, kind)
        assert set(files) == {ledger.stat().st_ino}, files
        assert all(name.startswith("/dev/shm/") for name in files.values())
    folder = memory.folder(pair.home)
    for path in (folder.parent, folder):
        assert path.stat().st_mode & 0o777 == 0o700 and path.stat().st_uid == os.getuid()


def test_memory_is_gone(edge_alone, provider):
    """The machine went down: the copies in the home count what was in memory, once."""
    pair = edge_alone
    raw_calls(pair, provider, 3)
    pairs.wait_for("the copy", lambda: [path for path in pair.home.glob("edge-ledger.*")
                                        if path.read_bytes().count(b"gate_closed") == 3])
    pair.signal(pair.edge, signal.SIGKILL)
    shutil.rmtree(memory.folder(pair.home))
    pair.start_edge()
    assert pair.edge_status()["ledger.calls"] == "3"
    pair.start_interceptor()
    pair.wait_gate("open")
    assert missed(pair, 3) == ["gate_closed"] * 3
    pairs.wait_for("acknowledged", lambda: pair.edge_status()["ledger.calls"] == "0")
    pair.edge.terminate()
    pair.edge.wait(20 * pairs.SLOW)
    assert pair.ledgers("edge") == []


def test_no_memory_with_a_name(edge_alone, provider):
    """Somebody else's folder stands where ours would be: calls go, the ledger is copied once a
    second, and moves into a file as soon as there is a place."""
    pair = edge_alone
    pair.signal(pair.edge, signal.SIGKILL)
    folder = memory.folder(pair.home)
    folder.chmod(0o755)
    pair.start_edge()
    assert pair.edge_status()["ledger.survives"] == "0"
    raw_calls(pair, provider, 2)
    pairs.wait_for("the copy", lambda: [path for path in pair.home.glob("edge-ledger.*")
                                        if path.read_bytes().count(b"gate_closed") == 2])
    pair.signal(pair.edge, signal.SIGKILL)
    pair.start_edge()
    folder.chmod(0o700)
    pairs.wait_for("a file", lambda: pair.edge_status()["ledger.survives"] == "1")
    pair.start_interceptor()
    pair.wait_gate("open")
    assert missed(pair, 2) == ["gate_closed"] * 2


def test_report_and_status_tell_the_share(edge_alone, provider):
    """The metered share and the misses by reason: text, JSON and CSV."""
    pair = edge_alone
    raw_calls(pair, provider, 2)
    pair.start_interceptor()
    pair.wait_gate("open")
    missed(pair, 2)
    calls.make(pair, 3)
    pair.rows(3)
    text = pair.command("report", "--since", "1h").stdout
    assert "60.0 % of calls metered; 2 not metered (gate_closed 2)" in text, text
    metering = json.loads(pair.command("report", "--since", "1h", "--json").stdout)["metering"]
    assert metering["metered"] == 3 and metering["missed"] == 2
    assert [(miss["reason"], miss["count"]) for miss in metering["misses"]] == [("gate_closed", 2)]
    table = pair.command("report", "--since", "1h", "--by", "reason", "--csv").stdout
    lines = list(csv.DictReader(io.StringIO(table)))
    assert len(lines) == 1 and lines[0]["calls"] == "2" and lines[0]["host"] == calls.HOST
    assert int(lines[0]["bytes_down"]) > 0
    before = pair.command("report", "--from", "2020-01-01", "--to", "2020-01-02", "--by",
                          "reason").stdout
    assert "No calls in this period." in before and "gate_closed" not in before
    filtered = pair.command("report", "--since", "1h", "--project", "misc").stdout
    assert "2 calls of this period not metered (gate_closed 2)" in filtered, filtered
    status = json.loads(pair.command("status", "--json").stdout)["metered_24h"]
    assert status["misses"] == {"gate_closed": 2} and status["metered_per_mille"] == 600
    assert "gate_closed 2" in pair.command("status").stdout
