"""What is measured of Halton Meter alone: exact rows, start times, memory, commands, sizes."""

import json
import os
import socket
import statistics
import subprocess
import time

import pair as pairs
import peers
import world as worlds


def wait_rows(pair, count):
    pairs.wait_for(f"{count} rows", lambda: pair.database.query(
        "SELECT count(*) AS rows FROM requests")[0]["rows"] >= count, 120, 0.2)


def rows_exact(world, count):
    """`count` calls over 20 connections; every row must be there, and the sums right."""
    pair = world.pair("exact")
    through = ["--way", "connect", "--dial", pair.edge_port, "--target", f"{worlds.NAME}:443"]
    result = world.load("calls", "--connections", 20, "--count", count, *through)
    wait_rows(pair, count)
    sums = pair.database.query("SELECT count(*) AS rows, sum(input_tokens) AS input, "
                               "sum(output_tokens) AS output FROM requests")[0]
    pair.stop()
    return {"calls_per_s": result["calls_per_s"], "calls": count, "rows": sums["rows"],
            "exact": [*sums.values()] == [count, 500 * count, 100 * count]}


def fill(world, home, rows):
    """A database of `rows` calls, written by the writer alone: {"rows_per_s": N}."""
    result = subprocess.run(worlds.pinned(world.cpu, world.bin / "bench_rows", home, rows),
                            capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def writer(world, rows):
    home = world.folder / "writer"
    home.mkdir(mode=0o700)
    return fill(world, home, rows), home


def timed(world, command, environment, repeat, check=True):
    """Median milliseconds of a command, from before its fork until it was waited for."""
    samples = []
    with worlds.on_core(world.cpu):
        for _ in range(repeat):
            begun = time.perf_counter()
            subprocess.run(command, env=environment, capture_output=True, check=check)
            samples.append((time.perf_counter() - begun) * 1000)
    return statistics.median(samples)


def report_over(world, home, repeat=5):
    """`report` over the database that bench_rows wrote."""
    environment = pairs.clean_environment(home)
    command = [pairs.BIN / "halton-meter", "report", "--since", "3650", "--json"]
    return {"report_ms": timed(world, command, environment, repeat)}


def _wait_connected(port, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return time.monotonic()
        time.sleep(0.0003)
    raise AssertionError(f"nobody listens on port {port}")


def start_times(world, repeat=11):
    """From the start of the process until its port accepts; of the interceptor also until a call
    through both has been metered."""
    ports = [peers.free_port() for _ in range(3)]
    config = (f"[daemon]\nedge_port = {ports[0]}\ninternal_port = {ports[1]}\n"
              f"api_port = {ports[2]}\n")
    through = ["--way", "connect", "--dial", ports[0], "--target", f"{worlds.NAME}:443"]
    series = {"edge_listening_ms": [], "interceptor_listening_ms": [], "first_metered_call_ms": []}
    for number in range(repeat + 1):
        pair = worlds.PinnedPair(world.folder / "start", world.cpu,
                                 {f"{worlds.NAME}:443": f"127.0.0.1:{world.tls}"},
                                 world.authority.cert, config)
        try:
            begun = time.monotonic()
            pair.edge = pair.spawn_pinned("halton-meter-edge")
            edge = _wait_connected(ports[0]) - begun
            time.sleep(0.1)  # it has looked for the interceptor in vain
            begun = time.monotonic()
            pair.interceptor = pair.spawn_pinned("halton-meter-interceptor")
            interceptor = _wait_connected(ports[1]) - begun
            pairs.wait_for("gate open", lambda: pair.edge_status().get("gate") == "open", 20, 0.001)
            world.load("once", *through)
            first = time.monotonic() - begun
            pair.stop()
        finally:
            pair.kill_all()
        if number > 0:  # the first start makes CA and database
            for name, value in zip(series, (edge, interceptor, first)):
                series[name].append(value * 1000)
    rows = pair.database.query("SELECT count(*) AS rows FROM requests")[0]["rows"]
    if rows != repeat + 1:
        raise AssertionError(f"{repeat + 1} first calls, {rows} rows")
    return {name: statistics.median(values) for name, values in series.items()}


def run_overhead(world, repeat=10):
    """What `run` with a pair of its own adds to a command that does nothing."""
    home = world.folder / "run-home"
    home.mkdir(mode=0o700)
    environment = pairs.clean_environment(home)
    command = [pairs.BIN / "halton-meter", "run", "--quiet", "--", "true"]
    timed(world, command, environment, 2)  # makes CA and database
    plain = timed(world, ["true"], environment, repeat)
    return {"run_adds_ms": timed(world, command, environment, repeat) - plain}


def status_time(world, repeat=15):
    pair = world.pair("status")
    environment = pairs.clean_environment(pair.home, {"XDG_RUNTIME_DIR": ""})
    command = [pairs.BIN / "halton-meter", "status", "--json"]
    # Exit code 1 is fine: no units are installed here.
    status_ms = timed(world, command, environment, repeat, check=False)
    pair.stop()
    return {"status_ms": status_ms}


def _held(world, pair, connections, tls):
    """KiB that `connections` idle ones cost each process."""
    target = f"{worlds.NAME}:443" if tls else f"127.0.0.1:{world.echo}"
    before = _memory(pair)
    load = subprocess.Popen(
        worlds.pinned(world.cpu, world.bin / "bench_load", "idle", "--way", "connect", "--dial",
                      pair.edge_port, "--target", target, "--connections", connections,
                      "--tls", int(tls)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert load.stdout.readline().strip() == "ready"
    time.sleep(1)
    after = _memory(pair)
    load.stdin.close()
    load.wait(timeout=60)
    return {name: (after[name] - before[name]) / connections for name in before}


def _memory(pair):
    return {"edge": worlds.memory_kib(pair.edge.pid),
            "interceptor": worlds.memory_kib(pair.interceptor.pid)}


REST_S = 1.5  # half a second after the last row what the calls took is given back


def memory(world, many_calls):
    config = "[intercept]\nmax_sessions = 2000\n"
    pair = world.pair("memory", config)
    time.sleep(2)  # what a start needs once is given back
    idle = _memory(pair)
    through = ["--way", "connect", "--dial", pair.edge_port, "--target", f"{worlds.NAME}:443"]
    world.load("calls", "--connections", 20, "--count", 1000, *through)
    wait_rows(pair, 1000)
    after_1000 = _memory(pair)
    time.sleep(REST_S)
    rested_1000 = _memory(pair)
    world.load("calls", "--connections", 20, "--count", many_calls - 1000, *through)
    wait_rows(pair, many_calls)
    after_many = _memory(pair)
    time.sleep(REST_S)
    rested_many = _memory(pair)
    pair.stop()
    held = {}
    for name, connections, tls in (("raw", 1000, False), ("metered", 500, True)):
        pair = world.pair(f"memory-{name}", config)  # nothing freed lies about that could be reused
        held[name] = _held(world, pair, connections, tls)
        pair.stop()
    figures = {}
    for name in idle:
        figures |= {f"{name}_idle_mib": idle[name] / 1024,
                    f"{name}_after_1000_mib": after_1000[name] / 1024,
                    f"{name}_after_{many_calls}_mib": after_many[name] / 1024,
                    f"{name}_growth": after_many[name] / after_1000[name],
                    f"{name}_rested_mib": rested_many[name] / 1024,
                    f"{name}_rested_growth": rested_many[name] / rested_1000[name]}
    return figures | {"raw_tunnel_kib": held["raw"]["edge"],
                      "metered_edge_kib": held["metered"]["edge"],
                      "metered_interceptor_kib": held["metered"]["interceptor"]}


def sizes():
    return {name: os.path.getsize(pairs.BIN / name) / 1048576 for name in
            ("halton-meter-edge", "halton-meter-interceptor", "halton-meter")}
