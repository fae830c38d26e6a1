"""Every golden sample through the real processes, over each transport that can carry it.

One pair of processes per transport: a scripted origin replays the sample's answer, a client sends its
request through the edge, the rows are compared with expected.json field by field, and both ends must
have seen the same bytes.
"""

import dataclasses

import pytest

import golden
import h2_peer
import pair as pairs
import replay

SAMPLES = golden.load_all()
CALLS = [sample for sample in SAMPLES if not sample.is_socket]
SOCKETS = [sample for sample in SAMPLES if sample.is_socket]


@dataclasses.dataclass
class Room:
    """A pair, its origin, and how many rows the tests have taken so far."""

    alpn: tuple
    replay: replay.Replay
    pair: pairs.Pair
    origin: object
    seen: int = 0
    in_step: bool = True

    def connect(self, host):
        if not self.in_step:  # a test before this one failed; that is no reason for this one to
            self.seen = len(self.pair.database.requests())
        self.in_step = False
        wire = self.pair.connect(host, alpn=self.alpn)
        wire.record, wire.record_sent = bytearray(), bytearray()
        return wire

    def finish(self, wire, sample):
        """Ends the connection, each end having read all of the other; the bytes are the same."""
        if sample.end == "reset" and self.alpn != ("h2",):
            assert wire.recv_all() == b"" and wire.eof == "reset"
        elif sample.end == "client_abort" and self.alpn != ("h2",):
            wire.reset()
        else:
            if wire.eof is None and sample.end == "eof_early":
                wire.recv_all()
                assert wire.eof == "close_notify"
            wire.half_close()
            wire.recv_all()
        session = self.origin.sessions[-1]
        assert session.done.wait(20 * pairs.SLOW) and session.error is None, session.error
        assert session.received == wire.record_sent
        assert session.sent == wire.record

    def rows(self, count):
        """The rows since the last time, waited for."""
        def new():
            return self.pair.database.query(
                "SELECT * FROM requests ORDER BY rowid LIMIT -1 OFFSET ?", self.seen)
        pairs.wait_for(f"{count} new rows", lambda: len(new()) >= count)
        rows = new()
        self.seen += len(rows)
        self.in_step = True
        assert self.pair.database.misses() == []
        return rows


def make_room(shared_scripted, alpn, framing="sized"):
    handler = replay.Replay(framing)
    pair, origin = shared_scripted(handler, alpn=alpn)
    return Room(alpn, handler, pair, origin)


ROOMS = {"h1": (("http/1.1",), "sized"), "h1-to-the-end": (("http/1.1",), "close"),
         "h2": (("h2",), "sized")}


@pytest.fixture(scope="module", params=ROOMS)
def call_room(request, shared_scripted):
    yield make_room(shared_scripted, *ROOMS[request.param])


@pytest.fixture(scope="module", params=["h1", "h1-deflate", "h2", "h2-deflate"])
def socket_room(request, shared_scripted):
    """The room, and whether the client offers compression."""
    transport, _, deflate = request.param.partition("-")
    yield make_room(shared_scripted, *ROOMS[transport]), bool(deflate)


@pytest.mark.parametrize("sample", CALLS, ids=lambda sample: sample.name)
def test_call(call_room, sample):
    room = call_room
    with room.connect(sample.host) as wire:
        if wire.alpn == "h2":
            peer = h2_peer.Peer(wire, client=True)
            replay.read_h2(peer, replay.ask_h2(peer, sample), sample, room.replay)
        else:
            replay.exchange_h1(wire, sample, room.replay)
        room.finish(wire, sample)
    rows = room.rows(len(sample.expected))
    golden.check_rows(room.pair.database, rows, sample)
    for row in rows:
        assert row["transport"] == ("h2" if room.alpn == ("h2",) else "h1")
        assert row["http_status"] == sample.meta["http_status"]
    if len(rows) == 1:
        assert (row["bytes_up"], row["bytes_down"]) == (len(sample.request), len(sample.response))


@pytest.mark.parametrize("sample", SOCKETS, ids=lambda sample: sample.name)
def test_socket(socket_room, sample):
    room, deflate = socket_room
    with room.connect(sample.host) as wire:
        if wire.alpn == "h2":
            replay.talk_h2(h2_peer.Peer(wire, client=True), sample, deflate)
        else:
            replay.talk_h1(wire, sample, deflate)
        room.finish(wire, sample)
    rows = room.rows(len(sample.expected))
    golden.check_rows(room.pair.database, rows, sample)
    assert all(row["transport"] == "ws" and row["bytes_down"] > 0 for row in rows)
    assert rows[0]["bytes_up"] > 0  # a realtime turn may be the origin's own idea


@pytest.mark.parametrize("alpn", [("http/1.1",), ("h2",)], ids=["h1", "h2"])
@pytest.mark.parametrize("host", sorted({sample.host for sample in CALLS}))
def test_all_on_one_connection(scripted, host, alpn):
    """All samples of a host: one after the other over HTTP/1.1, all at once as HTTP/2 streams."""
    samples = [sample for sample in CALLS if sample.host == host and sample.end == "complete"]
    handler = replay.Replay()
    pair, origin = scripted(handler, alpn=alpn)
    room = Room(alpn, handler, pair, origin)
    with room.connect(host) as wire:
        if alpn == ("h2",):
            peer = h2_peer.Peer(wire, client=True)
            asked = [(replay.ask_h2(peer, sample), sample) for sample in samples]
            for stream, sample in asked:
                replay.read_h2(peer, stream, sample, handler)
        else:
            for sample in samples:
                replay.exchange_h1(wire, sample, handler)
        room.finish(wire, samples[0])
    rows = room.rows(sum(len(sample.expected) for sample in samples))
    for sample in samples:  # answered in the order in which they were asked
        golden.check_rows(pair.database, rows[:len(sample.expected)], sample)
        del rows[:len(sample.expected)]
    assert rows == []


def test_no_row_more(call_room):
    """Behind all others: nothing came late."""
    call_room.pair.stop()
    assert len(call_room.pair.database.requests()) == call_room.seen
