"""An installation under a real user manager, as the tests of init and uninstall see it."""

import hashlib
import json

import user_manager as managers

EDGE, DAEMON = "halton-meter-edge.service", "halton-meter.service"
URL = "https://api.openai.com/v1/chat/completions"
CURL = f"""curl -sS --fail -m 20 -H 'content-type: application/json' -d '{{"model":"gpt-5-mini"}}' {URL}"""
HOME = managers.HOME


def init(manager, *flags, code=0, **more):
    told = manager.meter("init", *flags, **more)
    assert told.returncode == code, told.stdout + told.stderr
    return told.stderr


def rows(manager):
    told = manager.meter("report", "--json")
    return json.loads(told.stdout)["totals"]["requests"] if told.stdout else 0


def verify_units(manager, *files):
    """systemd itself has nothing to say against them, as they were written for this user."""
    told = manager.run("systemd-analyze", "--user", "verify", "--recursive-errors=no", *files)
    assert told.returncode == 0 and "halton-meter" not in told.stderr, told.stderr


def tree(manager, top="~", ignore=()):
    """Every file below: name, type, mode and content (of links: where they lead)."""
    found = {}
    root = manager.files(top)
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if any(name.startswith(word) for word in ignore):
            continue
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_file():
            found[name] = (oct(path.stat().st_mode), hashlib.sha256(path.read_bytes()).hexdigest())
        else:
            found[name] = (oct(path.stat().st_mode), "")
    return found


def shell_environment(manager, shell="bash", **more):
    """The environment of a new interactive shell."""
    told = manager.run(shell, "-i", "-c", "env", **more)
    return dict(line.split("=", 1) for line in told.stdout.splitlines() if "=" in line)


def processes_named(manager, name):
    return [pid for pid, command in manager.processes() if name in command]
