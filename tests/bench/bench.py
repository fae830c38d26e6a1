#!/usr/bin/env python3
"""Runs the measurements of scripts/bench and prints them as tables: bench.py --bin FOLDER [NAME...]"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import sys
import tempfile

import aims

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- written by scripts/bench --write-docs -->", "<!-- end of what it writes -->"

COMPARED = ("raw_rtt", "raw_throughput", "metered_request", "metered_connection", "stream",
            "many_streams", "calls")
OWN = ("rows", "writer", "start", "memory", "sizes")
CURVES = ("growth",)
TITLES = {
    "raw_rtt": "64 bytes to and fro through a raw tunnel",
    "raw_throughput": "MiB a second through a raw tunnel",
    "metered_request": "a request on a connection that is kept, 2 KB up, 2 KB down",
    "metered_connection": "a new connection: CONNECT, both handshakes, one request",
    "stream": "one stream of events: how late the first and each one arrive",
    "many_streams": "500 streams of 50 events a second at once",
    "calls": "calls a second over 20 connections",
    "rows": "20 connections through ours, then every row compared",
    "writer": "the store alone, and `report` over what it wrote",
    "start": "from the start of a process, and what commands take",
    "memory": "proportional set size (PSS)",
    "sizes": "of the binaries"}


def say(text=""):
    print(text, flush=True)


def number(value):
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def print_table(name, what, table):
    say(f"\n{name}: {what}")
    figures = list(next(iter(table.values())))
    wide = max(len(peer) for peer in table)
    say("  " + " " * wide + "".join(f"{figure:>20}" for figure in figures))
    for peer, values in table.items():
        say(f"  {peer:<{wide}}" + "".join(f"{number(values[figure]):>20}" for figure in figures))


def compared(world, names, rounds, scale, results):
    import measures
    import peers
    started = {}

    def ready(kinds):
        for kind in kinds:
            if kind not in started:
                peer = kind(world)
                peer.start()
                started[kind] = peer
        return [started[kind] for kind in kinds]

    raw = ready(peers.RAW) if {"raw_rtt", "raw_throughput"} & set(names) else []
    metered = ready(peers.METERED) if set(names) - {"raw_rtt", "raw_throughput"} else []
    run = measures.Measures(world, raw, metered, rounds, scale)
    for name in names:
        measure = getattr(run, name)
        say(f"... {name}")
        results[name] = measure()
        print_table(name, measure.__doc__.split("\n")[0], results[name])


def own(world, names, scale, results):
    import own_measures
    for name in names:
        say(f"... {name}")
        if name == "rows":
            figures = own_measures.rows_exact(world, int(20_000 * scale))
        elif name == "writer":
            million = int(1_000_000 * scale)
            figures, home = own_measures.writer(world, million)
            figures |= {"rows": million} | own_measures.report_over(world, home)
        elif name == "start":
            figures = (own_measures.start_times(world) | own_measures.run_overhead(world)
                       | own_measures.status_time(world))
        elif name == "memory":
            figures = own_measures.memory(world, int(100_000 * scale))
        else:
            figures = {f"{binary} MiB": size for binary, size in own_measures.sizes().items()}
        results[name] = figures
        say(f"\n{name}")
        for figure, value in figures.items():
            say(f"  {figure:<36}{number(value):>12}")


def write_page(results):
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise SystemExit(f"{PAGE} lacks the lines between which the tables go")
    PAGE.write_text(f"{before}{BEGIN}\n\n{aims.markdown(results, TITLES)}\n{END}{after}")
    say(f"Written into {PAGE}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--json", help="keep the figures in this file")
    parser.add_argument("--plots", help="folder for the plots (measurement 'growth')")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1: shorter, rougher")
    parser.add_argument("--write-docs", action="store_true",
                        help="everything, into docs/performance.md and docs/performance/")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.write_docs:
        if options.names:
            parser.error("--write-docs measures everything")
        options.plots = options.plots or PAGE.with_suffix("")
        options.json = options.json or PAGE.with_suffix("") / "results.json"
        PAGE.with_suffix("").mkdir(exist_ok=True)
    known = (*COMPARED, *OWN, *CURVES)
    names = options.names or list(known)
    if strangers := [name for name in names if name not in known]:
        say(f"Unknown: {', '.join(strangers)}. Known: {', '.join(known)}")
        return 2
    os.environ["HM_BIN_DIR"] = options.bin
    import world as worlds

    folder = pathlib.Path(tempfile.mkdtemp(prefix="halton-meter-bench-"))
    folder.chmod(0o711)  # squid gives up root and still wants its own folder in here
    cpus = os.sched_getaffinity(0)
    cpu = max(cpus)
    os.sched_setaffinity(0, cpus - {cpu} or cpus)  # who only watches keeps out of the way
    results = {"date": datetime.date.today().isoformat(), "rounds": options.rounds,
               "scale": options.scale, "machine": f"{platform.system()} {platform.machine()}, "
               f"{os.cpu_count()} cores, everything on core {cpu}"}
    say(f"{results['machine']}; {options.rounds} rounds")
    world = worlds.World(folder, options.bin, cpu)
    try:
        compared(world, [name for name in COMPARED if name in names], options.rounds,
                 options.scale, results)
        own(world, [name for name in OWN if name in names], options.scale, results)
        if "growth" in names:
            import growth
            results["growth"] = growth.run(world, options.scale, options.plots, say,
                                           results.get("writer"))
    except Exception:
        log = (folder / "processes.log").read_text(errors="replace")[-4000:]
        say(f"A measurement failed; the processes said:\n{log}")
        raise
    finally:
        world.close()
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
    say("\nEvery aim of what was measured:")
    for aim, measured, reached in aims.judged(results):
        say(f"  {'yes' if reached else 'NO ':<4} {aim}: {measured}")
    if options.write_docs:
        write_page(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
