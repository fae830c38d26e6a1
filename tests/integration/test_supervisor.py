"""Without systemd: `start --foreground` and `--detach` keep the pair running in the same way."""

import json
import signal

import pytest

import user_manager as managers
from pair import wait_for
from symptoms import running

URL = "https://api.openai.com/v1/chat/completions"
CURL = f"""curl -sS --fail -m 20 -H 'content-type: application/json' -d '{{"model":"gpt-5-mini"}}' {URL}"""


def pid_of(world, name):
    """The oldest process of that name; 0: there is none."""
    found = [pid for pid, command in world.processes() if command.split()[0].endswith(name)
             or f"{name} start --foreground" in command]
    return min(found, default=0)


def worker(world, name):
    """Who answers for "edge" or "daemon" now; None: nobody."""
    return world.status()[name].get("pid") or None


def start_slow_call(world):
    """A metered call of some seconds that has reached the provider."""
    seen = len(world.provider.ledger())
    call = ("curl -sS --fail -m 60 -H 'content-type: application/json' -H 'x-sim-pace: 0.3' -d "
            f"""'{{"model":"gpt-5-mini","stream":true}}' {URL}""")
    process = world.popen(f"{managers.BIN}/halton-meter", "run", "--", "sh", "-c", call)
    wait_for("the call", lambda: len(world.provider.ledger()) > seen, 20)
    return process


def healthy(world):
    return world.status()["verdict"] == "HEALTHY"


def test_init_says_what_is_missing(bare):
    """No user manager: exit code 3, the remedies of the seed, and the way without one."""
    told = bare.meter("init", environment={"XDG_RUNTIME_DIR": None})
    assert told.returncode == 3
    for words in ("systemd", "XDG_RUNTIME_DIR", "loginctl enable-linger meter",
                  "start --foreground"):
        assert words in told.stderr, told.stderr
    assert bare.meter("start").returncode == 3
    # Nor without a folder of one's own: one sentence, and what to do.
    for words in (("init",), ("setup",), ("start", "--foreground"), ("start", "--detach")):
        for home, why in (("/usr/share/none", "cannot be made"),
                          ("/usr/share", "cannot be written to")):
            told = bare.meter(*words, environment={"HALTON_METER_HOME": home})
            assert told.returncode == 3, (words, told)
            assert f"{home} {why}" in told.stderr and "make it writable" in told.stderr, told.stderr
    assert not bare.files("~/.config").exists()


@pytest.mark.parametrize("folder", [{}, {"XDG_RUNTIME_DIR": None}])
def test_detached_pair_lives(bare, folder):
    """--detach: healthy and metering; kill -9 of each worker and each parent: started again, the
    port never closed; a call that is under way survives a restart and a stop; SIGTERM ends
    everything in order, the open call first."""
    told = bare.meter("start", "--detach", "--quiet", environment=folder)
    assert told.returncode == 0, told.stderr
    assert bare.meter("run", "--", "sh", "-c", CURL).returncode == 0
    assert bare.meter("start", "--detach").returncode == 1  # there is one already
    for name, program in (("edge", "halton-meter-edge"), ("daemon", "halton-meter-interceptor")):
        for victim in (worker, lambda world, _: pid_of(world, program)):
            before = worker(bare, name)
            bare.kill(victim(bare, name))
            wait_for("another process", lambda: worker(bare, name) not in (None, before), 20)
            wait_for("metering", lambda: healthy(bare), 20)
    assert bare.meter("run", "--", "sh", "-c", CURL).returncode == 0

    slow = start_slow_call(bare)
    before = [worker(bare, name) for name in ("edge", "daemon")]
    assert bare.meter("restart").returncode == 0
    after = [worker(bare, name) for name in ("edge", "daemon")]
    assert None not in after and not set(before) & set(after)
    assert slow.poll() is None  # the old ones still carry it
    assert bare.meter("stop").returncode == 0
    wait_for("its end", lambda: worker(bare, "daemon") is None, 20)
    assert worker(bare, "edge") == after[0]
    bare.kill(pid_of(bare, "halton-meter"), signal.SIGHUP)  # a terminal was closed: no matter
    assert slow.wait(60) == 0
    assert worker(bare, "edge") == after[0] and worker(bare, "daemon") is None
    assert "supervisor.terminal_closed" in bare.files(
        "~/.halton-meter/supervisor.err.log").read_text()
    assert bare.meter("start", "--quiet").returncode == 0

    slow = start_slow_call(bare)
    bare.kill(pid_of(bare, "halton-meter"), signal.SIGTERM)
    assert slow.wait(60) == 0
    wait_for("the end", lambda: not any("halton-meter" in command
                                        for _, command in bare.processes()), 30)
    assert json.loads(bare.meter("report", "--json").stdout)["totals"]["requests"] == 4


def test_uninstall_ends_it(bare):
    """uninstall --purge --include-logs --now of a supervised pair leaves nothing."""
    bare.meter("start", "--detach", check=True)
    told = bare.meter("uninstall", "--purge", "--include-logs", "--yes", "--now")
    assert told.returncode == 0, told.stderr
    # They have ended; that somebody collects them is the first process' affair.
    wait_for("the end", lambda: not any("halton-meter" in command
                                        for _, command in bare.processes()), 10)
    assert not bare.files("~/.halton-meter").exists()


def test_the_usual_port_again(bare):
    """doctor's next step for ports that were taken at the start: it works without systemd."""
    hold = "import socket, time; s = socket.create_server(('127.0.0.1', 8081)); time.sleep(600)"
    with running(bare, "time.sleep(600)", "python3", "-c", hold):
        wait_for("the port's holder", lambda: bare.run(
            "bash", "-c", ": </dev/tcp/127.0.0.1/8081").returncode == 0)
        assert bare.meter("start", "--detach", "--quiet").returncode == 0
        assert bare.status()["ports"]["edge"] == 8082
    checks = json.loads(bare.meter("doctor", "--json").stdout)["checks"]
    (step,) = [check["next"] for check in checks if check["id"] == "ports"]
    told = bare.run("sh", "-c", step, environment={"PATH": f"{managers.BIN}:{managers.PATH}"})
    assert told.returncode == 0, (step, told)
    assert bare.status()["ports"]["edge"] == 8081 and healthy(bare)
