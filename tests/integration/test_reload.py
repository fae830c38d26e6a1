"""`halton-meter reload`: config.toml taken up by running processes, without a restart."""

import pathlib
import re
import urllib.request

import calls
import control
from pair import wait_for
from scripted_origin import ScriptedOrigin

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/config.md"


def reload(pair, *words, code=0):
    told = pair.command("reload")
    assert told.returncode == code, told.stderr
    for word in words:
        assert word in told.stderr, told.stderr
    return told.stderr


def start(pair):
    pair.run_dir = pair.home / "run"  # where the command looks
    pair.run_dir.mkdir(mode=0o700)
    pair.start()


def pids(pair):
    return pair.edge_status()["pid"], pair.interceptor_status()["pid"]


def warnings(pair, name):
    answer = control.ask(pair.run_dir / f"{name}.sock", "status", timeout=10)
    return "\n".join(line for line in answer.splitlines() if line.startswith("config.warning"))


def test_an_edit_takes_effect_by_reload(make_pair, authority):
    def answers(tokens):
        return calls.answering(calls.response_bytes(calls.chat_answer(tokens, 1)))

    with ScriptedOrigin(authority, answers(11)) as first, \
            ScriptedOrigin(authority, answers(22)) as second:
        pair = make_pair(connect_to={"api.openai.com:443": first.address}, ca_file=authority.cert)
        start(pair)
        running = pids(pair)
        with pair.connect("api.openai.com") as wire:
            assert calls.post(wire).status == 200
        reload(pair, "says what is in force")

        # Another origin, a host more, a louder log, a page of another origin, smaller limits.
        pair.write_config({"api.openai.com:443": second.address,
                           "llm.house.test:443": second.address}, authority.cert, """
[log]
level = "debug"
[cors]
allow_origins = ["http://localhost:4000"]
[edge]
max_connections = 16
[intercept]
max_sessions = 16
[[provider]]
name = "house"
host = "llm.house.test"
shape = "openai"
""")
        reload(pair, "Taken up:", "upstream.connect_to", "log.level", "cors.allow_origins",
               "edge.max_connections", "intercept.max_sessions", "[[provider]]")
        with pair.connect("api.openai.com") as wire:
            assert calls.post(wire).status == 200
        assert sorted(row["input_tokens"] for row in pair.rows(2)) == [11, 22]
        wait_for("a line at level debug", lambda: '"level":"debug"' in pair.logs(whole=True))
        request = urllib.request.Request(f"http://127.0.0.1:{pair.ports()['api_port']}/health",
                                         headers={"Origin": "http://localhost:4000"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:4000"
        # The host is known to both processes; its CA is older, which is said and counted.
        assert "setup --force" in warnings(pair, "daemon")
        pair.tunnel("llm.house.test").close()
        pair.misses("ca_does_not_cover")

        # What needs a restart is named, by reload and by status.
        text = (pair.home / "config.toml").read_text()
        (pair.home / "config.toml").write_text("[daemon]\nedge_port = 18081\n" + text)
        assert "Taken up" not in reload(pair, "Needs halton-meter restart", "daemon.edge_port")
        for name in ("edge", "daemon"):
            assert "halton-meter restart" in warnings(pair, name)

        # A fault: nothing is taken up, the line is named, and calls go on.
        for bad, line in (("[log]\nlevel = 7\n", 2), ("[log\n", 1)):
            (pair.home / "config.toml").write_text(bad + "[upstream.connect_to]\n")
            told = reload(pair, f"config.toml:{line}: ", "what was in force stays", code=1)
            assert told.count("config.toml:") == 1, told
            assert f"config.toml:{line}: " in warnings(pair, "edge")
            with pair.connect("api.openai.com") as wire:
                assert calls.post(wire).status == 200
        # An unknown key is none, and everything is as it was when the text is.
        (pair.home / "config.toml").write_text("[log]\ncolour = 7\n" + text.replace("[log]\n", ""))
        reload(pair)
        assert "colour" in warnings(pair, "edge") and "restart" not in warnings(pair, "edge")
        assert pids(pair) == running
        assert len(pair.rows(4)) == 4
        assert set(pair.database.miss_reasons()) == {"ca_does_not_cover"}


def test_the_roots_of_origins_are_read_again(make_pair, authority):
    """A file of roots that was wrong at the start: its calls go raw until it is mended."""
    with ScriptedOrigin(authority, calls.answering(*calls.numbered(1))) as origin:
        pair = make_pair(connect_to={"api.openai.com:443": origin.address})
        start(pair)
        with pair.connect("api.openai.com", trust=authority.cert) as wire:
            assert calls.post(wire).status == 200
        pair.misses("origin_unverified")
        pair.write_config({"api.openai.com:443": origin.address}, authority.cert)
        reload(pair, "upstream.ca_file")
        with pair.connect("api.openai.com") as wire:
            assert calls.post(wire).status == 200
        pair.rows(1)
        pair.write_config({"api.openai.com:443": origin.address}, "/nowhere.pem")
        reload(pair, "cannot be read; the roots from before stay", code=1)
        with pair.connect("api.openai.com") as wire:
            assert calls.post(wire).status == 200
        pair.rows(2)


def test_how_much_of_a_body_is_read(make_pair, authority):
    large = calls.response_bytes(calls.chat_answer(10, 1, filler="x" * 2_000_000))
    with ScriptedOrigin(authority, calls.answering(large, large)) as origin:
        pair = make_pair(connect_to={"api.openai.com:443": origin.address}, ca_file=authority.cert)
        start(pair)
        with pair.connect("api.openai.com") as wire:
            assert calls.post(wire).status == 200
            assert pair.rows(1)[0]["tokens_complete"] == 1
            pair.write_config({"api.openai.com:443": origin.address}, authority.cert,
                              "[intercept]\ndecoded_limit_mib = 1")
            reload(pair, "intercept.decoded_limit_mib")
            assert calls.post(wire).status == 200
        assert sorted(row["tokens_complete"] for row in pair.rows(2)) == [0, 1]


def test_a_fault_in_the_rates(make_pair):
    """The rates from before stay, and reload and status say so until it is mended."""
    pair = make_pair()
    start(pair)
    file = pair.home / "rates.toml"
    file.write_text("[[rate]\n")
    told = reload(pair, "rates.toml:1:", "the rates from before stay in force", "pricing check",
                  code=1)
    assert "is read again" not in told
    assert "rates.toml:1:" in warnings(pair, "daemon")
    assert "rates from before stay" in pair.command("status").stdout
    file.unlink()
    reload(pair, "rates.toml is read again")
    assert warnings(pair, "daemon") == ""


def test_env_takes_no_proxy_away(make_pair):
    """A shell whose proxy the edge does not use keeps it: past it the providers may be out of reach."""
    pair = make_pair()
    start(pair)
    (pair.home / "effective-ports.json").symlink_to(pair.run_dir / "effective-ports.json")
    proxied = {"HTTPS_PROXY": "http://proxy.corp.test:3128"}
    told = pair.command("env", "--shell", "sh", environment=proxied)
    assert (told.returncode, told.stdout) == (1, "")
    assert "a proxy that the edge does not use" in told.stderr and "What to do: " in told.stderr
    ours = {"HTTPS_PROXY": f"http://127.0.0.1:{pair.edge_port}"}
    for environment in ({}, ours):
        told = pair.command("env", "--shell", "sh", environment=environment)
        assert told.returncode == 0 and f"127.0.0.1:{pair.edge_port}" in told.stdout
    (pair.home / "config.toml").write_text('[upstream]\nproxy = "http://proxy.corp.test:3128"\n')
    told = pair.command("env", "--shell", "sh", environment=proxied)
    assert told.returncode == 0 and f"127.0.0.1:{pair.edge_port}" in told.stdout


def test_without_running_processes(make_pair):
    pair = make_pair()
    reload(pair, "does not answer", "What to do: halton-meter start", code=1)


def test_the_page_says_which_keys_need_a_restart():
    rows = re.findall(r"^\| `([a-z_.]+)` .*\| `(reload|restart)` \|$", PAGE.read_text(), re.M)
    assert {key for key, how in rows if how == "restart"} == {
        "daemon.edge_port", "daemon.internal_port", "daemon.api_port"}
