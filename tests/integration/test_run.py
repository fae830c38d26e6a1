"""`halton-meter run`, `report` and `status`: the commands a user types, end to end."""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

import database
import pair as pairs
from conftest import everywhere

URL = "https://api.openai.com/v1/chat/completions"
BODY = '{"model":"gpt-5-mini","messages":[{"role":"user","content":"hello"}]}'
CURL = ["curl", "-sS", "--fail", "-H", "content-type: application/json", "-d", BODY, URL]


@pytest.fixture
def home(make_pair, provider):
    """A configured home; nothing runs in it."""
    return make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file)


def processes_of(home):
    """Names of the processes that live with this home."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if f"HALTON_METER_HOME={home.home}".encode() in (entry / "environ").read_bytes():
                found.append((entry / "comm").read_text().strip())
        except OSError:
            pass
    return found


@pytest.mark.smoke
def test_run_starts_its_own_pair(home, provider):
    """Nothing is installed or running: run brings its own pair, the row has the project, and both
    processes are gone afterwards."""
    told = home.command("run", "--project", "demo", "--", *CURL)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["model"] == "gpt-5-mini"
    (row,), (line,) = home.rows(1), provider.ledger()
    assert database.row_key(row) == database.ledger_key(line)
    assert row["slug"] == "demo"
    pairs.wait_for("the pair's end", lambda: processes_of(home) == [], 15)


@pytest.mark.parametrize("child,code", [
    (["true"], 0), (["false"], 1), (["sh", "-c", "exit 42"], 42),
    (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM), (["/no/such/program"], 127)])
def test_exit_code_of_the_child(home, child, code):
    """The child's own code, or 128 + signal, or 127 as a shell says."""
    assert home.command("run", "--quiet", "--", *child).returncode == code


def test_options_after_the_dashes_belong_to_the_child(home):
    """--help and friends of the child are not ours; stdin, stdout and stderr are the child's."""
    told = subprocess.run(
        [pairs.BIN / "halton-meter", "run", "--", "sh", "-c",
         "cat; echo err >&2; echo \"$@\"", "sh", "--help", "--json"], input="in",
        env=pairs.clean_environment(home.home), capture_output=True, text=True, timeout=60)
    assert told.stdout == "in--help --json\n"
    assert "err" in told.stderr


def test_usage_errors(home):
    """No command, or an unknown option: 2."""
    assert home.command("run").returncode == 2
    assert home.command("run", "--no-such-option", "--", "true").returncode == 2
    assert home.command("no-such-command").returncode == 2


def test_environment_of_the_child(home):
    """The variables of decisions.md, both spellings of the proxy, and a proxy for nobody local."""
    told = home.command("run", "--quiet", "--", "env")
    variables = dict(line.split("=", 1) for line in told.stdout.splitlines() if "=" in line)
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        assert variables[name].startswith("http://127.0.0.1:")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO",
                 "AWS_CA_BUNDLE"):
        assert variables[name].endswith("/certifi/cacert.pem")
        assert pathlib.Path(variables[name]).read_text().count("BEGIN CERTIFICATE") > 1
    # The configuration names roots of the user's own: clients that add to theirs get these, too.
    assert variables["NODE_EXTRA_CA_CERTS"] == variables["SSL_CERT_FILE"]
    assert variables["PYTHONPATH"].split(":")[0] == str(home.home / "python")
    for name in ("localhost", "127.0.0.1", "::1"):
        assert name in variables["NO_PROXY"]


def test_certifi_is_ours_in_any_python(home):
    """The check of decisions.md: import certifi finds our bundle, our CA is in it exactly once."""
    told = home.command("run", "--quiet", "--", sys.executable, "-c",
                        "import certifi; print(certifi.where())")
    assert told.returncode == 0, told.stderr
    text = pathlib.Path(told.stdout.strip()).read_text()
    assert text.count("halton-meter mitmproxy CA cert appended") == 1


def test_run_uses_a_pair_that_answers(home, provider):
    """With a pair already there (its usual run folder), run sends its calls through it."""
    home.run_dir = home.home / "run"
    home.run_dir.mkdir(mode=0o700, exist_ok=True)
    home.start_interceptor()
    home.start_edge()
    pairs.wait_for("gate", lambda: home.edge_status().get("gate") == "open")
    shutil.copy(home.run_dir / "effective-ports.json", home.home / "effective-ports.json")
    told = home.command("run", "--project", "shared", "--", "sh", "-c", "echo $HTTPS_PROXY")
    assert told.stdout.strip().endswith(f":{home.edge_port}"), told.stdout + told.stderr


def test_project_from_environment_and_folder(home, provider, tmp_path):
    """HALTON_PROJECT wins, then .haltonrc, then the git root's name, then the folder's."""
    git = tmp_path / "repository" / "deep"
    git.mkdir(parents=True)
    (tmp_path / "repository" / ".git").mkdir()
    plain = tmp_path / "folder-alone"
    plain.mkdir()
    marked = tmp_path / "marked"
    marked.mkdir()
    (marked / ".haltonrc").write_text('# ours\nproject = "from-rc"\nbody_capture = off\n')
    for cwd, environment in ((git, {}), (plain, {}), (marked, {}),
                             (marked, {"HALTON_PROJECT": "from-env"})):
        told = home.command("run", "--quiet", "--", *CURL, cwd=cwd, environment=environment)
        assert told.returncode == 0, told.stderr
    slugs = [row["slug"] for row in home.rows(4)]
    assert slugs == ["repository", "folder-alone", "from-rc", "from-env"]


def test_killed_run_leaves_the_command_its_pair(home, provider):
    """kill -9 of `run` itself: its command, still alive, keeps a working pair; when the command has
    ended, edge and interceptor go too."""
    script = f"sleep 2; curl -sS --fail -d '{BODY}' {URL}"
    process = subprocess.Popen([pairs.BIN / "halton-meter", "run", "--", "sh", "-c", script],
                               env=pairs.clean_environment(home.home), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pairs.wait_for("the command", lambda: "sleep" in processes_of(home), 20)
    process.kill()
    process.wait()
    home.rows(1, 20)
    assert len(provider.ledger()) == 1
    pairs.wait_for("the pair's end", lambda: processes_of(home) == [], 20)


def test_first_run_is_quick(home):
    """CA, bundle, both processes, child, orderly end: within seconds (generous bound)."""
    begun = time.monotonic()
    assert home.command("run", "--quiet", "--", "true").returncode == 0
    assert time.monotonic() - begun < 8 * pairs.SLOW


@pytest.mark.smoke
def test_report_equals_the_ledger(home, provider):
    """Everything stopped: report --json, --csv and the table agree with the provider's ledger."""
    bodies = [BODY, '{"model":"gpt-5","stream":true,"stream_options":{"include_usage":true}}']
    for project in ("alpha", "beta"):
        for body in bodies:
            command = [*CURL[:-2], body, URL]
            assert home.command("run", "--quiet", "--project", project, "--",
                                *command).returncode == 0
    ledger = provider.ledger()
    told = home.command("report", "--json")
    assert told.returncode == 0, told.stderr
    totals = json.loads(told.stdout)["totals"]
    assert totals["requests"] == len(ledger) == 4
    for column in ("input_tokens", "output_tokens", "thinking_tokens", "cache_read_tokens"):
        assert totals[column] == sum(line[column] for line in ledger), column
    rows = home.database.requests()
    assert int(totals["cost_pico_usd"]) == sum(row["cost_pico_usd"] for row in rows) > 0

    one = json.loads(home.command("report", "--json", "--project", "alpha").stdout)
    assert one["totals"]["requests"] == 2
    table = home.command("report").stdout
    for word in ("alpha", "beta", "gpt-5-mini", "openai"):
        assert word in table
    csv = home.command("report", "--csv").stdout
    assert "," in csv and "alpha" in csv
    assert home.command("report", "--since", "1h").returncode == 0
    assert home.command("report", "--since", "nonsense").returncode == 2


def test_report_of_an_empty_home(home):
    """Nothing was ever metered: a friendly answer, no stack of errors."""
    told = home.command("report")
    assert told.returncode in (0, 1)
    assert "Traceback" not in told.stderr and told.stdout + told.stderr
    assert home.command("status").returncode == 1


def test_cost_is_exact(home, provider):
    """Figures times the card's rates, in pico-USD, computed here independently."""
    rates = {"gpt-5-mini": {"input": 250_000, "cache_read": 25_000, "output": 2_000_000},
             "claude-sonnet-4-5": {"input": 3_000_000, "cache_read": 300_000,
                                   "cache_write_5m": 3_750_000, "cache_write_1h": 6_000_000,
                                   "output": 15_000_000}}
    script = f"""
for n in 1 2 3 4 5 6 7 8; do
  curl -sS --fail -d '{{"model":"gpt-5-mini"}}' {URL}
  curl -sS --fail -d '{{"model":"claude-sonnet-4-5"}}' https://api.anthropic.com/v1/messages
done"""
    assert home.command("run", "--quiet", "--", "sh", "-c", script).returncode == 0
    rows = home.rows(16)
    for row in rows:
        expected = sum(rate * (row[f"{bucket}_tokens"] or 0)
                       for bucket, rate in rates[row["model"]].items())
        assert row["cost_pico_usd"] == expected, dict(row)


def test_unknown_model_is_unpriced(home):
    """No guess: the cost is null, the tokens are there, the report says so."""
    command = ["curl", "-sS", "-d", '{"model":"gpt-from-the-future-17"}', URL]
    assert home.command("run", "--quiet", "--", *command).returncode == 0
    (row,) = home.rows(1)
    assert row["cost_pico_usd"] is None and row["input_tokens"] > 0
    assert "unpriced" in home.command("report").stdout.lower()


def test_version():
    """--version is one line with the program's name and a version."""
    told = subprocess.run([pairs.BIN / "halton-meter", "--version"], capture_output=True, text=True)
    assert told.returncode == 0 and told.stdout.startswith("halton-meter ")
