"""What is measured, side by side. Every measurement returns {peer name: {figure: value}}.

Within a round the peers take turns; a figure is the median of the rounds, and what a proxy adds is
its figure minus the direct one of the same round.
"""

import statistics


def rounds_of(peers, rounds, once):
    """once(peer) -> {figure: number}, every peer in every round."""
    series = {peer.name: {} for peer in peers}
    for number in range(rounds):
        # Another order each time: nobody is always measured after the same neighbour.
        turn = number % len(peers)
        for peer in peers[turn:] + peers[:turn]:
            for figure, value in once(peer).items():
                series[peer.name].setdefault(figure, []).append(value)
    return series


def medians(series):
    return {name: {figure: statistics.median(values) for figure, values in figures.items()}
            for name, figures in series.items()}


def with_added(series, figure, added):
    """The medians, and `added`: the figure minus the direct one, round by round."""
    table = medians(series)
    direct = series["direct"][figure]
    for name, figures in series.items():
        table[name][added] = statistics.median(
            value - base for value, base in zip(figures[figure], direct))
    return table


class Measures:
    def __init__(self, world, raw, metered, rounds, scale):
        self.world, self.raw, self.metered, self.rounds = world, raw, metered, rounds
        self.scale = scale

    def _count(self, usual):
        return max(20, int(usual * self.scale))

    def raw_rtt(self):
        """64 bytes to and fro through a raw tunnel."""
        def once(peer):
            result = self.world.load("rtt", "--count", self._count(20_000),
                                     *peer.raw(self.world.echo))
            return {"rtt_us": result["rtt_us"]["median"], "p99_us": result["rtt_us"]["p99"]}
        return with_added(rounds_of(self.raw, self.rounds, once), "rtt_us", "added_us")

    def raw_throughput(self):
        """Mebibytes a second through a raw tunnel, downwards and upwards."""
        size = int(256 * 1048576 * min(1.0, self.scale))

        def once(peer):
            return {mode: self.world.load(mode, "--bytes", size,
                                          *peer.raw(self.world.bulk))["mib_per_s"]
                    for mode in ("down", "up")}
        return medians(rounds_of(self.raw, self.rounds, once))

    def metered_request(self):
        """A request on a connection that is kept: 2 KB up, 2 KB down."""
        def once(peer):
            result = self.world.load("keep", "--count", self._count(2000 * peer.share),
                                     *peer.metered())
            return {"request_us": result["request_us"]["median"],
                    "p99_us": result["request_us"]["p99"]}
        return with_added(rounds_of(self.metered, self.rounds, once), "request_us", "added_us")

    def metered_connection(self):
        """A new connection: CONNECT, both handshakes, one request; nobody keeps one to the provider."""
        def once(peer):
            result = self.world.load("fresh", "--count", self._count(200 * peer.share), *peer.fresh())
            return {"connection_us": result["connection_us"]["median"],
                    "p99_us": result["connection_us"]["p99"]}
        return with_added(rounds_of(self.metered, self.rounds, once), "connection_us", "added_us")

    def stream(self):
        """One stream: how late its first event and every event arrive."""
        def once(peer):
            result = self.world.load("stream", "--count", 10, "--events", 25, "--interval-us",
                                     10_000, *peer.metered())
            return {"first_us": result["first_event_us"]["median"],
                    "event_us": result["event_delay_us"]["median"],
                    "event_p99_us": result["event_delay_us"]["p99"]}
        series = rounds_of(self.metered, self.rounds, once)
        table = with_added(series, "first_us", "first_added_us")
        for name, figures in with_added(series, "event_us", "event_added_us").items():
            table[name]["event_added_us"] = figures["event_added_us"]
        return table

    def many_streams(self):
        """500 streams of 50 events a second at once. Late: after the next one was due."""
        peers = [peer for peer in self.metered if peer.name != "mitmdump"]

        def once(peer):
            result = self.world.load("streams", "--connections", 500, "--events", 100,
                                     "--interval-us", 20_000, *peer.metered())
            delay = result["event_delay_us"]
            return {"event_us": delay["median"], "p99_us": delay["p99"], "max_us": delay["max"],
                    "late": result["late"]}
        return medians(rounds_of(peers, max(1, self.rounds // 2), once))

    def calls(self):
        """Calls a second over 20 connections."""
        def once(peer):
            result = self.world.load("calls", "--connections", 20, "--count",
                                     self._count(10_000 * peer.share), *peer.metered())
            return {"calls_per_s": result["calls_per_s"]}
        return medians(rounds_of(self.metered, self.rounds, once))
