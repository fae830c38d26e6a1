"""uninstall under a real systemd user manager: nothing is left, nobody is cut off."""

import pytest

import user_manager as managers
from installed import (CURL, EDGE, init, processes_named, rows, shell_environment, tree,
                       verify_units)
from pair import wait_for


def end_carrier(world, carrier):
    """The program that carried the edge's address ends, with what started it."""
    for pid in processes_named(world, "sleep 300"):
        world.kill(pid)
    carrier.wait(20)


def test_uninstall_leaves_nothing(inside):
    """Files, services, session and new shells are as before init --apps."""
    inside.write("~/.bashrc", "alias ll='ls -l'")
    inside.write("~/.zshrc", "# mine\n")
    config = inside.files("~/.halton-meter/config.toml").read_text()
    inside.run("rm", "-r", ".halton-meter", check=True)
    runtime = tree(inside, f"/run/user/{managers.UID}")
    before, environment = tree(inside), inside.systemctl("show-environment")
    inside.write("~/.halton-meter/config.toml", config, mode=0o600)
    init(inside, "--apps")
    assert shell_environment(inside)["HTTPS_PROXY"]
    assert inside.run("bash", "-i", "-c", CURL + " -H 'authorization: Bearer sk-x'").returncode == 0
    inside.run("sh", "-c", f"HTTPS_PROXY=http://127.0.0.1:8081 {CURL}")  # refuses our CA
    wait_for("the refusal's file", inside.files("~/.halton-meter/ca-refusals").exists, 20)
    told = inside.meter("uninstall", "--purge", "--yes", "--now")
    assert told.returncode == 0, told.stderr
    kept = {path.name for path in inside.files("~/.halton-meter").iterdir()}
    data = ("db.sqlite", "daemon.err.log", "edge.err.log", "spool", "key-print.secret",
            "daemon-ledger.", "edge-ledger.")
    assert "db.sqlite" in kept and "key-print.secret" in kept
    assert all(name.startswith(data) for name in kept), kept
    told = inside.meter("uninstall", "--purge", "--include-logs", "--yes", "--now")
    assert told.returncode == 0, told.stderr
    assert tree(inside) == before
    assert tree(inside, f"/run/user/{managers.UID}") == runtime
    assert inside.systemctl("show-environment") == environment
    assert not any("halton-meter" in command for _, command in inside.processes())
    assert inside.property(EDGE, "LoadState") == "not-found"


def test_uninstall_breaks_nobody(inside):
    """A running program that carries the edge's address goes on working: it is listed, the edge
    stays in pass-through, and goes with it. Data stays without --purge."""
    init(inside, "--apps")
    carrier = inside.popen("bash", "-i", "-c", "exec sleep 300")
    wait_for("the program", lambda: any(command == "sleep 300"
                                        for _, command in inside.processes()))
    (pid,) = [pid for pid, command in inside.processes() if command == "sleep 300"]
    inside.write("~/.halton-meter/mine.txt", "not a file of ours")
    told = inside.meter("uninstall", "--purge")
    assert told.returncode == 0, told.stderr
    assert f"sleep (PID {pid})" in told.stderr
    assert inside.files("~/.halton-meter/db.sqlite").exists()
    bundle = inside.files("~/.halton-meter/python/certifi/cacert.pem")
    assert bundle.exists()  # what the program trusts while it runs
    assert not inside.files("~/.halton-meter/env.sh").exists()
    assert not inside.files(f"~/.config/systemd/user/{EDGE}").exists()
    assert "HTTPS_PROXY" not in shell_environment(inside)
    call = f"HTTPS_PROXY=http://127.0.0.1:8081 {CURL} --cacert provider-ca.pem"
    assert inside.run("sh", "-c", call).returncode == 0
    edge = inside.main_pid(EDGE)
    inside.kill(edge)  # even now it is started again
    wait_for("the edge", lambda: inside.main_pid(EDGE) not in (0, edge), 20)
    inside.kill(pid)
    carrier.wait(20)
    wait_for("the edge's end", lambda: inside.main_pid(EDGE) == 0, 40)
    wait_for("the rest to go", lambda: not bundle.exists(), 40)
    wait_for("the CA to go", lambda: not inside.files("~/.halton-meter/ca").exists(), 40)
    assert inside.files("~/.halton-meter/db.sqlite").exists()  # --include-logs was not said
    assert inside.files("~/.halton-meter/mine.txt").exists()


@pytest.mark.parametrize("port", [8081, 8082])
def test_nothing_comes_back_with_an_edge_that_stays(inside, port):
    """An edge that stays after uninstall and crashes is started again on the same port, and makes
    nothing in the user's home: not where files of ours have to stay for the program that trusts
    them, not where somebody has removed the folder. With the program all of it goes."""
    runtime = tree(inside, f"/run/user/{managers.UID}", ignore=("systemd/generator",))
    if port != 8081:  # the next free one, when the usual one was taken
        holder = inside.popen("python3", "-m", "http.server", "--bind", "127.0.0.1", "8081")
        wait_for("the holder", lambda: inside.run("bash", "-c", ": </dev/tcp/127.0.0.1/8081"
                                                  ).returncode == 0)
    init(inside, "--apps")
    if port != 8081:  # the usual one is free again, and is not what the program carries
        for pid in processes_named(inside, "http.server"):
            inside.kill(pid)
        holder.wait(20)
    carrier = inside.popen("bash", "-i", "-c", "exec sleep 300")
    wait_for("the program", lambda: processes_named(inside, "sleep 300"))
    (pid,) = processes_named(inside, "sleep 300")
    call = f"HTTPS_PROXY=http://127.0.0.1:{port} {CURL} --cacert provider-ca.pem"
    told = inside.meter("uninstall", "--purge", "--include-logs", "--yes")
    assert told.returncode == 0 and f"sleep (PID {pid})" in told.stderr, told.stderr

    def crash():
        before = inside.main_pid(EDGE)
        for process in processes_named(inside, "halton-meter-edge"):
            inside.kill(process)
        wait_for("the edge", lambda: inside.main_pid(EDGE) not in (0, before), 20)
        wait_for("its port", lambda: inside.run("sh", "-c", call).returncode == 0, 20)

    verify_units(inside, f"/run/user/{managers.UID}/systemd/user/{EDGE}")
    kept = set(tree(inside, "~/.halton-meter"))
    assert "python/certifi/cacert.pem" in kept
    crash()
    assert set(tree(inside, "~/.halton-meter")) <= kept
    inside.run("rm", "-rf", ".halton-meter", check=True)
    before = tree(inside)
    crash()
    crash()
    assert tree(inside) == before and not inside.files("~/.halton-meter").exists()
    assert inside.property(EDGE, "LoadState") == "loaded"

    inside.kill(pid)
    carrier.wait(20)
    wait_for("the edge's end", lambda: not processes_named(inside, "halton-meter"), 40)
    assert tree(inside) == before
    assert tree(inside, f"/run/user/{managers.UID}", ignore=("systemd/generator",)) == runtime
    assert list(inside.files("/dev/shm").iterdir()) == []
    assert inside.property(EDGE, "LoadState") == "not-found"


def test_installed_again_while_the_edge_stays(inside):
    """init while the edge of before is still there for somebody: it is the service's again, with
    the user's home; the other way, uninstall --now ends it at once."""
    init(inside, "--apps")
    carrier = inside.popen("bash", "-i", "-c", "exec sleep 300")
    wait_for("the program", lambda: processes_named(inside, "sleep 300"))
    everything = ("--purge", "--include-logs", "--yes")
    temporary = inside.files(f"/run/user/{managers.UID}/halton-meter/edge-that-stays")
    for again in (True, False):
        assert inside.meter("uninstall", *everything).returncode == 0
        before = inside.main_pid(EDGE)
        for process in processes_named(inside, "halton-meter-edge"):
            inside.kill(process)
        wait_for("the edge", lambda: inside.main_pid(EDGE) not in (0, before), 20)
        wait_for("its home", temporary.exists, 20)
        if again:
            init(inside, "--apps")
            assert inside.status()["verdict"] == "HEALTHY"
            assert not temporary.exists()
            assert inside.meter("run", "--", "sh", "-c", CURL).returncode == 0
            wait_for("a row", lambda: rows(inside) == 1)
            # Who waited to take away the rest has nothing to take away any more.
            end_carrier(inside, carrier)
            wait_for("its end", lambda: not processes_named(inside, "--when-unused"), 40)
            assert inside.status()["verdict"] == "HEALTHY" and rows(inside) == 1
            carrier = inside.popen("bash", "-i", "-c", "exec sleep 300")
            wait_for("the program", lambda: processes_named(inside, "sleep 300"))
    assert inside.meter("uninstall", "--now").returncode == 0
    assert not processes_named(inside, "halton-meter-edge") and not temporary.exists()
    end_carrier(inside, carrier)


def test_a_home_that_cannot_be_read(inside):
    """Left to root by a sudo: uninstall says so and what to do, and does not claim to be done."""
    init(inside)
    inside.run("chown", "root:root", f"{managers.HOME}/.halton-meter", root=True, check=True)
    everything = ("uninstall", "--purge", "--include-logs", "--yes", "--now")
    told = inside.meter(*everything)
    assert told.returncode == 1, told.stderr
    assert "cannot be read (Permission denied)" in told.stderr, told.stderr
    assert "sudo chown -R" in told.stderr and "is uninstalled" not in told.stderr, told.stderr
    inside.run("chown", "meter:meter", f"{managers.HOME}/.halton-meter", root=True, check=True)
    told = inside.meter(*everything)
    assert told.returncode == 0, told.stderr
    assert not inside.files("~/.halton-meter").exists()


def test_the_waiter_asks_like_anybody(bare):
    """--when-unused is no way around the question before the database goes."""
    bare.write("~/.halton-meter/db.sqlite", "precious")
    told = bare.meter("uninstall", "--when-unused", "999999", "--purge", "--include-logs")
    assert told.returncode == 2 and "add --yes" in told.stderr, told.stderr
    assert bare.files("~/.halton-meter/db.sqlite").read_text() == "precious"


def test_what_came_after_uninstall_stays(inside):
    """A home that `run` used while the edge stayed for a program keeps the new calls and the new
    configuration when that program ends; the edge goes."""
    config = inside.files("~/.halton-meter/config.toml").read_text()
    init(inside)
    carrier = inside.popen("sleep", "300", environment={"HTTPS_PROXY": "http://127.0.0.1:8081"})
    wait_for("the program", lambda: processes_named(inside, "sleep 300"))
    told = inside.meter("uninstall", "--purge", "--include-logs", "--yes")
    assert told.returncode == 0 and "sleep (PID" in told.stderr, told.stderr
    inside.write("~/.halton-meter/config.toml", config, mode=0o600)
    assert inside.meter("run", "--", "sh", "-c", CURL).returncode == 0
    wait_for("a row", lambda: rows(inside) == 1)
    end_carrier(inside, carrier)
    wait_for("the waiter's end", lambda: not processes_named(inside, "--when-unused"), 40)
    assert rows(inside) == 1
    assert inside.files("~/.halton-meter/config.toml").read_text() == config
    assert not processes_named(inside, "halton-meter-edge")


def test_a_pair_started_again_goes_on(bare):
    """Without units: what was started again after uninstall is nobody's to end."""
    assert bare.meter("start", "--detach", "--quiet").returncode == 0
    carrier = bare.popen("sleep", "300", environment={"HTTPS_PROXY": "http://127.0.0.1:8081"})
    wait_for("the program", lambda: processes_named(bare, "sleep 300"))
    told = bare.meter("uninstall", "--purge", "--include-logs", "--yes")
    assert told.returncode == 0 and "sleep (PID" in told.stderr, told.stderr
    told = bare.meter("restart")
    assert told.returncode == 0, told.stderr
    assert bare.meter("run", "--", "sh", "-c", CURL).returncode == 0
    wait_for("a row", lambda: rows(bare) == 1)
    end_carrier(bare, carrier)
    wait_for("the waiter's end", lambda: not processes_named(bare, "--when-unused"), 40)
    assert rows(bare) == 1 and bare.status()["verdict"] == "HEALTHY"
