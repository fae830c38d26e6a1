"""What both processes tell: in files and journal the same, rotated, under the names that people
search for."""

import json
import time

import pytest

import calls
import pair as pairs
import user_manager as managers
from conftest import everywhere
from installed import DAEMON, EDGE, init
from pair import wait_for


@pytest.fixture
def with_journal(can_have_managers):
    """A user manager with a journal beside it."""
    world = managers.UserManager(binaries=pairs.BIN, journal=True)
    try:
        yield world.start()
    finally:
        world.stop()


def events(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_journal_and_files_tell_the_same(with_journal):
    """Every line of the files is in the journal, and the names are those that the pages give:
    start, each minute, end."""
    world = with_journal
    init(world)
    begun = time.monotonic()
    daemon = world.files("~/.halton-meter/daemon.err.log")
    wait_for("a heartbeat", lambda: "daemon.heartbeat" in daemon.read_text(), 75)
    assert time.monotonic() - begun > 30  # each minute, not each second
    world.systemctl("stop", EDGE, DAEMON)
    for program, name, wanted in (
            ("halton-meter-edge", "edge.err.log", {"edge.startup.ready", "edge.gate.opened", "edge.exit"}),
            ("halton-meter-interceptor", "daemon.err.log", {"daemon.startup.ready", "daemon.heartbeat",
                                        "daemon.exit", "intercept.start"})):
        lines = world.files(f"~/.halton-meter/{name}").read_text().splitlines()
        assert wanted <= {event["event"] for event in events("\n".join(lines))}

        def journal(program=program):  # by unit it finds nothing in a world without a booted systemd
            return world.run("journalctl", "--user", "-t", program, "-o", "cat", "--no-pager",
                             "-n", "all").stdout.splitlines()
        wait_for("the journal", lambda: set(lines) <= set(journal()), 20)
        for event in events("\n".join(lines)):
            assert event["at"].endswith("Z") and event["level"] in ("info", "warn", "error")


def test_rotated_while_it_is_read(make_pair, provider):
    """A log is never larger than its limit; what was rotated away is still read, once and in
    order, and `logs --since` knows where to begin."""
    pair = make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file,
                     config="[log]\nmax_bytes = 65536\n").start()
    log = pair.home / "daemon.err.log"
    middle = None
    for turn in range(400):
        wire = pair.connect(calls.HOST)
        assert calls.post(wire).status == 200
        wire.close()
        if log.with_name("daemon.err.log.1").exists():
            if middle is None:
                middle = turn
            elif turn > middle + 20:
                break
    else:
        raise AssertionError("it was never rotated")
    time.sleep(0.3)  # the log's thread
    files = [log.with_name("daemon.err.log.1"), log]
    assert all(file.stat().st_size <= 65536 for file in files)
    written = [line for file in files for line in file.read_text().splitlines()]
    told = pair.command("logs", "daemon", "--since", "1h").stdout.splitlines()
    assert told == written and len(told) > 100
    at = [event["at"] for event in events("\n".join(told))]
    assert at == sorted(at)
    assert len(pair.command("logs", "daemon").stdout.splitlines()) == 50
    begin = time.time()
    wire = pair.connect(calls.HOST)
    calls.post(wire)
    wire.close()
    wait_for("its event", lambda: events(pair.command(
        "logs", "daemon", "--since", f"{int(time.time() - begin) + 1}s").stdout))
    recent = events(pair.command("logs", "daemon", "--since",
                                 f"{int(time.time() - begin) + 1}s").stdout)
    assert 0 < len(recent) < len(told)
