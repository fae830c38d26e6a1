"""Without systemd: `start --foreground` and `--detach` keep the pair running in the same way."""

import json
import signal

import pytest

import certificates
import pair as pairs
import simulated_provider
import user_manager as managers
from pair import wait_for

URL = "https://api.openai.com/v1/chat/completions"
CURL = f"""curl -sS --fail -m 20 -H 'content-type: application/json' -d '{{"model":"gpt-5-mini"}}' {URL}"""


@pytest.fixture
def bare(can_have_managers, tmp_path):
    """A world without a user manager, as in a container; a provider is in it."""
    world = managers.UserManager(binaries=pairs.BIN).start(manager=False)
    try:
        with world.network():
            server = simulated_provider.SimulatedProvider(tmp_path / "provider")
        world.provider = server
        world.write("~/ca.pem", open(server.ca_file).read())
        hosts = "\n".join(f'"{host}:443" = "{server.address}"'
                          for host in certificates.PROVIDER_HOSTS)
        world.write("~/.halton-meter/config.toml",
                    f'[upstream]\nca_file = "{managers.HOME}/ca.pem"\n[upstream.connect_to]\n'
                    f"{hosts}\n", mode=0o600)
        yield world
        server.close()
    finally:
        world.stop()


def pid_of(world, name):
    """The oldest process of that name; 0: there is none."""
    found = [pid for pid, command in world.processes() if command.split()[0].endswith(name)
             or f"{name} start --foreground" in command]
    return min(found, default=0)


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
    assert not bare.files("~/.config").exists()


@pytest.mark.parametrize("folder", [{}, {"XDG_RUNTIME_DIR": None}])
def test_detached_pair_lives(bare, folder):
    """--detach: healthy and metering; kill -9 of each: started again; restart, stop and start as
    with systemd; SIGTERM ends everything in order."""
    told = bare.meter("start", "--detach", "--quiet", environment=folder)
    assert told.returncode == 0, told.stderr
    assert bare.meter("run", "--", "sh", "-c", CURL).returncode == 0
    assert bare.meter("start", "--detach").returncode == 1  # there is one already
    for name in ("halton-meter-edge", "halton-meter-interceptor"):
        before = pid_of(bare, name)
        bare.kill(before)
        wait_for("another process", lambda: pid_of(bare, name) not in (0, before), 20)
        wait_for("metering", lambda: healthy(bare), 20)
        assert bare.meter("run", "--", "sh", "-c", CURL).returncode == 0

    assert bare.meter("stop").returncode == 0
    assert pid_of(bare, "halton-meter-interceptor") == 0 != pid_of(bare, "halton-meter-edge")
    assert bare.meter("start", "--quiet").returncode == 0
    before = pid_of(bare, "halton-meter-interceptor")
    assert bare.meter("restart").returncode == 0
    assert pid_of(bare, "halton-meter-interceptor") not in (0, before)

    bare.kill(pid_of(bare, "halton-meter"), signal.SIGTERM)
    wait_for("the end", lambda: not any("halton-meter" in command
                                        for _, command in bare.processes()), 30)
    assert json.loads(bare.meter("report", "--json").stdout)["totals"]["requests"] == 3


def test_uninstall_ends_it(bare):
    """uninstall --purge --include-logs --now of a supervised pair leaves nothing."""
    bare.meter("start", "--detach", check=True)
    told = bare.meter("uninstall", "--purge", "--include-logs", "--yes", "--now")
    assert told.returncode == 0, told.stderr
    assert not any("halton-meter" in command for _, command in bare.processes())
    assert not bare.files("~/.halton-meter").exists()
