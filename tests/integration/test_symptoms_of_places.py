"""Symptoms of the troubleshooting page: no systemd, a full disk, a user manager that has died."""

import user_manager as managers
from pair import wait_for
from symptoms import (ROOT, do, examine, finds, install_binaries, is_well, meter, metered, symptom)


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
