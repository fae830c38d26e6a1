"""Fixtures: a throw-away authority, a simulated provider, and pairs of real processes.

Every test has a home and a run folder of its own, free ports, loopback only. When a test fails,
the logs of its processes are part of the report.
"""

import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import certificates  # noqa: E402
import pair as pairs  # noqa: E402
import scripted_origin  # noqa: E402
import simulated_provider  # noqa: E402
import small_disk as small_disks  # noqa: E402
import user_manager as managers  # noqa: E402


def pytest_collection_modifyitems(items):
    missing = [name for name in ("halton-meter", "halton-meter-edge", "halton-meter-interceptor")
               if not (pairs.BIN / name).exists()]
    if missing and items:
        raise pytest.UsageError(f"{', '.join(missing)} not in {pairs.BIN}; build first "
                                "(cmake --build --preset dev) or set HM_BIN_DIR")


CLOSING_WORDS = pytest.StashKey()


def pytest_configure(config):
    config.stash[CLOSING_WORDS] = []  # lines that a module wants at the end of the run


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash[CLOSING_WORDS]:
        terminalreporter.write_line(line)


SANITIZER_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                   "WARNING: ThreadSanitizer")


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """The CA that stands behind every simulated origin of the run."""
    return certificates.Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def provider(tmp_path):
    """A simulated Anthropic and OpenAI with its own CA and ledger."""
    server = simulated_provider.SimulatedProvider(tmp_path / "provider")
    yield server
    server.close()


@contextlib.contextmanager
def making_pairs(folder, failed):
    """Yields make(...) -> Pair; at the end all are killed, and searched for a sanitizer's words."""
    made = []

    def make(**arguments):
        made.append(pairs.Pair(folder / f"pair{len(made)}", **arguments))
        return made[-1]

    yield make
    for one in made:
        one.kill_all()
        if failed():
            print(f"\n=== {one.folder}\n{one.logs()}")
    found = [line for one in made for line in one.logs(whole=True).splitlines()
             if any(word in line for word in SANITIZER_WORDS)]
    assert found == [], "a sanitizer has found something"


@pytest.fixture
def make_pair(tmp_path, request):
    """make_pair(connect_to=..., ca_file=..., config=...) -> Pair, not started."""
    def failed():
        report = getattr(request.node, "report_of_call", None)
        return report is not None and report.failed

    with making_pairs(tmp_path, failed) as make:
        yield make


@pytest.fixture
def metered(make_pair, provider):
    """A started pair before the simulated provider."""
    return make_pair(connect_to=everywhere(provider.address), ca_file=provider.ca_file).start()


@pytest.fixture(scope="session")
def can_have_managers():
    """Skips, with the reason, where no user manager can be started."""
    if reason := managers.why_not():
        pytest.skip(reason)


@pytest.fixture
def manager(can_have_managers, request):
    """A real systemd user manager for a throw-away user, the binaries in /opt/halton-meter."""
    one = managers.UserManager(binaries=pairs.BIN)
    try:
        yield one.start()
        report = getattr(request.node, "report_of_call", None)
        if report is not None and report.failed:
            print(one.logs())
    finally:
        one.stop()


@pytest.fixture
def inside(manager, tmp_path):
    """The manager, with a simulated provider in its world that config.toml sends all hosts to."""
    with manager.network():
        server = simulated_provider.SimulatedProvider(tmp_path / "provider-inside")
    manager.provider = server
    manager.write("~/provider-ca.pem", pathlib.Path(server.ca_file).read_text())
    manager.write("~/.halton-meter/config.toml", "\n".join(
        ["[upstream]", f'ca_file = "{managers.HOME}/provider-ca.pem"', "[upstream.connect_to]",
         *(f'"{name}" = "{address}"' for name, address in everywhere(server.address).items())])
        + "\n", mode=0o600)
    manager.files("~/.halton-meter").chmod(0o700)
    yield manager
    server.close()


@pytest.fixture
def bare(can_have_managers, tmp_path, request):
    """A world without a user manager, as in a container; a provider is in it."""
    world = managers.UserManager(binaries=pairs.BIN).start(manager=False)
    try:
        with world.network():
            server = simulated_provider.SimulatedProvider(tmp_path / "provider")
        world.provider = server
        world.write("~/ca.pem", pathlib.Path(server.ca_file).read_text())
        hosts = "\n".join(f'"{name}" = "{address}"'
                          for name, address in everywhere(server.address).items())
        world.write("~/.halton-meter/config.toml",
                    f'[upstream]\nca_file = "{managers.HOME}/ca.pem"\n[upstream.connect_to]\n'
                    f"{hosts}\n", mode=0o600)
        world.files("~/.halton-meter").chmod(0o700)
        yield world
        report = getattr(request.node, "report_of_call", None)
        if report is not None and report.failed:
            print(world.logs())
        server.close()
    finally:
        world.stop()


@contextlib.contextmanager
def scripting(make_pair, authority):
    origins = []

    def make(handler, config="", start=True, **options):
        origin = scripted_origin.ScriptedOrigin(authority, handler, **options)
        origins.append(origin)
        one = make_pair(connect_to=everywhere(origin.address), ca_file=authority.cert,
                        config=config)
        return (one.start() if start else one), origin

    yield make
    for origin in origins:
        origin.close()


@pytest.fixture
def scripted(make_pair, authority):
    """scripted(handler, **origin options) -> (started pair, origin)."""
    with scripting(make_pair, authority) as make:
        yield make


@pytest.fixture(scope="module")
def shared_pair(tmp_path_factory, request):
    """As make_pair, but its pairs live as long as the module: for many short cases."""
    before = request.session.testsfailed
    with making_pairs(tmp_path_factory.mktemp("shared"),
                      lambda: request.session.testsfailed > before) as make:
        yield make


@pytest.fixture(scope="module")
def shared_scripted(shared_pair, authority):
    """As scripted, for as long as the module."""
    with scripting(shared_pair, authority) as make:
        yield make


def everywhere(address, ports=(443,)):
    """connect_to for all six hosts."""
    return {f"{host}:{port}": address for host in certificates.PROVIDER_HOSTS for port in ports}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.report_of_call = outcome.get_result()


@pytest.fixture
def small_disk(tmp_path):
    disk = small_disks.SmallDisk(tmp_path / "pair0" / "home")
    yield disk
    disk.close()
