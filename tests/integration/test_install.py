"""init, start, stop, restart, rescue and setup under a real systemd user manager."""

import json
import pathlib
import signal
import time

import pytest

import user_manager as managers
from installed import (CURL, DAEMON, EDGE, HOME, URL, init, rows, shell_environment, tree,
                       verify_units)
from pair import wait_for


def test_init_env_only_and_again(inside):
    """Bare init: both services are up and enabled, a call becomes a row, shells and session are
    untouched. A second init changes nothing and restarts nothing."""
    before = shell_environment(inside)
    told = init(inside)
    for step in range(1, 9):
        assert f"[{step}/8]" in told
    assert "env-only" in told
    status = inside.status()
    assert status["verdict"] == "HEALTHY" and status["install_mode"] == "env-only"
    assert status["ports"] == {"edge": 8081, "internal": 8090, "api": 8765}
    for unit in (EDGE, DAEMON):
        assert inside.property(unit, "UnitFileState") == "enabled"
        verify_units(inside, f"{HOME}/.config/systemd/user/{unit}")
    assert shell_environment(inside) == before
    assert not inside.files("~/.config/environment.d").exists()

    told = inside.meter("run", "--project", "demo", "--", "sh", "-c", CURL)
    assert told.returncode == 0, told.stderr
    wait_for("a row", lambda: rows(inside) == 1)  # the self-test's own row is nobody's call
    assert len(inside.provider.ledger()) == 1

    pids = [inside.main_pid(unit) for unit in (EDGE, DAEMON)]
    # What the living processes write.
    data = tuple(f".halton-meter/{name}" for name in
                 ("db.sqlite", "daemon.err", "edge.err", "daemon-ledger", "edge-ledger"))
    files = tree(inside, ignore=data)
    stamp = inside.files("~/.halton-meter/effective-ports.json").stat().st_mtime_ns
    assert "nothing had to be changed" in init(inside)
    assert [inside.main_pid(unit) for unit in (EDGE, DAEMON)] == pids
    assert tree(inside, ignore=data) == files
    assert inside.files("~/.halton-meter/effective-ports.json").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("shell,rc", [("bash", ".bashrc"), ("zsh", ".zshrc"),
                                      ("fish", ".config/fish/config.fish")])
def test_apps_mode_in_new_shells(inside, shell, rc):
    """init --apps: a new shell is metered; with the edge stopped, or everything removed, a new
    shell has no variable of ours; modes switch both ways."""
    shells = {"SHELL": f"/usr/bin/{shell}"}
    inside.write(f"~/{rc}", "# mine\n")
    clean = shell_environment(inside, shell, environment=shells)
    init(inside, "--apps", environment=shells)
    assert inside.files("~/.halton-meter/apps-managed").exists()
    text = inside.files(f"~/{rc}").read_text()
    assert text.startswith("# mine\n# >>> halton-meter >>>\n") and text.endswith(
        "# <<< halton-meter <<<\n") and text.count("halton-meter >>>") == 1

    metered = shell_environment(inside, shell, environment=shells)
    assert metered["HTTPS_PROXY"] == metered["https_proxy"] == "http://127.0.0.1:8081"
    assert metered["SSL_CERT_FILE"].endswith("/certifi/cacert.pem")
    # The configuration names roots of the user's own: clients that add to theirs get these, too.
    assert metered["NODE_EXTRA_CA_CERTS"] == metered["SSL_CERT_FILE"]
    assert "::1" in metered["NO_PROXY"]
    # env.sh looks at a file and a process' name, and asks nobody: an edge that hangs delays no shell.
    worker = inside.status()["edge"]["pid"]
    inside.kill(worker, signal.SIGSTOP)
    assert shell_environment(inside, shell, environment=shells) == metered
    inside.kill(worker, signal.SIGCONT)
    assert inside.run(shell, "-i", "-c", CURL, environment=shells).returncode == 0
    wait_for("a row", lambda: rows(inside) == 1)

    data = tuple(f".halton-meter/{name}" for name in
                 ("db.sqlite", "daemon.err", "edge.err", "daemon-ledger", "edge-ledger"))
    files = tree(inside, ignore=data)
    told = init(inside, "--apps", environment=shells)  # again
    assert "nothing had to be changed" in told and tree(inside, ignore=data) == files
    assert inside.files(f"~/{rc}").read_text() == text
    init(inside, environment=shells)  # and the other mode
    assert inside.files(f"~/{rc}").read_text() == "# mine\n"
    assert inside.files("~/.halton-meter/install-mode").read_text() == "env-only\n"
    assert not inside.files("~/.halton-meter/apps-managed").exists()
    assert shell_environment(inside, shell, environment=shells) == clean
    init(inside, "--apps", environment=shells)
    assert shell_environment(inside, shell, environment=shells) == metered

    inside.systemctl("stop", EDGE, DAEMON)
    assert shell_environment(inside, shell, environment=shells) == clean
    # A shell of a session that still has the variables takes them away.
    carried = {**shells, **{name: value for name, value in metered.items() if name not in clean}}
    assert shell_environment(inside, shell, environment=carried) == clean
    # Neither does one when another program of the user's has the port by now.
    stranger = inside.popen("python3", "-m", "http.server", "--bind", "127.0.0.1", "8081")
    wait_for("the stranger", lambda: inside.run("bash", "-c", ": </dev/tcp/127.0.0.1/8081"
                                                ).returncode == 0)
    assert shell_environment(inside, shell, environment=carried) == clean
    for pid, command in inside.processes():
        if "http.server" in command:
            inside.kill(pid)
    stranger.wait(20)
    inside.run("rm", "-rf", ".halton-meter", check=True)
    gone = shell_environment(inside, shell, environment=carried)
    assert not any("PROXY" in name.upper() or "CERT" in name or "CA_BUNDLE" in name
                   for name in gone), gone


def test_session_gets_the_environment(inside):
    """--apps: what the user manager starts is metered, and after `init` alone it is not."""
    inside.write("~/.bashrc", "# mine\n")
    init(inside, "--apps", "--no-shell-rc")
    for again in ((), ("--apps",), ("--apps",)):  # remembered, whatever the mode was meanwhile
        assert inside.files("~/.bashrc").read_text() == "# mine\n"
        init(inside, *again)
    assert inside.files("~/.bashrc").read_text() == "# mine\n"
    report = json.loads(inside.meter("doctor", "--json").stdout)
    (shell,) = [check for check in report["checks"] if check["id"] == "shell"]
    assert report["verdict"] == "HEALTHY" and "left alone, as wished" in shell["finding"], shell
    init(inside, "--apps", "--shell-rc")
    assert "halton-meter >>>" in inside.files("~/.bashrc").read_text()
    assert "HTTPS_PROXY=http://127.0.0.1:8081" in inside.systemctl("show-environment")
    inside.run("systemd-run", "--user", "--wait", "sh", "-c", CURL, check=True)
    wait_for("a row", lambda: rows(inside) == 1)
    init(inside)
    assert "PROXY" not in inside.systemctl("show-environment")


def test_full_is_refused(inside):
    """There is no --full on Linux: exit code 2, and the reason."""
    assert "--apps" in init(inside, "--full", code=2)


def test_stop_start_restart(inside):
    """stop leaves the edge: calls pass, unmetered and counted; start meters again; restart drains a
    call that is under way."""
    init(inside)
    inside.write("~/call.sh", f"export HTTPS_PROXY=http://127.0.0.1:8081\n{CURL} --cacert "
                              "provider-ca.pem\n")
    assert inside.meter("stop").returncode == 0
    assert inside.property(DAEMON, "ActiveState") == "inactive"
    assert inside.property(EDGE, "ActiveState") == "active"
    assert inside.run("sh", "call.sh").returncode == 0
    assert inside.meter("status").returncode == 1
    told = inside.meter("start", "--quiet")
    assert told.returncode == 0 and "8081" in told.stderr and told.stdout == ""
    wait_for("the miss", lambda: inside.status()["metered_24h"]["missed"] == 1)

    slow = ("curl -sS --fail -m 60 -H 'content-type: application/json' -H 'x-sim-pace: 0.3' -d "
            f"""'{{"model":"gpt-5-mini","stream":true}}' {URL}""")
    process = inside.popen(f"{managers.BIN}/halton-meter", "run", "--", "sh", "-c", slow)
    wait_for("the call", lambda: len(inside.provider.ledger()) == 2, 20)
    assert inside.meter("restart").returncode == 0
    assert process.wait(60) == 0
    wait_for("its row", lambda: rows(inside) == 1, 20)


def test_killed_is_back(inside):
    """kill -9 of each, as systemd knows it: back and metering."""
    init(inside)
    for unit in (EDGE, DAEMON):
        before = inside.main_pid(unit)
        inside.kill(before, signal.SIGKILL)
        wait_for("another process", lambda: inside.main_pid(unit) not in (0, before), 30)
        wait_for("metering", lambda: inside.status()["verdict"] == "HEALTHY", 30)


def test_upgrade_in_place(inside):
    """New binaries under the same names: init sees that an old program runs, and restarts it."""
    for name in ("halton-meter", "halton-meter-edge", "halton-meter-interceptor"):
        inside.run("install", "-D", f"{managers.BIN}/{name}", f".local/bin/{name}", check=True)
    meter = f"{HOME}/.local/bin/halton-meter"
    assert inside.run(meter, "init").returncode == 0
    before = [inside.main_pid(unit) for unit in (EDGE, DAEMON)]
    for name in ("halton-meter-edge", "halton-meter-interceptor"):
        inside.run("install", f"{managers.BIN}/{name}", f".local/bin/{name}", check=True)
    assert inside.run(meter, "init").returncode == 0
    after = [inside.main_pid(unit) for unit in (EDGE, DAEMON)]
    assert before[0] != after[0] and before[1] != after[1]
    assert inside.status()["verdict"] == "HEALTHY"


BROKEN_INTERCEPTOR = """#!/usr/bin/python3
# Answers knocks and control requests as if it metered, and takes no call.
import os, socket, threading
run = os.environ["XDG_RUNTIME_DIR"] + "/halton-meter"
def serve(listener, answer):
    while True:
        client, _ = listener.accept()
        client.sendall(answer(client.recv(4096)))
        client.close()
os.makedirs(run, exist_ok=True)
if os.path.exists(run + "/daemon.sock"): os.unlink(run + "/daemon.sock")
control = socket.socket(socket.AF_UNIX); control.bind(run + "/daemon.sock"); control.listen()
door = socket.create_server(("127.0.0.1", 8090))
threading.Thread(target=serve, args=(control, lambda _: b"ok=1\\n"), daemon=True).start()
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\\0"))
serve(door, lambda head: b"HTTP/1.1 102 Processing\\r\\n\\r\\n"
      b"HTTP/1.1 200 OK\\r\\n\\r\\n" if b"knock." in head
      else b"HTTP/1.1 503 Full\\r\\n\\r\\n")
"""


def test_clean_with_a_failing_self_test(inside):
    """The self-test finds what looks healthy and does not meter; init says so, and with --clean
    the machine is as it was: files, services, environment."""
    for name in ("halton-meter", "halton-meter-edge"):
        inside.run("install", "-D", f"{managers.BIN}/{name}", f".local/bin/{name}", check=True)
    inside.write("~/.local/bin/halton-meter-interceptor", BROKEN_INTERCEPTOR, mode=0o755)
    inside.write("~/.bashrc", "alias ll='ls -l'")  # without a line end
    before, environment = tree(inside), inside.systemctl("show-environment")
    units = inside.systemctl("list-unit-files", "halton*", check=False)

    told = inside.run(f"{HOME}/.local/bin/halton-meter", "init", "--clean", "--apps")
    assert told.returncode == 1, told.stderr
    assert "[8/8]" in told.stderr and "What to do" in told.stderr
    assert tree(inside) == before
    assert inside.systemctl("show-environment") == environment
    assert inside.systemctl("list-unit-files", "halton*", check=False) == units
    assert not any("halton-meter-edge" in command for _, command in inside.processes())

    # Without --clean it stays, to be looked into.
    told = inside.run(f"{HOME}/.local/bin/halton-meter", "init", "--apps")
    assert told.returncode == 1 and inside.main_pid(EDGE) > 0


def test_clean_over_an_installation(inside):
    """What was installed and worked is there again when another try fails: mode, files, running
    services; the data of meanwhile stays."""
    for name in ("halton-meter", "halton-meter-edge", "halton-meter-interceptor"):
        inside.run("install", "-D", f"{managers.BIN}/{name}", f".local/bin/{name}", check=True)
    meter = f"{HOME}/.local/bin/halton-meter"
    inside.write("~/.bashrc", "alias ll='ls -l'\n")
    assert inside.run(meter, "init").returncode == 0
    data = tuple(f".halton-meter/{name}" for name in (
        "db.sqlite", "daemon.err", "edge.err", "daemon-ledger", "edge-ledger", "effective-ports"))
    data += (".local/bin",)
    before, environment = tree(inside, ignore=data), inside.systemctl("show-environment")
    assert inside.run(meter, "run", "--", "sh", "-c", CURL).returncode == 0
    wait_for("a row", lambda: rows(inside) == 1)

    good = f"{HOME}/.local/bin/halton-meter-interceptor"
    inside.run("mv", good, good + ".good", check=True)
    inside.write("~/.local/bin/halton-meter-interceptor", BROKEN_INTERCEPTOR, mode=0o755)
    told = inside.run(meter, "init", "--clean", "--apps")
    assert told.returncode == 1 and "as it was before" in told.stderr, told.stderr
    assert tree(inside, ignore=data) == before
    assert inside.systemctl("show-environment") == environment
    for unit in (EDGE, DAEMON):
        assert inside.property(unit, "UnitFileState") == "enabled"
    assert inside.main_pid(EDGE) > 0  # of the other one, the broken program was started
    inside.run("mv", good + ".good", good, check=True)
    assert inside.run(meter, "restart").returncode == 0
    status = inside.status()
    assert status["verdict"] == "HEALTHY" and status["install_mode"] == "env-only"
    assert rows(inside) == 1


def test_another_home_leaves_the_services_alone(inside):
    """HALTON_METER_HOME moves everything but the services: there is one pair of them for a user."""
    init(inside)
    told = inside.meter("init", environment={"HALTON_METER_HOME": "/home/meter/trial"})
    assert told.returncode == 1 and "/home/meter/.halton-meter" in told.stderr, told.stderr
    told = inside.meter("uninstall", "--purge", "--yes",
                        environment={"HALTON_METER_HOME": "/home/meter/trial"})
    assert "stay as they are" in told.stderr
    assert inside.status()["verdict"] == "HEALTHY"


def test_roots_and_ports_of_before(inside):
    """A CA file that was set before us becomes ca_file; a proxy at an earlier port of ours is no
    proxy of the user's."""
    inside.write("~/corporate.pem", inside.files("~/provider-ca.pem").read_text())
    config = inside.files("~/.halton-meter/config.toml")
    inside.write("~/.halton-meter/config.toml", "".join(
        line for line in config.read_text().splitlines(True) if not line.startswith("ca_file")),
        mode=0o600)
    told = init(inside, "--apps", environment={
        "NODE_EXTRA_CA_CERTS": "/home/meter/corporate.pem",
        "HTTPS_PROXY": "http://127.0.0.1:8099", "HALTON_METER_ENV_PORT": "8099"})
    assert "corporate.pem" in told, told
    assert 'ca_file = "/home/meter/corporate.pem"' in config.read_text()
    assert "8099" not in config.read_text()
    assert inside.run("bash", "-i", "-c", CURL).returncode == 0


def test_ports_in_use(inside):
    """A port that somebody holds: said by name and PID, the next one is taken and written down; a
    pinned one is used."""
    holder = inside.popen("python3", "-m", "http.server", "--bind", "127.0.0.1", "8081")
    wait_for("the holder", lambda: any("http.server" in command
                                       for _, command in inside.processes()))
    time.sleep(0.5)
    told = init(inside, "--apps")
    (pid,) = [pid for pid, command in inside.processes() if "http.server 8081" in command
              or "--bind" in command]
    assert f"python3 (PID {pid})" in told and "8081" in told, told
    ports = json.loads(inside.files("~/.halton-meter/effective-ports.json").read_text())
    assert ports["edge_port"] == 8082
    assert shell_environment(inside)["HTTPS_PROXY"] == "http://127.0.0.1:8082"
    inside.kill(pid)
    holder.wait(20)

    config = inside.files("~/.halton-meter/config.toml")
    inside.write("~/.halton-meter/config.toml", "[daemon]\nedge_port = 8181\ninternal_port = 8190\n"
                 "api_port = 8865\n" + config.read_text(), mode=0o600)
    assert inside.meter("restart").returncode == 0
    assert inside.status()["ports"] == {"edge": 8181, "internal": 8190, "api": 8865}
    assert shell_environment(inside)["HTTPS_PROXY"] == "http://127.0.0.1:8181"


def test_earlier_proxy_becomes_the_upstream(inside):
    """A proxy in the environment of init is the upstream proxy from then on; a shell that sets it
    is metered; a proxy that we do not know is left alone."""
    corporate = "http://user:secret@127.0.0.1:3128"
    file = inside.files("~/.halton-meter/config.toml")
    mended = file.read_text()
    inside.write("~/.halton-meter/config.toml", "[daemon\n" + mended, mode=0o600)
    told = init(inside, environment={"https_proxy": corporate})
    assert "could not be written to config.toml (config.toml:1: " in told and "mend that" in told
    assert file.read_text() == "[daemon\n" + mended, "a file with a fault is nobody's to add to"
    inside.write("~/.halton-meter/config.toml", mended, mode=0o600)
    told = init(inside, "--apps", environment={"https_proxy": corporate, "NO_PROXY": ".corp"})
    assert "upstream" in told and "secret" not in told
    text = inside.files("~/.halton-meter/config.toml").read_text()
    assert f'proxy = "{corporate}"' in text and '".corp"' in text
    assert text.count("[upstream]") == 1
    same = shell_environment(inside, environment={"https_proxy": corporate})
    assert same["https_proxy"] == "http://127.0.0.1:8081"
    other = shell_environment(inside, environment={"https_proxy": "http://10.0.0.1:8888"})
    assert other["https_proxy"] == "http://10.0.0.1:8888" and "SSL_CERT_FILE" not in other
    inside.systemctl("stop", EDGE)
    back = shell_environment(inside, environment=same)
    assert back["https_proxy"] == corporate


def test_logs(inside):
    """Events of both processes in order of time, of one, since when; -f shows what comes."""
    init(inside)
    everything = inside.meter("logs", "--since", "1h").stdout.splitlines()
    events = [json.loads(line) for line in everything]
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    names = {event["event"] for event in events}
    assert {"daemon.startup.ready", "edge.startup.ready", "edge.gate.opened"} <= names
    only = {json.loads(line)["event"] for line in inside.meter("logs", "edge").stdout.splitlines()}
    assert "edge.startup.ready" in only and "daemon.startup.ready" not in only
    assert inside.meter("logs", "--since", "0s").stdout == ""
    assert inside.meter("logs", "nonsense").returncode == 2
    following = inside.popen(f"{managers.BIN}/halton-meter", "logs", "-f", "daemon",
                             stdout=-1, text=True)
    inside.meter("stop")
    for line in following.stdout:
        if json.loads(line)["event"] == "daemon.exit":
            break
    for pid, command in inside.processes():
        if "logs -f" in command:
            inside.kill(pid)
    following.wait(20)


def test_setup_force_makes_a_new_ca(inside):
    """setup --force: another CA, the bundle with it, and the services use it at once."""
    init(inside)
    before = inside.files("~/.halton-meter/ca/ca-cert.pem").read_text()
    told = inside.meter("setup", "--force")
    assert told.returncode == 0, told.stderr
    after = inside.files("~/.halton-meter/ca/ca-cert.pem").read_text()
    assert after != before
    bundle = inside.files("~/.halton-meter/python/certifi/cacert.pem").read_text()
    assert after.strip() in bundle and before.strip() not in bundle
    assert inside.meter("run", "--", "sh", "-c", CURL).returncode == 0
    wait_for("a row", lambda: rows(inside) == 1)


def test_odd_letters_in_the_home(inside):
    """A home with letters that systemd and shells give a meaning to: the services run there, a
    shell of each kind is metered, and uninstall finds all of it."""
    home = f"{HOME}/q$x $$ 100% \\ \" ' ;/meter"
    moved = {"HALTON_METER_HOME": home}
    config = inside.files("~/.halton-meter/config.toml").read_text()
    for shell in (".bashrc", ".zshrc", ".config/fish/config.fish"):
        inside.write(f"~/{shell}", "# mine\n")
    inside.run("rm", "-r", ".halton-meter", check=True)
    inside.write(f"{home}/config.toml", config, mode=0o600)
    inside.files(home).chmod(0o700)
    ignore = ("q$x", ".local")  # fish makes the other
    before = tree(inside, ignore=ignore)
    init(inside, "--apps", environment=moved)
    assert inside.files(f"{home}/db.sqlite").exists()
    assert tree(inside, f"{HOME}/q$x $$ 100% \\ \" ' ;", ignore=("meter",)) == {}
    verify_units(inside, *(f"{HOME}/.config/systemd/user/{unit}" for unit in (EDGE, DAEMON)))
    told = inside.meter("doctor", environment=moved).stdout
    assert "both are there and current" in told, told
    session = inside.run("systemd-run", "--user", "--pipe", "--wait", "--quiet", "env").stdout
    assert f"PYTHONPATH={home}/python\n" in session, session
    assert f"SSL_CERT_FILE={home}/python/certifi/cacert.pem\n" in session, session
    for shell in ("bash", "zsh", "fish"):
        told = inside.run(shell, "-i", "-c", "env")
        # A shell without a terminal says so; what it says of our files would name one.
        assert "env." not in told.stderr and "halton" not in told.stderr, told.stderr
        assert "HTTPS_PROXY=http://127.0.0.1:8081" in told.stdout, (shell, told.stderr)
        assert f"PYTHONPATH={home}/python" in told.stdout, (shell, told.stdout)
        assert inside.run(shell, "-i", "-c", CURL).returncode == 0, shell
    told = inside.meter("uninstall", "--purge", "--include-logs", "--yes", "--now",
                        environment=moved)
    assert told.returncode == 0, told.stderr
    assert tree(inside, ignore=ignore) == before and not inside.files(home).exists()


def test_programs_in_an_odd_folder(inside):
    """The services run the programs from where init was run; quotes and backslashes there systemd
    refuses, all else not."""
    folder = f"{HOME}/q$x $$ 100% ;"
    inside.run("mkdir", folder, check=True)
    inside.run("sh", "-c", f'cp {managers.BIN}/* "$0"', folder, check=True)
    told = inside.run(f"{folder}/halton-meter", "init")
    assert told.returncode == 0, told.stderr
    verify_units(inside, *(f"{HOME}/.config/systemd/user/{unit}" for unit in (EDGE, DAEMON)))
    assert inside.meter("run", "--", "sh", "-c", CURL).returncode == 0
    told = inside.run(f"{folder}/halton-meter", "doctor")
    assert told.returncode == 0, told.stdout + told.stderr


def test_no_proxy_without_a_port(inside):
    """An edge that tells its port somewhere else: init says so, and writes no address with port 0
    into the session."""
    inside.write(f"~/.config/systemd/user/{EDGE}.d/elsewhere.conf",
                 f"[Service]\nEnvironment=HALTON_METER_HOME={HOME}/elsewhere\n")
    environment = inside.systemctl("show-environment")
    told = init(inside, "--apps", code=1)
    assert "the edge's port is not in" in told, told
    assert not inside.files("~/.config/environment.d").exists()
    assert inside.systemctl("show-environment") == environment


def test_a_start_file_that_leads_nowhere(inside):
    """A start file of a dotfile manager whose folder is not mounted: the link stays and the user
    is told the line; once the folder is there it is written through, and goes again."""
    inside.run("ln", "-s", "dotfiles/bashrc", ".bashrc", check=True)
    told = init(inside, "--apps")
    assert ".bashrc cannot be written" in told and "put this line into it yourself: if [ -r" in told
    assert inside.files("~/.bashrc").readlink() == pathlib.Path("dotfiles/bashrc")
    inside.run("mkdir", "dotfiles", check=True)
    init(inside, "--apps")
    assert "halton-meter" in inside.files("~/dotfiles/bashrc").read_text()
    assert inside.meter("uninstall", "--now").returncode == 0
    assert inside.files("~/.bashrc").readlink() == pathlib.Path("dotfiles/bashrc")
    assert not inside.files("~/dotfiles/bashrc").exists()
