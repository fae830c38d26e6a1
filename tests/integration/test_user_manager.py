"""The two units under a real systemd user manager."""

import pathlib
import signal

import pytest

import pair as pairs
import user_manager as managers
from pair import wait_for

EDGE, DAEMON = "halton-meter-edge.service", "halton-meter.service"


@pytest.fixture
def units(manager):
    """The unit files of the repository in the user's folder, the binaries where they name them."""
    manager.install_units()
    return manager


def metering(manager):
    return manager.status()["edge"]["gate"] == "open"


def test_units_verify(units):
    """systemd's own checker has nothing to say about them."""
    told = units.run("systemd-analyze", "--user", "verify", "--recursive-errors=no",
                     f".config/systemd/user/{EDGE}", f".config/systemd/user/{DAEMON}")
    assert told.returncode == 0 and "halton-meter" not in told.stderr, told.stderr


@pytest.mark.parametrize("unit", [EDGE, DAEMON])
def test_killed_comes_back(units, unit):
    """Both reach READY=1; kill -9, and the manager starts it again; calls are metered again."""
    units.systemctl("start", EDGE, DAEMON)
    wait_for("the gate", lambda: metering(units), 20)
    before = units.main_pid(unit)
    assert before > 0
    units.kill(before, signal.SIGKILL)
    wait_for("another process", lambda: units.main_pid(unit) not in (0, before), 30)
    wait_for("the gate", lambda: metering(units), 30)
    assert units.property(unit, "NRestarts") == "1"


def test_nothing_is_left(can_have_managers):
    """The rig itself: when it stops, its processes and control groups are gone."""
    with managers.UserManager(binaries=pairs.BIN) as manager:
        manager.run("systemd-run", "--user", "sleep", "1000", check=True)
        name = manager.name
        inside = [path for mount in managers.cgroup_mounts() for path in (mount / name).rglob("*")]
        assert inside != []
    assert not any((mount / name).exists() for mount in managers.cgroup_mounts())
    commands = [path.read_bytes() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")
                if path.exists()]
    assert not any(name.encode() in command for command in commands)
