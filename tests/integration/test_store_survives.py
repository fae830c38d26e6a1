"""The rows survive: a locked, full, unwritable, deleted or damaged database, and kill -9 at each.

Calls never notice, and in the end there are as many rows as there were calls: none lost, none
twice. Real processes throughout; the lock is another program's, the full disk a small file system.
"""

import contextlib
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

import pytest

import calls
import control
import memory
import pair as pairs
from conftest import everywhere

# What had ended longer ago than this must survive kill -9. The program promises 100 ms on a machine
# that has time for it.
PROMISE = 0.1

LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
connection.close()
"""


@contextlib.contextmanager
def locked(database):
    """Another program holds the database exclusively."""
    process = subprocess.Popen([sys.executable, "-c", LOCKER, str(database)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"locked\n"
        yield process
    finally:
        process.stdin.close()
        process.wait(20 * pairs.SLOW)
        process.stdout.close()


def make_calls(pair, count):
    """So many metered calls, each on a connection of its own; all of them must work."""
    for _ in range(count):
        with pair.connect(calls.HOST) as wire:
            assert calls.post(wire).status == 200
    return count


def store(pair):
    status = pair.interceptor_status()
    return {key.removeprefix("store."): value for key, value in status.items()
            if key.startswith("store.")}


def wait_safe(pair):
    """Rows may be in the spool, none in memory alone: from here on a kill loses nothing. Polled
    only because the machine may be slow; a call's row is pushed just after its answer's last byte."""
    time.sleep(PROMISE * pairs.SLOW)
    pairs.wait_for("rows out of memory", lambda: store(pair)["in_memory"] == "0")


def rows_are(pair, expected, seconds=20):
    """Exactly so many, each call once, and none comes later."""
    rows = pair.rows(expected, seconds)
    pairs.wait_for("nothing waits", lambda: store(pair)["queue"] == "0", seconds)
    rows = pair.database.requests()
    assert len(rows) == expected
    assert len({row["call_id"] for row in rows}) == expected
    assert pair.database.query("PRAGMA integrity_check") == [{"integrity_check": "ok"}]


def kill(pair):
    pair.signal(pair.interceptor, signal.SIGKILL)


def again(pair):
    """A new interceptor, and the edge sends its calls there: not to where the old one was."""
    pair.start_interceptor()
    port = pair.interceptor_status()["internal_port"]

    def known():
        status = pair.edge_status()
        return status["gate"] == "open" and status["internal_port"] == port
    pairs.wait_for("the new interceptor is known", known, 20)


@pytest.mark.smoke
def test_locked(metered):
    """Another program holds the database: calls work, rows are spooled, status says it in words;
    afterwards they are written in order."""
    done = make_calls(metered, 2)
    metered.rows(2)
    with locked(metered.home / "db.sqlite"):
        done += make_calls(metered, 10)
        pairs.wait_for("state locked", lambda: store(metered)["state"] == "locked")
        wait_safe(metered)
        assert int(store(metered)["queue"]) == 10
        assert len(metered.database.requests()) == 2
    rows_are(metered, done)
    assert store(metered)["state"] == "well" and store(metered)["healthy"] == "1"
    times = [row["requested_at"] for row in
             metered.database.query("SELECT requested_at FROM requests ORDER BY rowid")]
    assert times == sorted(times)


def test_status_says_what_is_wrong(make_pair, provider):
    """Locked since when, how many rows wait and where, and what to do next: text and JSON."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file)
    pair.run_dir = pair.home / "run"  # where `status` looks
    pair.run_dir.mkdir(mode=0o700)
    pair.start()
    make_calls(pair, 1)
    pair.rows(1)
    # The ports file of the usual pair lies in the home itself.
    (pair.home / "effective-ports.json").write_bytes(
        (pair.run_dir / "effective-ports.json").read_bytes())
    with locked(pair.home / "db.sqlite"):
        make_calls(pair, 3)
        pairs.wait_for("state locked", lambda: store(pair)["state"] == "locked")
        wait_safe(pair)
        text = pair.command("status")
        json_text = pair.command("status", "--json")
    assert text.returncode == 1 and "DEGRADED" in text.stdout.splitlines()[0], text.stdout
    assert "locked" in text.stdout and "since " in text.stdout, text.stdout
    assert "3 rows in the spool" in text.stdout, text.stdout
    assert f"fuser -v {pair.home / 'db.sqlite'}" in text.stdout, text.stdout
    import json
    facts = json.loads(json_text.stdout)["store"]
    assert facts["state"] == "locked" and facts["ill_since"] and facts["rows_in_memory"] == 0
    rows_are(pair, 4)


@pytest.mark.smoke
def test_killed_while_locked(metered):
    """kill -9 while the database is locked, twice: what had ended is in the spool and is written by
    the process that is there when the lock is gone."""
    done = make_calls(metered, 2)
    metered.rows(2)
    with locked(metered.home / "db.sqlite"):
        done += make_calls(metered, 5)
        wait_safe(metered)
        kill(metered)
        again(metered)
        done += make_calls(metered, 5)
        wait_safe(metered)
        kill(metered)
        again(metered)
        done += make_calls(metered, 1)
    rows_are(metered, done)


def test_killed_without_any_trouble(metered):
    """kill -9 of a healthy interceptor, 100 ms after the last call."""
    done = 0
    for _ in range(3):
        done += make_calls(metered, 3)
        wait_safe(metered)
        kill(metered)
        again(metered)
    rows_are(metered, done)


def test_killed_in_the_middle_of_the_replay(metered):
    """The spool is being written to the database when kill -9 comes: nothing is lost, nothing
    twice. Killed at several moments."""
    done = make_calls(metered, 1)
    metered.rows(1)
    for moment in (0.0, 0.02, 0.05, 0.1, 0.3):
        with locked(metered.home / "db.sqlite"):
            done += make_calls(metered, 8)
            wait_safe(metered)
        time.sleep(moment)
        kill(metered)
        again(metered)
    rows_are(metered, done)


# --- a full disk ------------------------------------------------------------------------------

class SmallDisk:
    """The home on a disk that can be filled: a small tmpfs, where mounting is permitted; else the
    process may not write to any file beyond what it has (RLIMIT_FSIZE), which fails its writes."""

    MIB = 40

    def __init__(self, home):
        self.home = home
        home.mkdir(parents=True, mode=0o700)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.MIB}m,mode=0700",
                                  "tmpfs", str(home)], capture_output=True, check=False)
        self.kind = "tmpfs" if mounted.returncode == 0 else "rlimit"

    def fill(self, process):
        if self.kind == "rlimit":
            return resource.prlimit(process.pid, resource.RLIMIT_FSIZE,
                                    (4096, resource.RLIM_INFINITY))
        with (self.home / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(b"x" * size)
        return None

    def free(self, process):
        if self.kind == "rlimit":
            return resource.prlimit(process.pid, resource.RLIMIT_FSIZE,
                                    (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return (self.home / "filler").unlink()

    def close(self):
        if self.kind == "tmpfs":
            subprocess.run(["umount", "-l", str(self.home)], check=False)


@pytest.fixture
def small_disk(tmp_path):
    disk = SmallDisk(tmp_path / "pair0" / "home")
    yield disk
    disk.close()


@pytest.mark.smoke
def test_full_disk(small_disk, make_pair, provider, record_property):
    """No room on the disk: calls work, rows go into the spool's reserve (with the tmpfs), also over
    kill -9 and a start on the full disk; once there is room they are written."""
    record_property("disk", small_disk.kind)
    print("full disk by", small_disk.kind)
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file).start()
    done = make_calls(pair, 2)
    pair.rows(2)
    small_disk.fill(pair.interceptor)
    done += make_calls(pair, 12)
    pairs.wait_for("state disk full", lambda: store(pair)["healthy"] == "0")
    if small_disk.kind == "tmpfs":
        assert store(pair)["state"] == "disk_full"
        wait_safe(pair)
        kill(pair)
        again(pair)  # on the full disk
        time.sleep(1.5)  # what the dead process had is taken over, and its ledger's file goes
        small_disk.fill(pair.interceptor)
        done += make_calls(pair, 12)
        wait_safe(pair)
        assert store(pair)["state"] == "disk_full"
        kill(pair)
        again(pair)
        done += make_calls(pair, 2)
    small_disk.free(pair.interceptor)
    rows_are(pair, done)
    assert pair.edge.poll() is None


# --- a home that cannot be written --------------------------------------------------------------

def test_home_becomes_read_only(small_disk, make_pair, provider):
    """The file system turns read-only below the pair, as after an I/O error, and comes back."""
    if small_disk.kind != "tmpfs":
        pytest.skip("needs a mount; the database in the way of a folder is tested below")
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file).start()
    done = make_calls(pair, 2)
    pair.rows(2)
    # Files that are open for writing keep a remount out; a bind mount over the folder does not.
    subprocess.run(["mount", "--bind", small_disk.home, small_disk.home], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", small_disk.home], check=True)
    try:
        kill(pair)
        again(pair)  # opens everything anew, on what is read-only now
        done += make_calls(pair, 5)
        pairs.wait_for("unwritable", lambda: store(pair)["state"] == "unwritable")
        assert store(pair)["spool_error"]
    finally:
        subprocess.run(["umount", "-l", small_disk.home], check=True)
    rows_are(pair, done)


def test_something_in_the_way(metered):
    """db.sqlite and the spool become folders and files of somebody else: rows wait in memory until
    they are gone."""
    done = make_calls(metered, 2)
    metered.rows(2)
    database = metered.home / "db.sqlite"
    for part in ("", "-wal", "-shm"):
        pathlib.Path(f"{database}{part}").unlink(missing_ok=True)
    database.mkdir()
    (database / "x").write_text("in the way")
    done = make_calls(metered, 6)
    pairs.wait_for("not well", lambda: store(metered)["healthy"] == "0")
    wait_safe(metered)
    kill(metered)
    again(metered)
    done += make_calls(metered, 2)
    (database / "x").unlink()
    database.rmdir()
    rows_are(metered, done)


# --- the file itself ----------------------------------------------------------------------------

@pytest.mark.parametrize("parts", [("",), ("", "-wal", "-shm")], ids=["main file", "all files"])
def test_deleted_database(metered, parts):
    """Somebody removes the database under the running pair: a new one is made, and no call after
    that is missing."""
    make_calls(metered, 3)
    metered.rows(3)
    for part in parts:
        pathlib.Path(f"{metered.home / 'db.sqlite'}{part}").unlink(missing_ok=True)
    done = make_calls(metered, 4)
    wait_safe(metered)
    kill(metered)
    again(metered)
    done += make_calls(metered, 1)
    rows_are(metered, done)


def damage(path, at, size):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(os.urandom(size))


@pytest.mark.smoke
def test_rubbish_in_the_head(metered):
    """The head of the open database is overwritten: the file is moved aside, the log and status name
    both files, and no call after that is missing, kill -9 included."""
    make_calls(metered, 3)
    metered.rows(3)
    database = metered.home / "db.sqlite"
    damage(database, 0, 100)
    done = make_calls(metered, 4)
    wait_safe(metered)
    pairs.wait_for("a notice", lambda: store(metered)["notice"])
    aside = [path for path in metered.home.glob("db.sqlite.corrupt-*")
             if not path.name.endswith(("-wal", "-shm"))]
    assert len(aside) == 1
    assert str(aside[0]) in store(metered)["notice"]
    assert str(database) in store(metered)["notice"]
    log = (metered.home / "daemon.err.log").read_text()
    assert str(aside[0]) in log and "store.moved_aside" in log
    kill(metered)
    again(metered)
    done += make_calls(metered, 1)
    rows_are(metered, done)


def test_rubbish_in_the_middle(metered):
    """Pages in the middle are overwritten while the pair is down and rows wait in the spool: the
    file is moved aside at the start, the spool is kept and goes into the new one."""
    make_calls(metered, 30)
    metered.rows(30)
    pathname = metered.home / "db.sqlite"
    with locked(pathname):
        done = make_calls(metered, 5)
        wait_safe(metered)
        kill(metered)
    # The locker was the last to close it: all is in the main file now.
    damage(pathname, 4096 * 8, 4096 * 20)
    again(metered)
    done += make_calls(metered, 2)
    rows_are(metered, done)
    aside = [path for path in metered.home.glob("db.sqlite.corrupt-*")
             if not path.name.endswith(("-wal", "-shm"))]
    assert len(aside) == 1


# --- the ledger of the edge ---------------------------------------------------------------------

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
    import http1

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
    make_calls(pair, 1)
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
    import shutil
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
    import csv
    import io
    import json
    pair = edge_alone
    raw_calls(pair, provider, 2)
    pair.start_interceptor()
    pair.wait_gate("open")
    missed(pair, 2)
    make_calls(pair, 3)
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
