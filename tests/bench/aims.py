"""What we aim at, each against the figures of one run, and the whole as Markdown for docs/performance.md."""

OURS, FLOOR, MITM = "halton-meter", "bare relay", "mitmdump"


def _ratio(table, figure, other):
    base = table[other][figure]
    return table[OURS][figure] / base if base > 0 else 0.0


def _times(value):
    return f"{value:.2f} times" if value >= 0.1 else f"1/{1 / value:.0f}" if value > 0 else "0"


def _raw_rtt(table):
    ours = table[OURS]["added_us"]
    haproxy, floor = (_ratio(table, "added_us", name) for name in ("haproxy", FLOOR))
    yield ("round trip of 64 bytes through a raw tunnel, added: not above HAProxy's",
           f"{ours:.1f} us, {_times(haproxy)} HAProxy's", haproxy <= 1)
    yield ("the same: at most 1.2 times the bare relay's", _times(floor), floor <= 1.2)


def _raw_throughput(table):
    for way in ("down", "up"):
        ratio = _ratio(table, way, "haproxy")
        yield (f"raw tunnel throughput {way}: not below HAProxy's",
               f"{table[OURS][way]:,.0f} MiB/s, {_times(ratio)} HAProxy's", ratio >= 1)


def _metered_request(table):
    ours, mitm = table[OURS]["added_us"], _ratio(table, "added_us", MITM)
    yield ("metered request on a kept connection, added: at most 100 us", f"{ours:.0f} us",
           ours <= 100)
    yield ("the same: under 1/15 of mitmdump's", _times(mitm), mitm < 1 / 15)


def _metered_connection(table):
    mitm = _ratio(table, "added_us", MITM)
    nginx, haproxy = (_ratio(table, "added_us", name) for name in ("nginx", "haproxy"))
    yield ("metered new connection, added: under 1/8 of mitmdump's",
           f"{table[OURS]['added_us']:.0f} us, {_times(mitm)}", mitm < 1 / 8)
    yield ("the same: at most 1.5 times nginx's or HAProxy's",
           f"{_times(nginx)} nginx's, {_times(haproxy)} HAProxy's", min(nginx, haproxy) <= 1.5)


def _stream(table):
    first, event = table[OURS]["first_added_us"], table[OURS]["event_added_us"]
    yield ("stream: first event at most 1 ms later than direct", f"{first:.0f} us", first <= 1000)
    yield ("stream: each event at most 60 us later", f"{event:.0f} us", event <= 60)


def _many_streams(table):
    late = table[OURS]["late"]
    yield ("500 streams of 50 events a second on one core: every event on time",
           f"{late:,.0f} of 50,000 late; median {table[OURS]['event_us']:,.0f} us", late == 0)


def _rows(figures):
    yield ("calls a second on one core, every row written and exact",
           f"{figures['calls_per_s']:,.0f} a second; {figures['rows']:,} of "
           f"{figures['calls']:,} rows, sums {'exact' if figures['exact'] else 'WRONG'}",
           figures["exact"])


def _writer(figures):
    yield ("rows a second of the writer alone: 100,000", f"{figures['rows_per_s']:,.0f}",
           figures["rows_per_s"] >= 100_000)
    yield ("`report` over 1,000,000 rows: under 1 s",
           f"{figures['report_ms'] / 1000:.2f} s over {figures['rows']:,}",
           figures["report_ms"] < 1000 and figures["rows"] >= 1_000_000)


def _start(figures):
    for name, text, most in (
            ("edge_listening_ms", "edge, start to listening: 10 ms", 10),
            ("first_metered_call_ms", "interceptor, start to its first metered call: 50 ms", 50),
            ("run_adds_ms", "`run` with its own pair adds under 100 ms to the command", 100),
            ("status_ms", "`status`: under 20 ms", 20)):
        yield text, f"{figures[name]:.1f} ms", figures[name] <= most


def _memory(figures):
    for name, text, most in (
            ("edge_idle_mib", "memory, edge idle: 3 MiB", 3),
            ("interceptor_idle_mib", "memory, interceptor idle: 15 MiB", 15)):
        yield text, f"{figures[name]:.1f} MiB", figures[name] <= most
    metered = figures["metered_edge_kib"] + figures["metered_interceptor_kib"]
    yield ("memory, each idle metered connection: 100 KiB", f"{metered:.1f} KiB in both",
           metered <= 100)
    raw = figures["raw_tunnel_kib"]
    yield "memory, each raw tunnel: 4 KiB", f"{raw:.1f} KiB", raw <= 4
    for name in ("edge", "interceptor"):
        for what, text in (
                ("growth", f"memory of the {name} after 100,000 calls: within 10 % of after 1,000"),
                ("rested_growth", "the same, each 1.5 s after the last call")):
            growth = figures[f"{name}_{what}"]
            yield text, f"{growth - 1:+.1%}", growth <= 1.1


BY_MEASUREMENT = {"raw_rtt": _raw_rtt, "raw_throughput": _raw_throughput,
                  "metered_request": _metered_request, "metered_connection": _metered_connection,
                  "stream": _stream, "many_streams": _many_streams, "rows": _rows,
                  "writer": _writer, "start": _start, "memory": _memory}


def judged(results):
    """(aim, measured, reached) of everything that was measured."""
    return [line for name, lines in BY_MEASUREMENT.items() if name in results
            for line in lines(results[name])]


def _number(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _markdown_table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def markdown(results, titles):
    """All tables of a run. titles: {measurement: one sentence}."""
    lines = [f"Run of {results['date']}: {results['machine']}; {results['rounds']} rounds"
             + (f", at {results['scale']} of the usual length" if results["scale"] != 1 else "")
             + ".", "", "### Every aim", ""]
    lines += _markdown_table(("aim", "measured", "reached"),
                             ((aim, measured, "yes" if reached else "**no**")
                              for aim, measured, reached in judged(results)))
    lines += ["", "### Every figure"]
    for name, title in titles.items():
        if name not in results:
            continue
        table = results[name]
        lines += ["", f"**{name}**: {title}", ""]
        if isinstance(next(iter(table.values())), dict):
            figures = list(next(iter(table.values())))
            lines += _markdown_table(
                ("", *figures), ((peer, *(_number(values[one]) for one in figures))
                                 for peer, values in table.items()))
        else:
            lines += _markdown_table(("figure", "value"), ((figure, _number(value))
                                                           for figure, value in table.items()))
    return "\n".join(lines) + "\n"
