"""Symptoms of the troubleshooting page: services, ports and versions."""

import io
import json
import tarfile

import user_manager as managers
from pair import wait_for
from symptoms import (BIN, CURL, DAEMON, EDGE, HOME, ROOT, do, examine, finds, fixed,
                      install_binaries, is_well, meter, metered, pid_of, rows, running, show,
                      symptom)


@symptom("Nothing is installed")
def nothing_installed(world):
    finds(world, "services", "broken", "halton-meter init")
    do(world, "init")
    is_well(world)


@symptom("`Failed to connect to bus: No medium found`")
def no_bus_in_this_shell(world):
    without = {"XDG_RUNTIME_DIR": None, "DBUS_SESSION_BUS_ADDRESS": None}
    told = world.run("systemctl", "--user", "status", environment=without)
    assert told.returncode != 0 and "bus" in told.stderr, told
    finds(world, "user-bus", "note", "No medium found", f"export XDG_RUNTIME_DIR=/run/user/"
          f"{managers.UID}", "sudo loginctl enable-linger meter", environment=without)
    assert is_well(world)["user-bus"]["state"] == "ok"  # as the remedy sets it


@symptom("The services end when you log out")
def no_linger(world):
    finds(world, "linger", "note", "sudo loginctl enable-linger meter")
    # What loginctl asks logind to do; there is no logind in this world.
    world.run("sh", "-c", "mkdir -p /var/lib/systemd/linger; touch /var/lib/systemd/linger/meter",
              root=True, check=True)
    assert is_well(world)["linger"]["state"] == "ok"


@symptom("The interceptor does not start")
def daemon_does_not_start(world):
    good = f"{BIN}/halton-meter-interceptor"
    world.run("mv", good, good + ".good", check=True)
    world.write(good, "#!/bin/sh\nexit 7\n", mode=0o755)
    world.kill(world.main_pid(DAEMON))
    for pid, command in world.processes():
        if command.startswith(good):
            world.kill(pid)  # its worker
    findings = set()  # between two attempts systemd keeps our socket: no stranger to be blamed

    def given_up():
        findings.add(examine(world)[1]["ports"]["finding"])
        return world.property(DAEMON, "ActiveState") == "failed"

    wait_for("start-limit-hit", given_up, 60)
    assert not [finding for finding in findings if "held by" in finding], findings
    finds(world, "services", "broken", "given up on", "code 7", "halton-meter rescue")
    call = f"HTTPS_PROXY=http://127.0.0.1:8081 {CURL} --cacert {HOME}/provider-ca.pem"
    assert world.run("sh", "-c", call).returncode in (0, 60)  # nobody is cut off; 60: still metered
    world.run("mv", good + ".good", good, check=True)
    do(world, "rescue")
    metered(world)


@symptom("Nothing else helps")
def rescue(world):
    for pid, command in world.processes():
        if "halton-meter-" in command:
            world.kill(pid, 19)  # SIGSTOP: what hangs
    world.run("sh", "-c", f"rm -f {HOME}/.config/systemd/user/halton-meter*; "
                          f"echo nonsense > {ROOT}/effective-ports.json", check=True)
    assert examine(world)[0] == "BROKEN"
    before = world.files(f"{ROOT}/ca/ca-cert.pem").read_text()
    calls = rows(world)
    do(world, "rescue")
    assert world.files(f"{ROOT}/ca/ca-cert.pem").read_text() == before and rows(world) == calls
    is_well(world)


@symptom("A service is started again and again")
def restart_loop(world):
    for count in range(1, 5):
        world.kill(world.status()["edge"]["pid"])
        wait_for("the next one", lambda: int(world.property(EDGE, "NRestarts")) >= count
                 and world.status()["edge"]["pid"], 30)
    wait_for("health", lambda: world.status()["verdict"] == "HEALTHY", 30)
    finds(world, "services", "inconsistent", EDGE, "started again 4 times", "halton-meter logs")
    do(world, "restart")
    is_well(world)


@symptom("After an upgrade the old program still runs")
def old_program_runs(world):
    program = f"{BIN}/halton-meter-interceptor"
    version = world.run(program, "--version").stdout.split()[-1]
    other = version.replace(version[:4], "9.9.", 1)
    # Four bytes: a compiler puts short texts into its instructions piece by piece.
    file = world.files(program)
    world.write(f"{program}.old", "", mode=0o755).write_bytes(
        file.read_bytes().replace(version[:4].encode(), b"9.9."))
    world.run("mv", f"{program}.old", program, check=True)
    do(world, "restart")
    finds(world, "versions", "inconsistent", other, "halton-meter restart")
    install_binaries(world, ["halton-meter-interceptor"])
    do(world, "init")
    is_well(world)


@symptom("A unit file is missing, or is not the one of this version")
def unit_files(world):
    unit = f"{HOME}/.config/systemd/user/{DAEMON}"
    world.run("sed", "-i", "s/^RestartSec=.*/RestartSec=9s/", unit, check=True)
    finds(world, "unit-files", "inconsistent", "--fix --apply")
    world.run("rm", unit, check=True)
    finds(world, "unit-files", "inconsistent", "missing")
    fixed(world)
    world.systemctl("disable", DAEMON)
    finds(world, "services", "inconsistent", DAEMON, "next login", "systemctl --user enable")
    fixed(world)
    assert world.property(DAEMON, "UnitFileState") == "enabled"


@symptom("Port 8081, 8090 or 8765 is taken")
def ports_taken(world):
    world.systemctl("stop", EDGE, DAEMON)
    hold = ("import socket, time; s = [socket.create_server(('127.0.0.1', p)) "
            "for p in (8081, 8090, 8765)]; time.sleep(600)")
    with running(world, "time.sleep(600)", "python3", "-c", hold):
        wait_for("the last port", lambda: world.run(
            "bash", "-c", ": </dev/tcp/127.0.0.1/8765").returncode == 0)
        holder = f"python3 (PID {pid_of(world, 'time.sleep(600)')})"
        do(world, "start")
        checks = is_well(world)  # the next free ones were taken
        assert checks["ports"]["state"] == "note"
        for port in (8081, 8090, 8765):
            assert f"{port} is held by {holder}" in checks["ports"]["finding"], checks["ports"]
        ports = json.loads(world.files(f"{ROOT}/effective-ports.json").read_text())
        assert [ports[name] for name in ("edge_port", "internal_port", "api_port")] == [
            8082, 8091, 8766]
        metered(world)
    assert "systemctl --user stop halton-meter-edge halton-meter" in examine(
        world)[1]["ports"]["next"]
    world.systemctl("stop", EDGE, DAEMON)
    do(world, "start")
    assert is_well(world)["ports"]["finding"] == "edge 8081, intercept 8090, api 8765"


@symptom("Another program listens where the interceptor should")
def stranger_on_our_port(world):
    do(world, "stop")
    with running(world, "http.server", "python3", "-m", "http.server", "--bind", "127.0.0.1",
                 "8090"):
        wait_for("the finding", lambda: "held by python3 (PID" in
                 examine(world)[1]["ports"]["finding"], 20)
        do(world, "doctor", "--fix", "--apply")
        assert "8091" in is_well(world)["ports"]["finding"]
        moved = [json.loads(line) for line in meter(world, "logs", "edge", "--since",
                                                    "1m").stdout.splitlines()]
        assert 8091 in [event["internal_port"] for event in moved
                        if event["event"] == "edge.sidecar_regen_requested"]
    world.systemctl("stop", DAEMON)
    do(world, "start")


@symptom("`effective-ports.json` is wrong, or gone")
def ports_file_wrong(world):
    file = f"{ROOT}/effective-ports.json"
    text = world.files(file).read_text()
    for name, port, who in (("edge_port", 8081, "edge"), ("internal_port", 8090, "interceptor"),
                            ("api_port", 8765, "HTTP API")):
        world.write(file, text.replace(f'"{name}": {port}', f'"{name}": 8099'), mode=0o600)
        assert "8099" in world.files(file).read_text()
        finds(world, "ports", "broken", "8099", f"{who}, which listens on {port}",
              "halton-meter restart")
    fixed(world)
    world.run("rm", file, check=True)
    finds(world, "ports", "broken", "says nothing of the edge", "halton-meter restart")
    do(world, "restart")
    assert is_well(world)["ports"]["finding"] == "edge 8081, intercept 8090, api 8765"


@symptom("How long does a start take?")
def slow_start(world):
    world.systemctl("stop", EDGE, DAEMON)
    do(world, "start", "--quiet")
    metered(world)  # at once: start returns when calls are metered
    for process, event in (("daemon", "daemon.startup.ready"), ("edge", "edge.startup.ready")):
        events = [json.loads(line) for line in meter(world, "logs", process,
                                                     "--since", "1h").stdout.splitlines()]
        took = [event_["took_us"] for event_ in events if event_["event"] == event]
        assert 0 < took[-1] < 20_000_000


@symptom("`status` has a row that says watchdog")
def watchdog_row(world):
    (line,) = [line for line in meter(world, "status").stdout.splitlines() if "watchdog" in line]
    assert "not needed on Linux" in line
    assert world.property(DAEMON, "WatchdogUSec") == "30s"  # systemd's own
    is_well(world)


@symptom("Reading the logs")
def reading_logs(world):
    names = {json.loads(line)["event"]
             for line in meter(world, "logs", "--since", "1h").stdout.splitlines()}
    assert {"daemon.startup.ready", "edge.startup.ready", "edge.gate.opened",
            "intercept.start"} <= names
    only = {json.loads(line)["event"]
            for line in meter(world, "logs", "edge", "--since", "1h").stdout.splitlines()}
    assert "edge.startup.ready" in only and "daemon.startup.ready" not in only


SECRETS = ("hunter2", "sk-ant-api03-PLANTEDPLANTEDPLANTED", "PLANTEDHEADERPLANTED", "PLANTEDKEYLINE",
           "planted@example.com", HOME)


@symptom("Still stuck: what to send")
def still_stuck(world):
    config = world.files(f"{ROOT}/config.toml")
    text = config.read_text()
    world.write(f"{ROOT}/config.toml", text.replace(
        "[upstream]", '[upstream]\n# proxy = "http://me:hunter2@proxy.corp:3128"', 1), mode=0o600)
    with world.files(f"{ROOT}/daemon.err.log").open("a") as log:
        log.write(json.dumps({"at": "2026-01-01T00:00:00.000000Z", "level": "warn", "event":
                              "planted", "text": f"key {SECRETS[1]} of {SECRETS[4]}",
                              "authorization": f"Bearer {SECRETS[2]}", "pem":
                              f"-----BEGIN PRIVATE KEY-----\n{SECRETS[3]}\n-----END PRIVATE KEY-----"
                              }) + "\n")
    told = do(world, "doctor", "--bundle",
              environment={"HTTPS_PROXY": "http://you:hunter2@127.0.0.1:8081"})
    archive = world.files(told.stdout.strip())
    assert archive.stat().st_mode & 0o777 == 0o600
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as tar:
        for member in tar:
            files[member.name] = tar.extractfile(member).read().decode(errors="replace")
    assert {"doctor.txt", "doctor.json", "status.json", "system.txt", "config.toml", "daemon.log",
            "edge.log", "units.txt"} <= set(files)
    assert json.loads(files["doctor.json"])["verdict"] == "HEALTHY"
    assert "planted" in files["daemon.log"] and "daemon.startup.ready" in files["daemon.log"]
    for name, content in files.items():
        for secret in SECRETS:
            assert secret not in content, (name, secret)
    archive.unlink()
    world.write(f"{ROOT}/config.toml", text, mode=0o600)


def test_services(inside):
    """Symptoms of services, ports and versions, one after the other, in one installation."""
    install_binaries(inside)
    show(inside, nothing_installed, no_bus_in_this_shell, no_linger, watchdog_row, reading_logs,
         unit_files, old_program_runs, restart_loop, ports_taken, stranger_on_our_port,
         ports_file_wrong, slow_start, still_stuck, daemon_does_not_start, rescue)
