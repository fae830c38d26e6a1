"""doctor: every symptom is made for real, found, named with its next action, and mended."""

import json

import pytest

import user_manager as managers
from pair import wait_for

DAEMON = "halton-meter.service"
HOME = f"{managers.HOME}/.halton-meter"


def examine(world, **more):
    """(verdict, {id: check}, exit code)"""
    told = world.meter("doctor", "--json", **more)
    assert told.stdout, told.stderr
    report = json.loads(told.stdout)
    return report["verdict"], {check["id"]: check for check in report["checks"]}, told.returncode


def expect(world, check, state, *words, **more):
    """That check says so, with these words and a next action; the verdict follows."""
    verdict, checks, code = examine(world, **more)
    found = checks[check]
    assert found["state"] == state, checks
    for word in words:
        assert word in found["finding"] + found["next"], found
    assert found["next"]
    assert verdict == {"broken": "BROKEN", "inconsistent": "INCONSISTENT"}.get(state, verdict)
    assert code == (0 if verdict == "HEALTHY" else 1)


def expect_healthy(world):
    verdict, checks, code = examine(world)
    assert (verdict, code) == ("HEALTHY", 0), {name: check for name, check in checks.items()
                                               if check["state"] in ("broken", "inconsistent")}
    return checks


def mend(world):
    """--fix only says it; --fix --apply does it, and all is well again."""
    told = world.meter("doctor", "--fix")
    assert told.returncode == 1 and "Would do" in told.stderr
    told = world.meter("doctor", "--fix", "--apply")
    assert told.returncode == 0, told.stdout + told.stderr
    expect_healthy(world)


def test_files_and_services(inside):
    """Symptoms of files and services, one after the other, each with its remedy."""
    expect(inside, "services", "broken", "halton-meter init")
    assert inside.meter("init").returncode == 0
    checks = expect_healthy(inside)
    assert checks["real-call"]["state"] == "ok" and checks["database"]["state"] == "ok"
    told = inside.meter("doctor")
    assert told.stdout.splitlines()[0].endswith("HEALTHY") and "real-call" in told.stdout

    inside.meter("stop", check=True)
    expect(inside, "services", "broken", DAEMON, "halton-meter start")
    assert "real-call" in [name for name, check in examine(inside)[1].items()
                           if check["state"] == "broken"]
    inside.meter("start", check=True)
    expect_healthy(inside)

    inside.run("chmod", "755", HOME, check=True)
    expect(inside, "home", "inconsistent", f"chmod 700 {HOME}")
    mend(inside)

    inside.run("chmod", "644", f"{HOME}/ca/ca-key.pem", check=True)
    expect(inside, "ca", "broken", f"chmod 600 {HOME}/ca/ca-key.pem")
    mend(inside)

    inside.run("sh", "-c", f"head -c 5000 {HOME}/python/certifi/cacert.pem > x; "
                           f"mv x {HOME}/python/certifi/cacert.pem", check=True)
    expect(inside, "bundle", "broken", "halton-meter setup")
    mend(inside)

    inside.run("rm", f"{HOME}/ca/ca-key.pem", check=True)
    expect(inside, "ca", "broken", "halton-meter setup --force")
    mend(inside)

    unit = f"{managers.HOME}/.config/systemd/user/{DAEMON}"
    inside.run("sed", "-i", "s/^RestartSec=.*/RestartSec=9s/", unit, check=True)
    expect(inside, "unit-files", "inconsistent", "--fix --apply")
    mend(inside)
    inside.run("rm", unit, check=True)
    expect(inside, "unit-files", "inconsistent", "missing")
    mend(inside)

    inside.run("rm", f"{HOME}/apps-managed", f"{HOME}/install-mode")
    inside.write(f"{HOME}/install-mode", "full\n", mode=0o600)
    expect(inside, "home", "inconsistent", "halton-meter init")
    mend(inside)


def test_session_and_neighbours(inside):
    """Symptoms that come from shells, tools and other programs."""
    assert inside.meter("init", "--apps").returncode == 0
    shell = {"HTTPS_PROXY": "http://127.0.0.1:8081", "HALTON_METER_ENV_PORT": "8081",
             "SSL_CERT_FILE": f"{HOME}/python/certifi/cacert.pem"}
    assert examine(inside, environment=shell)[0] == "HEALTHY"
    expect(inside, "shell", "inconsistent", "new terminal")
    expect(inside, "shell", "inconsistent", "8099", "new terminal",
           environment={**shell, "HTTPS_PROXY": "http://127.0.0.1:8099",
                        "HALTON_METER_ENV_PORT": "8099"})
    expect(inside, "shell", "inconsistent", "SSL_CERT_FILE",
           environment={**shell, "SSL_CERT_FILE": "/elsewhere.pem"})
    expect(inside, "user-bus", "note", "No medium found", f"/run/user/{managers.UID}",
           environment={**shell, "XDG_RUNTIME_DIR": None})
    expect(inside, "linger", "note", "loginctl enable-linger meter", environment=shell)

    tool = inside.popen("bash", "-c", "exec -a claude sleep 300", environment={
        **shell, "NODE_TLS_REJECT_UNAUTHORIZED": "0"})
    wait_for("the tool", lambda: any(command == "claude 300"
                                     for _, command in inside.processes()))
    expect(inside, "tools", "inconsistent", "NODE_TLS_REJECT_UNAUTHORIZED", "claude",
           environment=shell)
    for pid, command in inside.processes():
        if command == "claude 300":
            inside.kill(pid)
    tool.wait(20)
    tool = inside.popen("bash", "-c", "exec -a codex sleep 300")
    wait_for("the tool", lambda: any(command == "codex 300" for _, command in inside.processes()))
    expect(inside, "tools", "note", "codex", "halton-meter run", environment=shell)
    for pid, command in inside.processes():
        if command == "codex 300":
            inside.kill(pid)
    tool.wait(20)

    lock = ("import sqlite3, time; db = sqlite3.connect('db.sqlite', isolation_level=None); "
            "db.execute('PRAGMA locking_mode = EXCLUSIVE'); db.execute('BEGIN EXCLUSIVE'); "
            "print('held', flush=True); time.sleep(300)")
    inside.meter("stop", check=True)  # while it has the file open nobody gets it for himself
    holder = inside.popen("python3", "-c", lock, cwd=HOME, stdout=-1, text=True)
    assert holder.stdout.readline() == "held\n"
    expect_check(inside, "database", "inconsistent", "locked", "lsof")
    for pid, command in inside.processes():
        if "EXCLUSIVE" in command:
            inside.kill(pid)
    holder.wait(20)


def expect_check(world, check, state, *words):
    """The same without a look at the verdict: something else is worse."""
    found = examine(world)[1][check]
    assert found["state"] == state, found
    for word in words:
        assert word in found["finding"] + found["next"], found


def test_a_program_in_our_place(inside):
    """The interceptor is gone and somebody else listens on its port: named, with PID."""
    assert inside.meter("init").returncode == 0
    inside.meter("stop", check=True)
    holder = inside.popen("python3", "-m", "http.server", "--bind", "127.0.0.1", "8090")
    wait_for("the holder", lambda: any("http.server" in command
                                       for _, command in inside.processes()))
    wait_for("the finding", lambda: "held by python3 (PID" in
             examine(inside)[1]["ports"]["finding"], 20)
    told = inside.meter("doctor", "--fix", "--apply")
    assert told.returncode == 0, told.stdout + told.stderr
    ports = examine(inside)[1]["ports"]
    assert ports["state"] == "note" and "8091" in ports["finding"]
    for pid, command in inside.processes():
        if "http.server" in command:
            inside.kill(pid)
    holder.wait(20)


@pytest.mark.parametrize("environment", [{}, {"XDG_RUNTIME_DIR": None}])
def test_no_bus(inside, environment):
    """The user manager is gone: the finding names the bus, and what to do."""
    assert inside.meter("init").returncode == 0
    (pid,) = [pid for pid, command in inside.processes() if command.endswith("systemd --user")]
    inside.kill(pid)
    wait_for("its end", lambda: "systemd --user" not in str(inside.processes()))
    expect(inside, "user-bus", "broken", "bus", "XDG_RUNTIME_DIR=/run/user/",
           environment=environment)
