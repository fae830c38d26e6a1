"""How cost grows with connections, body size and rows: three series, each drawn as a small SVG."""

import pathlib

import own_measures
import plots


def connections(world, say):
    points = []
    for count in (1, 10, 50, 100, 200, 400):
        pair = world.pair(f"connections-{count}", "[intercept]\nmax_sessions = 1000\n")
        result = world.load("calls", "--way", "connect", "--dial", pair.edge_port, "--target",
                            "api.openai.com:443", "--connections", count, "--count", 4000)
        pair.stop()
        points.append((count, 1e6 / result["calls_per_s"]))
        say(f"  {count:>6} connections   {points[-1][1]:>10.1f} us a call")
    return points


def body_size(world, say):
    points = []
    pair = world.pair("bodies")
    for mib in (1, 4, 16, 64, 256):
        result = world.load("down", "--way", "connect", "--dial", pair.edge_port, "--target",
                            f"127.0.0.1:{world.bulk}", "--bytes", mib * 1048576)
        points.append((mib, mib / result["mib_per_s"] * 1000))
        say(f"  {mib:>6} MiB raw       {points[-1][1]:>10.1f} ms")
    pair.stop()
    return points


def rows(world, scale, say, writer):
    points = []
    for count in (1000, 10_000, int(100_000 * min(scale * 10, 1))):
        folder = world.folder / f"rows-{count}"
        folder.mkdir(mode=0o700)
        own_measures.fill(world, folder, count)
        points.append((count, own_measures.report_over(world, folder)["report_ms"]))
    if writer:  # its database is a larger one
        points.append((writer["rows"], writer["report_ms"]))
    for count, milliseconds in points:
        say(f"  {count:>9} rows       {milliseconds:>10.1f} ms for report")
    return points


def run(world, scale, folder, say, writer=None):
    """writer: the figures of that measurement, when it was made."""
    say("... growth")
    series = {"connections": connections(world, say), "body_size": body_size(world, say),
              "rows": rows(world, scale, say, writer)}
    if folder:
        target = pathlib.Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, x, y in (("connections", "connections at once", "us a call"),
                           ("body_size", "MiB through a raw tunnel", "ms"),
                           ("rows", "rows in the database", "ms for report")):
            (target / f"{name}.svg").write_text(plots.line_plot(series[name], x, y))
        say(f"  plots are in {folder}")
    return series
