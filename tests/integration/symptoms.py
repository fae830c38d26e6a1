"""The troubleshooting page, symptom by symptom: each is made for real under a real user manager,
found by doctor, mended by the remedy that the page and doctor name, and all is well again.

What the tests of that page share. Several symptoms share one installation, because starting one
takes longer than looking at it. test_troubleshooting.py holds page and tests against each other."""

import contextlib
import json
import time

import user_manager as managers
from pair import wait_for

EDGE, DAEMON = "halton-meter-edge.service", "halton-meter.service"
HOME = managers.HOME
ROOT = f"{HOME}/.halton-meter"
BIN = f"{HOME}/.local/bin"
URL = "https://api.openai.com/v1/chat/completions"
BODY = '{"model":"gpt-5-mini"}'
CURL = f"curl -sS --fail -m 20 -H 'content-type: application/json' -d '{BODY}' {URL}"
SYMPTOMS = {}  # heading: function


def symptom(heading):
    def register(function):
        SYMPTOMS[heading] = function
        return function
    return register


def meter(world, *words, **more):
    """`halton-meter WORDS` as installed in ~/.local/bin, in a shell of the user."""
    environment = {"PATH": f"{HOME}/bin:{BIN}:{managers.PATH}", **more.pop("environment", {})}
    return world.run("halton-meter", *words, environment=environment, **more)


def do(world, *words, **more):
    told = meter(world, *words, **more)
    assert told.returncode == 0, told.stdout + told.stderr
    return told


def examine(world, **more):
    """(verdict, {id: check}, exit code)"""
    told = meter(world, "doctor", "--json", **more)
    assert told.stdout, told.stderr
    report = json.loads(told.stdout)
    return report["verdict"], {check["id"]: check for check in report["checks"]}, told.returncode


def finds(world, check, state, *words, code=None, **more):
    """doctor says so, in these words, and with a next action; verdict and exit code follow. What has
    just been done may take a moment until it can be seen."""
    end = time.monotonic() + 10
    while True:
        verdict, checks, ended = examine(world, **more)
        found = checks[check]
        if found["state"] == state or time.monotonic() > end:
            break
        time.sleep(0.2)
    assert found["state"] == state, (check, found, checks)
    for word in words:
        assert word in found["finding"] + " " + found["next"], found
    assert found["next"], found
    worst = {"broken": "BROKEN", "inconsistent": "INCONSISTENT"}.get(state)
    assert worst is None or verdict in (worst, "BROKEN"), (verdict, found)
    if code is None:
        code = 0 if verdict == "HEALTHY" else 1
    assert ended == code, (verdict, ended)


def is_well(world, **more):
    verdict, checks, code = examine(world, **more)
    assert (verdict, code) == ("HEALTHY", 0), {name: check for name, check in checks.items()
                                               if check["state"] in ("broken", "inconsistent")}
    return checks


def fixed(world):
    """doctor --fix --apply does it and looks again: code 0 is HEALTHY."""
    told = do(world, "doctor", "--fix", "--apply")
    assert "Doing: " in told.stderr and told.stdout.splitlines()[0].endswith("HEALTHY")


def rows(world):
    return json.loads(meter(world, "report", "--json").stdout)["totals"]["requests"]


def metered(world, words=("sh", "-c", CURL), through=("run", "--")):
    """The command works and becomes a row."""
    before = rows(world)
    do(world, *through, *words)
    wait_for("a row", lambda: rows(world) == before + 1, 20)


def install_binaries(world, names=("halton-meter", "halton-meter-edge", "halton-meter-interceptor")):
    for name in names:
        world.run("install", "-D", f"{managers.BIN}/{name}", f"{BIN}/{name}", check=True)


def pid_of(world, part):
    (pid,) = [pid for pid, command in world.processes() if part in command]
    return pid


@contextlib.contextmanager
def running(world, part, *words, **more):
    """A process of the user's, known by a part of its command line, as long as the block."""
    process = world.popen(*words, **more)
    wait_for(part, lambda: any(part in command for _, command in world.processes()), 20)
    try:
        yield process
    finally:
        for pid, command in world.processes():
            if part in command:
                world.kill(pid)
        process.wait(20)


def show(world, *symptoms):
    for one in symptoms:
        begun = time.monotonic()
        one(world)
        print(f"{one.__name__}: {time.monotonic() - begun:.1f} s")


def shell_of(world):
    """What a new terminal of an apps installation has."""
    told = world.run("bash", "-i", "-c", "env")
    names = ("PROXY", "CERT", "CA_BUNDLE", "CAINFO", "HALTON")
    return dict(line.split("=", 1) for line in told.stdout.splitlines()
                if "=" in line and any(name in line.split("=")[0].upper() for name in names))
