"""What tests of the store do to an interceptor, and when its rows are safe."""

import signal
import time

import pair as pairs

# What had ended longer ago than this must survive kill -9. The program promises 100 ms on a machine
# that has time for it.
PROMISE = 0.1


def store(pair):
    status = pair.interceptor_status()
    return {key.removeprefix("store."): value for key, value in status.items()
            if key.startswith("store.")}


def wait_safe(pair):
    """Rows may be in the spool, none in memory alone: from here on a kill loses nothing. Polled
    only because the machine may be slow; a call's row is pushed just after its answer's last byte."""
    time.sleep(PROMISE * pairs.SLOW)
    pairs.wait_for("rows out of memory", lambda: store(pair)["in_memory"] == "0")


def rows_are(pair, expected, seconds=20):
    """Exactly so many, each call once, and none comes later."""
    rows = pair.rows(expected, seconds)
    pairs.wait_for("nothing waits", lambda: store(pair)["queue"] == "0", seconds)
    rows = pair.database.requests()
    assert len(rows) == expected
    assert len({row["call_id"] for row in rows}) == expected
    assert pair.database.query("PRAGMA integrity_check") == [{"integrity_check": "ok"}]


def kill(pair):
    pair.signal(pair.interceptor, signal.SIGKILL)


def again(pair):
    """A new interceptor, and the edge sends its calls there: not to where the old one was."""
    pair.start_interceptor()
    port = pair.interceptor_status()["internal_port"]

    def known():
        status = pair.edge_status()
        return status["gate"] == "open" and status["internal_port"] == port
    pairs.wait_for("the new interceptor is known", known, 20)
