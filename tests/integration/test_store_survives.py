"""The rows survive: a locked, full, unwritable, deleted or damaged database, and kill -9 at each.

Calls never notice, and in the end there are as many rows as there were calls: none lost, none
twice. Real processes throughout; the lock is another program's, the full disk a small file system.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import time

import pytest

import calls
import pair as pairs
from conftest import everywhere
from store_steps import PROMISE, again, kill, rows_are, store, wait_safe

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


@pytest.mark.smoke
def test_locked(metered):
    """Another program holds the database: calls work, rows are spooled, status says it in words;
    afterwards they are written in order."""
    done = calls.make(metered, 2)
    metered.rows(2)
    with locked(metered.home / "db.sqlite"):
        done += calls.make(metered, 10)
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
    calls.make(pair, 1)
    pair.rows(1)
    # The ports file of the usual pair lies in the home itself.
    (pair.home / "effective-ports.json").write_bytes(
        (pair.run_dir / "effective-ports.json").read_bytes())
    with locked(pair.home / "db.sqlite"):
        calls.make(pair, 3)
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
    done = calls.make(metered, 2)
    metered.rows(2)
    with locked(metered.home / "db.sqlite"):
        done += calls.make(metered, 5)
        wait_safe(metered)
        kill(metered)
        again(metered)
        done += calls.make(metered, 5)
        wait_safe(metered)
        kill(metered)
        again(metered)
        done += calls.make(metered, 1)
    rows_are(metered, done)


def test_killed_without_any_trouble(metered):
    """kill -9 of a healthy interceptor, 100 ms after the last call."""
    done = 0
    for _ in range(3):
        done += calls.make(metered, 3)
        wait_safe(metered)
        kill(metered)
        again(metered)
    rows_are(metered, done)


@pytest.mark.parametrize("ill", [False, True], ids=["healthy", "locked"])
def test_killed_100_ms_after_a_call(metered, ill):
    """The promise by the clock: kill -9 when 100 ms have passed since the last byte of the last answer,
    without a look at what the process has done meanwhile; ten times."""
    done = 0
    for _ in range(10):
        with locked(metered.home / "db.sqlite") if ill and done else contextlib.nullcontext():
            done += calls.make(metered, 2)
            time.sleep(PROMISE * pairs.SLOW)
            kill(metered)
        again(metered)
    rows_are(metered, done)
    assert metered.database.misses() == []


def test_killed_in_the_middle_of_the_replay(metered):
    """The spool is being written to the database when kill -9 comes: nothing is lost, nothing
    twice. Killed at several moments."""
    done = calls.make(metered, 1)
    metered.rows(1)
    for moment in (0.0, 0.02, 0.05, 0.1, 0.3):
        with locked(metered.home / "db.sqlite"):
            done += calls.make(metered, 8)
            wait_safe(metered)
        time.sleep(moment)
        kill(metered)
        again(metered)
    rows_are(metered, done)


# --- a full disk ------------------------------------------------------------------------------

@pytest.mark.smoke
def test_full_disk(small_disk, make_pair, provider, record_property):
    """No room on the disk: calls work, rows go into the spool's reserve (with the tmpfs), also over
    kill -9 and a start on the full disk; once there is room they are written."""
    record_property("disk", small_disk.kind)
    print("full disk by", small_disk.kind)
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file).start()
    done = calls.make(pair, 2)
    pair.rows(2)
    small_disk.fill(pair.interceptor)
    done += calls.make(pair, 12)
    pairs.wait_for("state disk full", lambda: store(pair)["healthy"] == "0")
    if small_disk.kind == "tmpfs":
        assert store(pair)["state"] == "disk_full"
        wait_safe(pair)
        kill(pair)
        again(pair)  # on the full disk
        time.sleep(1.5)  # what the dead process had is taken over, and its ledger's file goes
        small_disk.fill(pair.interceptor)
        done += calls.make(pair, 12)
        wait_safe(pair)
        assert store(pair)["state"] == "disk_full"
        kill(pair)
        again(pair)
        done += calls.make(pair, 2)
    small_disk.free(pair.interceptor)
    rows_are(pair, done)
    assert pair.edge.poll() is None


# --- a home that cannot be written --------------------------------------------------------------

def test_home_becomes_read_only(small_disk, make_pair, provider):
    """The file system turns read-only below the pair, as after an I/O error, and comes back."""
    if small_disk.kind != "tmpfs":
        pytest.skip("needs a mount; the database in the way of a folder is tested below")
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file).start()
    done = calls.make(pair, 2)
    pair.rows(2)
    # Files that are open for writing keep a remount out; a bind mount over the folder does not.
    subprocess.run(["mount", "--bind", small_disk.home, small_disk.home], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", small_disk.home], check=True)
    try:
        kill(pair)
        again(pair)  # opens everything anew, on what is read-only now
        done += calls.make(pair, 5)
        pairs.wait_for("unwritable", lambda: store(pair)["state"] == "unwritable")
        assert store(pair)["spool_error"]
    finally:
        subprocess.run(["umount", "-l", small_disk.home], check=True)
    rows_are(pair, done)


def test_something_in_the_way(metered):
    """db.sqlite and the spool become folders and files of somebody else: rows wait in memory until
    they are gone."""
    done = calls.make(metered, 2)
    metered.rows(2)
    database = metered.home / "db.sqlite"
    for part in ("", "-wal", "-shm"):
        pathlib.Path(f"{database}{part}").unlink(missing_ok=True)
    database.mkdir()
    (database / "x").write_text("in the way")
    done = calls.make(metered, 6)
    pairs.wait_for("not well", lambda: store(metered)["healthy"] == "0")
    wait_safe(metered)
    kill(metered)
    again(metered)
    done += calls.make(metered, 2)
    (database / "x").unlink()
    database.rmdir()
    rows_are(metered, done)


# --- the file itself ----------------------------------------------------------------------------

@pytest.mark.parametrize("parts", [("",), ("", "-wal", "-shm")], ids=["main file", "all files"])
def test_deleted_database(metered, parts):
    """Somebody removes the database under the running pair: a new one is made, and no call after
    that is missing."""
    calls.make(metered, 3)
    metered.rows(3)
    for part in parts:
        pathlib.Path(f"{metered.home / 'db.sqlite'}{part}").unlink(missing_ok=True)
    done = calls.make(metered, 4)
    wait_safe(metered)
    kill(metered)
    again(metered)
    done += calls.make(metered, 1)
    rows_are(metered, done)


def damage(path, at, size):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(os.urandom(size))


@pytest.mark.smoke
def test_rubbish_in_the_head(metered):
    """The head of the open database is overwritten: the file is moved aside, the log and status name
    both files, and no call after that is missing, kill -9 included."""
    calls.make(metered, 3)
    metered.rows(3)
    database = metered.home / "db.sqlite"
    damage(database, 0, 100)
    done = calls.make(metered, 4)
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
    done += calls.make(metered, 1)
    rows_are(metered, done)


def test_rubbish_in_the_middle(metered):
    """Pages in the middle are overwritten while the pair is down and rows wait in the spool: the
    file is moved aside at the start, the spool is kept and goes into the new one."""
    calls.make(metered, 30)
    metered.rows(30)
    pathname = metered.home / "db.sqlite"
    with locked(pathname):
        done = calls.make(metered, 5)
        wait_safe(metered)
        kill(metered)
    # The locker was the last to close it: all is in the main file now.
    damage(pathname, 4096 * 8, 4096 * 20)
    again(metered)
    done += calls.make(metered, 2)
    rows_are(metered, done)
    aside = [path for path in metered.home.glob("db.sqlite.corrupt-*")
             if not path.name.endswith(("-wal", "-shm"))]
    assert len(aside) == 1
