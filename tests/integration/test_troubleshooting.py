"""The troubleshooting page, symptom by symptom: each is made for real under a real user manager,
found by doctor, mended by the remedy that the page and doctor name, and all is well again.

The page's headings and the symptoms here are the same, in the same words: test_page_and_tests.
Several symptoms share one installation, because starting one takes longer than looking at it."""

import contextlib
import io
import json
import pathlib
import re
import tarfile
import time

import user_manager as managers
from pair import wait_for

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/troubleshooting.md"
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


# --- asking -------------------------------------------------------------------------------------

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
    """doctor says so, in these words, and with a next action; verdict and exit code follow."""
    verdict, checks, ended = examine(world, **more)
    found = checks[check]
    assert found["state"] == state, checks
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


# --- services -----------------------------------------------------------------------------------

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
    wait_for("start-limit-hit", lambda: world.property(DAEMON, "ActiveState") == "failed", 60)
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
                 unit_files, old_program_runs, restart_loop, ports_taken, stranger_on_our_port, ports_file_wrong,
                 slow_start, still_stuck, daemon_does_not_start, rescue)


# --- certificates, environment, data --------------------------------------------------------------

def refused_and_mended(world, name, words):
    """A program with our proxy and without our CA: it fails once, is named, and works with `run`."""
    careless = {"HTTPS_PROXY": "http://127.0.0.1:8081", "https_proxy": "http://127.0.0.1:8081"}
    assert world.run(*words, environment=careless).returncode != 0
    wait_for("the finding", lambda: name in examine(world)[1]["distrust"]["finding"], 20)
    finds(world, "distrust", "inconsistent", "api.openai.com", "halton-meter run -- TOOL",
          "halton-meter reload")
    do(world, "reload")
    metered(world, words)
    is_well(world)


@symptom("curl refuses the certificate")
def curl_refuses(world):
    refused_and_mended(world, "curl", ["sh", "-c", CURL])


@symptom("Python refuses the certificate")
def python_refuses(world):
    code = (f"import urllib.request as r; r.urlopen(r.Request('{URL}', b'{BODY}', "
            "{'content-type': 'application/json'})).read()")
    refused_and_mended(world, "python3", ["python3", "-c", code])


NODE = f"""
const net = require('net'), tls = require('tls'), host = 'api.openai.com';
const fail = e => {{ console.error(e.message || e); process.exit(1); }};
const proxy = new URL(process.env.HTTPS_PROXY), sock = net.connect(proxy.port, proxy.hostname);
sock.write(`CONNECT ${{host}}:443 HTTP/1.1\\r\\nHost: ${{host}}:443\\r\\n\\r\\n`);
sock.once('data', () => {{
  const wire = tls.connect({{ socket: sock, servername: host }}, () => wire.write(
    `POST /v1/chat/completions HTTP/1.1\\r\\nHost: ${{host}}\\r\\nContent-Type: application/json` +
    '\\r\\nContent-Length: {len(BODY)}\\r\\nConnection: close\\r\\n\\r\\n{BODY}'));
  wire.on('error', fail);
  let answer = '';
  wire.on('data', piece => answer += piece);
  wire.on('end', () => process.exit(answer.startsWith('HTTP/1.1 200') ? 0 : 1));
}});
"""


@symptom("Node refuses the certificate")
def node_refuses(world):
    refused_and_mended(world, "node", ["node", "-e", NODE])


@symptom("A runtime does not read its CA variable")
def runtime_ignores_variable(world):
    world.write("~/bin/curl", "#!/bin/sh\nunset CURL_CA_BUNDLE SSL_CERT_FILE\n"
                "exec /usr/bin/curl \"$@\"\n", mode=0o755)
    finds(world, "runtimes", "inconsistent", f"{HOME}/bin/curl", "CURL_CA_BUNDLE")
    world.run("rm", "-r", f"{HOME}/bin", check=True)
    assert "curl, python3, node" in is_well(world)["runtimes"]["finding"]


@symptom("The bundle is damaged, or has lost our CA")
def bundle_damaged(world):
    bundle = f"{ROOT}/python/certifi/cacert.pem"
    world.run("sh", "-c", f"head -c 5000 {bundle} > x; mv x {bundle}", check=True)
    finds(world, "bundle", "broken", "halton-meter setup")
    do(world, "setup")
    do(world, "reload")
    metered(world)
    is_well(world)


@symptom("The CA is open to others, or gone")
def ca_open_or_gone(world):
    world.run("chmod", "644", f"{ROOT}/ca/ca-key.pem", check=True)
    finds(world, "ca", "broken", f"chmod 600 {ROOT}/ca/ca-key.pem")
    fixed(world)
    world.run("rm", f"{ROOT}/ca/ca-key.pem", check=True)
    finds(world, "ca", "broken", "halton-meter setup --force")
    fixed(world)


@symptom("The folder is open to others, or its mode is unclear")
def folder_open(world):
    world.run("chmod", "755", ROOT, check=True)
    finds(world, "home", "inconsistent", f"chmod 700 {ROOT}")
    told = meter(world, "doctor", "--fix")  # only says it
    assert told.returncode == 1 and "Would do" in told.stderr, told.stderr
    fixed(world)
    mode = world.files(f"{ROOT}/install-mode").read_text()
    world.write(f"{ROOT}/install-mode", "full\n", mode=0o600)
    finds(world, "home", "inconsistent", "halton-meter init")
    do(world, "init", *(["--apps"] if mode == "apps\n" else []))
    is_well(world, environment=shell_of(world))


@symptom("A browser shows a certificate error")
def browser_error(world):
    store = "/etc/ssl/certs/ca-certificates.crt"
    world.run("sh", "-c", f"cat {store} {ROOT}/ca/ca-cert.pem > /run/store; "
                          f"mount --bind /run/store {store}", root=True, check=True)
    finds(world, "system-store", "inconsistent", "browsers", "update-ca-certificates --fresh")
    world.run("umount", store, root=True, check=True)  # the copy is gone, and the store made anew
    do(world, "setup")
    is_well(world)


@symptom("Another tool has left its CA in a Python")
def foreign_marker(world):
    bundle = f"{HOME}/.local/lib/python3.11/site-packages/certifi/cacert.pem"
    world.write(bundle, "# mitmproxy CA\n-----BEGIN CERTIFICATE-----\n")
    finds(world, "python-bundles", "inconsistent", bundle, "--force-reinstall certifi")
    world.write(bundle, "-----BEGIN CERTIFICATE-----\n")  # as a fresh certifi is
    is_well(world)


def shell_of(world):
    """What a new terminal of an apps installation has."""
    told = world.run("bash", "-i", "-c", "env")
    names = ("PROXY", "CERT", "CA_BUNDLE", "CAINFO", "HALTON")
    return dict(line.split("=", 1) for line in told.stdout.splitlines()
                if "=" in line and any(name in line.split("=")[0].upper() for name in names))


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


def test_trust_and_data(inside):
    """Symptoms of certificates, shells, tools and the database, in one installation."""
    install_binaries(inside)
    do(inside, "init")
    show(inside, no_captures_host, curl_refuses, python_refuses, node_refuses,
                 runtime_ignores_variable, bundle_damaged, ca_open_or_gone, folder_open,
                 browser_error, foreign_marker, no_captures_down, streams_held_back,
                 clock_rates_memory, database_locked, no_captures_env_only, no_captures_shell,
                 no_captures_trust, no_captures_silent, checks_switched_off)


# --- no manager, a full disk ----------------------------------------------------------------------

@symptom("There is no systemd (a container, WSL)")
def no_systemd(world):
    world.run("rm", "-r", "/run/systemd", root=True, check=True)  # which every systemd makes
    finds(world, "user-bus", "broken", "halton-meter start --detach", code=3)
    do(world, "start", "--detach", "--quiet")
    is_well(world)
    metered(world)


@symptom("The disk is full")
def disk_full(world):
    world.run("mount", "-o", "remount,size=60m", ROOT, root=True, check=True)
    finds(world, "disk", "inconsistent", "nearly full", "halton-meter bodies purge --vacuum")
    world.run("sh", "-c", f"head -c 20000000 /dev/zero > {ROOT}/daemon.err.log.1; "
                          f"cat /dev/zero > {ROOT}/filler", check=False)
    finds(world, "disk", "broken", "the disk is full", f"rm {ROOT}/daemon.err.log.1")
    world.run("sh", "-c", examine(world)[1]["disk"]["next"], check=True)  # works without room
    finds(world, "disk", "inconsistent", "nearly full")
    world.run("sh", "-c", f"cat /dev/zero >> {ROOT}/filler", check=False)
    finds(world, "disk", "broken", "du -ah")
    assert f"{ROOT}/filler" in world.run("sh", "-c", examine(world)[1]["disk"]["next"]).stdout
    world.run("rm", f"{ROOT}/filler", check=True)
    world.run("mount", "-o", "remount,size=1g", ROOT, root=True, check=True)
    # Rows that had no room are tried again every two seconds.
    wait_for("the waiting rows", lambda: examine(world)[1]["database"]["state"] == "ok", 20)
    is_well(world)


def test_without_a_manager(bare):
    """A container, where the home is a small disk."""
    config = bare.files(f"{ROOT}/config.toml").read_text()
    bare.run("mount", "-t", "tmpfs", "-o", f"size=1g,uid={managers.UID},mode=700", "tmpfs", ROOT,
             root=True, check=True)
    bare.write(f"{ROOT}/config.toml", config, mode=0o600)
    install_binaries(bare)
    no_systemd(bare)
    disk_full(bare)


@symptom("The user manager has died")
def manager_died(world):
    for pid, command in world.processes():  # as the system's manager does with what is left
        if "systemd --user" in command or "halton-meter" in command:
            world.kill(pid)
    wait_for("its end", lambda: "systemd --user" not in str(world.processes()))
    finds(world, "user-bus", "broken", f"sudo systemctl start user@{managers.UID}", code=3)
    finds(world, "user-bus", "broken", f"export XDG_RUNTIME_DIR=/run/user/{managers.UID}", code=3,
          environment={"XDG_RUNTIME_DIR": None})
    told = meter(world, "start")
    assert told.returncode == 3 and "start --foreground" in told.stderr
    do(world, "start", "--detach", "--quiet")  # until the next login
    metered(world)


def test_manager_dies(inside):
    """With the manager its services end; until the next login the own supervisor carries on."""
    install_binaries(inside)
    do(inside, "init")
    manager_died(inside)


def test_page_and_tests():
    """Every heading of the page is a symptom that is made here, and the other way round."""
    headings = re.findall(r"^### (.*)$", PAGE.read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(SYMPTOMS)
    assert len(set(headings)) == len(headings)
