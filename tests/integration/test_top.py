"""top, projects and export beside a running pair; top on a terminal, too."""

import csv
import fcntl
import io
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import threading

import calls
import pair as pairs
import pytest
from pair import wait_for


def one_call(pair):
    wire = pair.connect(calls.HOST)
    assert calls.post(wire).status == 200
    wire.close()


def test_rows_and_projects(metered):
    """export writes each call once, as CSV and as JSON lines; projects adds the same up."""
    for _ in range(3):
        one_call(metered)
    stored = metered.rows(3)
    told = metered.command("export", "--today")
    rows = list(csv.DictReader(io.StringIO(told.stdout, newline="")))
    assert [row["id"] for row in rows] == [
        row["id"] for row in sorted(stored, key=lambda row: (row["requested_at"], row["id"]))]
    lines = [json.loads(line) for line in
             metered.command("export", "--since", "1h", "--json").stdout.splitlines()]
    assert [line["id"] for line in lines] == [row["id"] for row in rows]
    by_id = {row["id"]: row for row in stored}
    for line, row in zip(lines, rows, strict=True):
        for name in ("cost_pico_usd", "input_tokens", "output_tokens", "model", "status"):
            assert line[name] == by_id[line["id"]][name]
            assert row[name] == str(line[name])
    assert "sk-test-secret" not in told.stdout and "gulls" not in told.stdout

    (project,) = json.loads(metered.command("projects", "--json").stdout)["projects"]
    assert project["requests"] == 3 and project["last_call"] == rows[-1]["requested_at"]
    assert project["cost_pico_usd"] == sum(line["cost_pico_usd"] for line in lines)
    assert project["slug"] in metered.command("projects").stdout

    now = json.loads(metered.command("top", "--json").stdout)
    assert [window["minutes"] for window in now["windows"]] == [1, 5, 60]
    assert now["windows"][2]["requests"] == 3
    assert [call["id"] for call in now["calls"]] == [row["id"] for row in reversed(rows)]


@pytest.mark.parametrize("command", ["export", "report", "status", "projects", "completion bash"])
def test_a_full_disk_is_no_whole_answer(metered, command):
    """What could not be written is a failure, and said."""
    one_call(metered)
    metered.rows(1)
    with open("/dev/full", "w") as full:
        told = subprocess.run([pairs.BIN / "halton-meter", *command.split()], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=30,
                              env=pairs.clean_environment(metered.home))
    assert told.returncode == 1 and told.stderr.count("not everything could be written") == 1
    assert "What to do: " in told.stderr


def test_top_on_a_terminal(metered):
    """It is shown anew, holds to the screen's size, has the newest call, and ends with Ctrl-C."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    process = subprocess.Popen(
        [pairs.BIN / "halton-meter", "top"], stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
        env=pairs.clean_environment(metered.home, {"TERM": "xterm", "LANG": "C.UTF-8"}))
    os.close(theirs)
    shown = bytearray()

    def read():
        while True:
            try:
                shown.extend(os.read(ours, 65536))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()

    def screens():
        return bytes(shown).decode(errors="replace").split("\x1b[H\x1b[J")[1:]

    try:
        wait_for("the first look", lambda: len(screens()) >= 1)
        for _ in range(30):
            one_call(metered)
        metered.rows(30)
        wait_for("another look with the calls", lambda: screens()[-1].count("gpt-5-mini") >= 3, 15)
        seen = len(screens())
        wait_for("a whole one", lambda: len(screens()) > seen, 15)
        lines = screens()[-2].splitlines()
        assert len(lines) <= 24 and max(map(len, lines)) <= 60, lines
        assert any("last hour" in line and "30" in line for line in lines)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)
        reader.join(10)  # the terminal has nobody left
        os.close(ours)
    assert process.returncode == -signal.SIGINT
