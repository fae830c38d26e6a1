"""HTTP/2 conformance: each case runs against a conforming origin directly, and once more through the
meter. What the client sees must be the same; so no case that the origin passes fails behind us.

Origins: nghttpd (Debian's nghttp2-server) and python3-h2. The table of all cases is written to
build/logs/h2-conformance.txt.
"""

import json
import re
import shutil
import socket
import subprocess

import pytest

import calls
import conftest
import forwarder
import h2_cases
import h2_origin
import h2_origin_cases
import h2_raw
import pair as pairs
import provider_answers
import wire as wires

BODY = json.dumps({"id": "c1", "model": "gpt-5-mini-2025-08-07", "choices": [
    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "g" * 2000}}],
    "usage": {"prompt_tokens": 8, "completion_tokens": 13, "total_tokens": 21}}).encode()
TABLE = []


class FixedOrigin(h2_origin.H2Origin):
    """python3-h2 with one and the same answer to everything."""

    def answer(self, headers, body):
        return provider_answers.Answer(200, "application/json", BODY)


class Nghttpd:
    def __init__(self, authority, folder):
        page = folder / calls.CHAT.lstrip("/")
        page.parent.mkdir(parents=True)
        page.write_bytes(BODY)
        cert, key = authority.leaf([calls.HOST], name="nghttpd")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._process = subprocess.Popen(["nghttpd", "-a", "127.0.0.1", "-d", folder, str(port), key,
                                          cert], stdout=subprocess.DEVNULL)
        pairs.wait_for("nghttpd", self._listens)

    def _listens(self):
        host, port = self.address.split(":")
        try:
            socket.create_connection((host, int(port))).close()
            return True
        except OSError:
            return False

    def close(self):
        self._process.kill()
        self._process.wait()


class Bench:
    """An origin, and a pair before it."""

    def __init__(self, name, address, trust, pair):
        self.name, self.address, self.trust, self.pair = name, address, trust, pair

    def connect(self, through):
        if through:
            return self.pair.connect(calls.HOST, alpn=("h2",))
        host, port = self.address.split(":")
        wire = wires.Wire(socket.create_connection((host, int(port))), timeout=20 * pairs.SLOW)
        wire.start_tls(wires.client_context(self.trust, ["h2"]), server_hostname=calls.HOST)
        return wire

    def run(self, function, through):
        with self.connect(through) as wire:
            assert wire.alpn == "h2"
            connection = h2_raw.Connection(wire, calls.HOST, calls.CHAT)
            function(connection)
            connection.probe()
        return connection


@pytest.fixture(scope="module", params=["nghttpd", "python3-h2"])
def bench(request, shared_scripted, shared_pair, authority, tmp_path_factory):
    if request.param == "python3-h2":
        pair, origin = shared_scripted(FixedOrigin(), alpn=("h2",))
        yield Bench(request.param, origin.address, authority.cert, pair)
        return
    assert shutil.which("nghttpd"), "no nghttpd here; scripts/deps.sh test installs it"
    server = Nghttpd(authority, tmp_path_factory.mktemp("htdocs"))
    pair = shared_pair(connect_to={f"{calls.HOST}:443": server.address}, ca_file=authority.cert)
    yield Bench(request.param, server.address, authority.cert, pair.start())
    server.close()


@pytest.mark.parametrize("name,expected,function", h2_cases.CASES,
                         ids=[name for name, _, _ in h2_cases.CASES])
def test_client_case(bench, name, expected, function):
    direct, through = (bench.run(function, way) for way in (False, True))
    passes = [one.verdict(expected) for one in (direct, through)]
    TABLE.append((bench.name, name, *(f"{'pass' if good else 'FAIL'} {one.summary()}"
                                      for good, one in zip(passes, (direct, through)))))
    assert through.outcome() == direct.outcome()
    assert passes[1] or not passes[0]


class OriginCases:
    """Handler: behind the first HEADERS of a client it sends the bytes of the case, and closes."""

    def __init__(self):
        self.function = None

    def __call__(self, wire):
        wire.send(h2_raw.settings())
        stream = self._asked(wire)
        wire.send(h2_raw.settings(flags=h2_raw.ACK) + self.function(stream))
        wire.half_close()
        wire.recv_all()

    @staticmethod
    def _asked(wire):
        assert wire.recv_exact(len(h2_raw.PREFACE)) == h2_raw.PREFACE
        while True:
            head = wire.recv_exact(9)
            wire.recv_exact(int.from_bytes(head[:3], "big"))
            if head[3] == h2_raw.HEADERS:
                return int.from_bytes(head[5:], "big")


@pytest.fixture(scope="module")
def origin_bench(shared_scripted, authority):
    handler = OriginCases()
    pair, origin = shared_scripted(handler, alpn=("h2",))
    return handler, origin, Bench("scripted", origin.address, authority.cert, pair)


def nghttp(address, *arguments):
    """What nghttp makes of it: exit code, bodies, and every frame that it says it has received. When
    it sent its own is another matter, and so are window updates."""
    told = subprocess.run(["nghttp", "-v", "--no-dep", "-H", f":authority: {calls.HOST}", *arguments,
                           f"https://{address}{calls.CHAT}"], capture_output=True,
                          timeout=60 * pairs.SLOW)
    frames, bodies = [], b""
    for part in re.split(rb"\[ *\d+\.\d+\] ", told.stdout):  # a time stands before each log line
        first, *more = part.split(b"\n")
        # The date in a head is left out, and it makes the head shorter or longer.
        first = re.sub(rb"(HEADERS frame <)length=\d+, ", rb"\1", first)
        if first.startswith(b"recv") and b"date:" not in first and b"WINDOW_UPDATE" not in first:
            frames += [first, *(line for line in more if line.startswith(b"          "))]
        bodies += b"\n".join(line for line in more if not line.startswith(b"          "))
    return told.returncode, frames, bodies


@pytest.mark.parametrize("name,function", h2_origin_cases.CASES,
                         ids=[name for name, _ in h2_origin_cases.CASES])
def test_origin_case(origin_bench, name, function):
    """The same bytes and the same end, whatever the origin says; and nghttp takes it for the same."""
    handler, origin, bench = origin_bench
    handler.function = function
    seen = []
    for through in (False, True):
        with bench.connect(through) as wire:
            client = h2_raw.Connection(wire, calls.HOST, calls.CHAT)
            client.send(h2_raw.PREFACE, h2_raw.settings(), client.request(1))
            answer = wire.recv_all()
            wire.half_close()
        session = origin.sessions[-1]
        assert session.done.wait(20 * pairs.SLOW) and session.error is None, session.error
        assert answer == session.sent
        seen.append((answer, wire.eof, bytes(session.received)))
    assert seen[0] == seen[1]
    with forwarder.Forwarder(bench.pair, calls.HOST) as forward:
        told = [nghttp(address) for address in (bench.address, forward.address)]
    TABLE.append(("scripted", name, *(f"{len(answer)} bytes, {eof}; nghttp {code}"
                                      for (answer, eof, _), (code, _, _) in zip(seen, told))))
    assert told[0] == told[1]


UPLOADS = {"padding": ["-b", "255"], "small windows": ["-w", "10", "-W", "10"],
           "no header table": ["--header-table-size=0"], "trailer": ["--trailer=x-sum: 42"],
           "expect": ["--expect-continue"], "ten at once": ["-m", "10"],
           "a large window": ["-w", "20", "-W", "24"]}


@pytest.mark.parametrize("name", UPLOADS)
def test_nghttp(bench, tmp_path, name):
    """nghttp uploads a body in many ways: the same frames and bodies, and a row for each call."""
    body = calls.chat_body(content="x" * (90000 + list(UPLOADS).index(name)))
    (tmp_path / "body.json").write_bytes(body)
    with forwarder.Forwarder(bench.pair, calls.HOST) as forward:
        direct, through = (nghttp(address, "-d", tmp_path / "body.json", *UPLOADS[name])
                           for address in (bench.address, forward.address))
    TABLE.append((bench.name, f"nghttp: {name}", *(
        f"exit code {code}, {len(frames)} lines, {len(bodies)} bytes"
        for code, frames, bodies in (direct, through))))
    assert direct[0] == 0 and BODY in direct[2]
    count = 10 if name == "ten at once" else 1
    if count > 1:  # streams may mix, and be cut, in another way
        direct, through = (
            (code, len(bodies), [sum(word in line for line in frames) for word in
                                 (b":status: 200", b"END_STREAM", b"RST_STREAM", b"GOAWAY")])
            for code, frames, bodies in (direct, through))
    assert through == direct

    def rows():
        return bench.pair.database.query("SELECT * FROM requests WHERE bytes_up = ?", len(body))
    pairs.wait_for(f"{count} rows", lambda: len(rows()) >= count)
    assert [row["bytes_down"] > 0 for row in rows()] == [True] * count


def test_h2load(bench, tmp_path):
    """h2load, 300 calls in 30 streams at once: all succeed on both ways."""
    (tmp_path / "body.json").write_bytes(calls.chat_body())
    with forwarder.Forwarder(bench.pair, calls.HOST) as forward:
        told = [subprocess.run(
            ["h2load", "-n", "300", "-c", "3", "-m", "10", "-d", tmp_path / "body.json",
             f"--connect-to={address}", f"https://{calls.HOST}{calls.CHAT}"], capture_output=True,
            text=True, timeout=120 * pairs.SLOW).stdout for address in (bench.address,
                                                                       forward.address)]
    results = [[line for line in text.splitlines() if line.startswith(("requests:", "status codes:"))]
               for text in told]
    TABLE.append((bench.name, "h2load", *(" ".join(lines)[:70] for lines in results)))
    assert "300 succeeded, 0 failed, 0 errored, 0 timeout" in results[0][0]
    assert results[0] == results[1]


@pytest.fixture(scope="module", autouse=True)
def table(request):
    """The whole table in a file, named at the end of the run."""
    yield
    path = pairs.ROOT / "build/logs/h2-conformance.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    widths = [max(len(row[column]) for row in TABLE) for column in range(3)]
    rows = [("origin", "case", "direct", "through the meter"), *TABLE]
    path.write_text("\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)),
                                         row[3]]) for row in rows) + "\n")
    failed = [sum(row[column].startswith("FAIL") for row in TABLE) for column in (2, 3)]
    same = sum(row[2] == row[3] for row in TABLE)
    request.config.stash[conftest.CLOSING_WORDS].append(
        f"HTTP/2 conformance: {len(TABLE)} cases, {same} alike on both ways; fall short of the RFC: "
        f"{failed[0]} direct, {failed[1]} through the meter; table in {path.relative_to(pairs.ROOT)}")
