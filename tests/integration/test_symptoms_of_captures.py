"""Symptoms of the troubleshooting page: calls that do not show up, streams, the database."""

import re

from pair import wait_for
from symptoms import (BODY, CURL, DAEMON, ROOT, do, examine, finds, install_binaries, is_well,
                      meter, metered, pid_of, rows, running, shell_of, show, symptom)


@symptom("No captures: the interceptor is down")
def no_captures_down(world):
    do(world, "stop")
    finds(world, "services", "broken", DAEMON, "halton-meter start")
    assert examine(world)[1]["real-call"]["state"] == "broken"
    do(world, "start")
    is_well(world)


@symptom("No captures: mode env-only")
def no_captures_env_only(world):
    checks = is_well(world)
    assert "halton-meter run" in checks["shell"]["finding"]
    assert not shell_of(world)
    do(world, "init", "--apps")
    before = rows(world)
    assert world.run("bash", "-i", "-c", CURL).returncode == 0
    wait_for("a row", lambda: rows(world) == before + 1, 20)


@symptom("No captures: this shell lacks the variables, or has old ones")
def no_captures_shell(world):
    new = shell_of(world)
    is_well(world, environment=new)
    finds(world, "shell", "inconsistent", "new terminal")
    old = {**new, "HTTPS_PROXY": "http://127.0.0.1:8099", "https_proxy": "http://127.0.0.1:8099",
           "HALTON_METER_ENV_PORT": "8099"}
    finds(world, "shell", "inconsistent", "8099", "new terminal", environment=old)
    finds(world, "shell", "inconsistent", "SSL_CERT_FILE", environment={
        **new, "SSL_CERT_FILE": "/elsewhere.pem"})


@symptom("No captures: the tool's CA variable is not ours")
def no_captures_trust(world):
    new = shell_of(world)
    with running(world, "codex 300", "bash", "-c", "exec -a codex sleep 300"):
        finds(world, "tools", "note", "codex", "no proxy of ours", "halton-meter run",
              environment=new)
    wrong = {**new, "NODE_EXTRA_CA_CERTS": None}  # the only one that it reads
    with running(world, "gemini 300", "bash", "-c", "exec -a gemini sleep 300", environment=wrong):
        finds(world, "tools", "note", "gemini", "NODE_EXTRA_CA_CERTS", environment=new)
    with running(world, "gemini 300", "bash", "-c", "exec -a gemini sleep 300", environment=new):
        assert "1 running, all metered" in is_well(world, environment=new)["tools"]["finding"]


@symptom("No captures: the host is not a metered one")
def no_captures_host(world):
    # A plain server: what comes back does not matter, the edge only tunnels it.
    world.run("sh", "-c", "HTTPS_PROXY=http://127.0.0.1:8081 curl -sS -m 5 https://localhost:1/ "
                          "|| true")
    world.run("sh", "-c", f"HTTPS_PROXY=http://127.0.0.1:8081 NO_PROXY= curl -sSk -m 5 "
                          f"--noproxy '' https://{world.provider.address}/ || true")
    finds(world, "share", "note", "hosts that are not metered", "config.toml")
    metered(world)  # one that is
    assert is_well(world)["share"]["state"] == "ok"


SWALLOWS = """
import socket
door = socket.create_server(("127.0.0.1", 9443))
held = []
while True:
    held.append(door.accept())
"""


@symptom("No captures: the provider does not answer our handshake")
def no_captures_silent(world):
    text = world.files(f"{ROOT}/config.toml").read_text()
    swallowing = text.replace(f'"api.x.ai:443" = "{world.provider.address}"',
                              '"api.x.ai:443" = "127.0.0.1:9443"')
    assert swallowing != text
    world.write(f"{ROOT}/config.toml",
                swallowing + "[intercept]\nhandshake_timeout_ms = 1000\n", mode=0o600)
    do(world, "reload")
    with running(world, "swallows", "python3", "-c", "# swallows" + SWALLOWS):
        wait_for("the door", lambda: world.run("bash", "-c", ": </dev/tcp/127.0.0.1/9443"
                                               ).returncode == 0)
        for _ in range(2):
            world.run("sh", "-c", "HTTPS_PROXY=http://127.0.0.1:8081 curl -sS -m 4 "
                                  "https://api.x.ai/ || true")
        finds(world, "silent-origins", "inconsistent", "api.x.ai", "halton-meter reload")
    world.write(f"{ROOT}/config.toml", text, mode=0o600)
    do(world, "reload")
    is_well(world, environment=shell_of(world))


@symptom("`NODE_TLS_REJECT_UNAUTHORIZED=0` is set")
def checks_switched_off(world):
    new = shell_of(world)
    with running(world, "claude 300", "bash", "-c", "exec -a claude sleep 300",
                 environment={**new, "NODE_TLS_REJECT_UNAUTHORIZED": "0"}):
        finds(world, "tools", "inconsistent", "NODE_TLS_REJECT_UNAUTHORIZED", "claude",
              environment=new)
    finds(world, "shell", "inconsistent", "unset NODE_TLS_REJECT_UNAUTHORIZED",
          environment={**new, "NODE_TLS_REJECT_UNAUTHORIZED": "0"})
    is_well(world, environment=new)


@symptom("database is locked")
def database_locked(world):
    lock = ("import sqlite3, time; db = sqlite3.connect('db.sqlite', isolation_level=None); "
            "db.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(700)")
    before = rows(world)
    with running(world, "time.sleep(700)", "python3", "-c", lock, cwd=ROOT, stdout=-1,
                 text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        pid = pid_of(world, "time.sleep(700)")
        # The call goes through.
        world.run("sh", "-c", f"{CURL} --cacert {ROOT}/ca/ca-cert.pem", check=True, environment={
            "HTTPS_PROXY": "http://127.0.0.1:8081"})
        wait_for("the finding", lambda: examine(world)[1]["database"]["state"] == "broken", 40)
        finds(world, "database", "broken", f"python3 (PID {pid})", f"kill {pid}")
        world.kill(pid)
    wait_for("the row", lambda: rows(world) == before + 1, 40)
    wait_for("health", lambda: world.status()["verdict"] == "HEALTHY", 40)
    # Wholly for himself, which nobody gets while the interceptor has it open.
    do(world, "stop")
    with running(world, "time.sleep(700)", "python3", "-c", lock.replace(
            "BEGIN IMM", "PRAGMA locking_mode = EXCLUSIVE'); db.execute('BEGIN IMM"), cwd=ROOT,
            stdout=-1, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        found = examine(world)[1]["database"]
        assert found["state"] == "inconsistent" and "locked" in found["finding"], found
        assert f"kill {pid_of(world, 'time.sleep(700)')}" == found["next"], found
    do(world, "start")
    is_well(world)


def clock_rates_memory(world):
    """The last line of that part of the page: three conditions at once, and gone again."""
    newest = "(SELECT id FROM requests ORDER BY requested_at DESC LIMIT 1)"
    change = ("import sqlite3, sys; db = sqlite3.connect('db.sqlite'); "
              f"print(db.execute('SELECT id, requested_at FROM requests WHERE id = {newest}')"
              ".fetchone()); db.execute('UPDATE requests SET requested_at = ? WHERE id = ?', "
              "sys.argv[1:]); db.commit()")
    ask = change.split(" db.execute('UPDATE")[0]
    told = world.run("python3", "-c", ask, cwd=ROOT, check=True).stdout
    row, at = re.findall(r"'([^']*)'", told)
    world.run("python3", "-c", change, "2099-01-01T00:00:00.000000Z", row, cwd=ROOT, check=True)
    world.write(f"{ROOT}/rates.toml", "[[rate]\n", mode=0o600)
    world.run("sh", "-c", "sed 's/^MemAvailable:.*/MemAvailable:    51200 kB/' /proc/meminfo "
                          "> /run/meminfo; mount --bind /run/meminfo /proc/meminfo", root=True,
              check=True)
    checks = examine(world)[1]
    for check, words, advice in (("clock", "2099-01-01", "timedatectl"),
                                 ("rates", "rates.toml is not used", "halton-meter pricing check"),
                                 ("memory", "little memory left", "ps aux")):
        found = checks[check]
        assert found["state"] == "inconsistent" and words in found["finding"], found
        assert advice in found["next"], found
    world.run("umount", "/proc/meminfo", root=True, check=True)
    world.run("rm", f"{ROOT}/rates.toml", check=True)
    world.run("python3", "-c", change, at, row, cwd=ROOT, check=True)
    is_well(world)


@symptom("Streams come all at once, at their end")
def streams_held_back(world):
    call = CURL.replace(BODY, '{"model":"gpt-5-mini","stream":true}') + " -H 'x-sim-late: 2.4'"
    before = rows(world)
    do(world, "run", "--quiet", "--", "sh", "-c", f"{call} & {call} & {call} & wait")
    wait_for("three rows", lambda: rows(world) == before + 3, 20)
    finds(world, "buffering", "note", "3 of 3", "halton-meter stop")
    # Mended: as many and one more that come as they are made.
    call = call.replace("x-sim-late: 2.4", "x-sim-pace: 0.2")
    do(world, "run", "--quiet", "--", "sh", "-c", " & ".join([call] * 4) + " & wait")
    wait_for("four rows", lambda: rows(world) == before + 7, 20)
    assert is_well(world)["buffering"]["state"] == "ok"
    # Two seconds after its look-up a process is looked up anew, and the log says so.
    assert "attribution.evicted" in meter(world, "logs", "daemon", "--since", "1h").stdout


def test_captures_and_data(inside):
    """Symptoms of shells, tools, streams and the database, in one installation."""
    install_binaries(inside)
    do(inside, "init")
    show(inside, no_captures_host, no_captures_down, streams_held_back, clock_rates_memory,
         database_locked, no_captures_env_only, no_captures_shell, no_captures_trust,
         no_captures_silent, checks_switched_off)
