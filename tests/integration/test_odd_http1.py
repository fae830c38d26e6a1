"""HTTP/1 as it is also written: every call succeeds with the same bytes, and is recorded."""

import pytest

import calls
import http1

CHAT_HEAD = f"POST {calls.CHAT} HTTP/1.1\r\nHost: {calls.HOST}\r\n"


def same_bytes(wire, origin, request, answer):
    """One exchange; both ends got exactly what the other sent."""
    before = len(origin.sessions[0].received) if origin.sessions else 0
    wire.send(request)
    assert wire.recv_exact(len(answer)) == answer
    assert bytes(origin.sessions[0].received[before:]) == request


def scripted_answers(requests, answers):
    """A handler that takes exactly these bytes and answers with those, in turn."""
    def handler(wire):
        for request, answer in zip(requests, answers):
            assert wire.recv_exact(len(request)) == request
            wire.send(answer)
        wire.recv_all()
    return handler


def exchange_all(scripted, requests, answers):
    """These exchanges, one after the other on one connection, unchanged both ways."""
    pair, origin = scripted(scripted_answers(requests, answers))
    with pair.connect(calls.HOST) as wire:
        for request, answer in zip(requests, answers):
            same_bytes(wire, origin, request, answer)
    assert origin.sessions[0].done.wait(10) and origin.sessions[0].error is None
    return pair


def with_lf(message):
    """The same message with bare LF in its head."""
    head, _, body = message.partition(b"\r\n\r\n")
    return head.replace(b"\r\n", b"\n") + b"\n\n" + body


def plain_request(model="gpt-5-mini"):
    return http1.request_bytes("POST", calls.CHAT, calls.HOST, calls.chat_body(model=model))


# --- HTTP/1.0 ----------------------------------------------------------------------------------

@pytest.mark.parametrize("client_version", ["1.0", "1.1"])
def test_http_1_0_keep_alive(scripted, client_version):
    """HTTP/1.0 answers that stay open by agreement: each call on the connection is a row."""
    request = plain_request().replace(b"HTTP/1.1", b"HTTP/" + client_version.encode())
    request = request.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n", 1)
    answers = [answer.replace(b"HTTP/1.1", b"HTTP/1.0").replace(
        b"\r\n\r\n", b"\r\nConnection: Keep-Alive\r\n\r\n", 1) for answer in calls.numbered(3)]
    pair = exchange_all(scripted, [request] * 3, answers)
    calls.check_metered(pair, [(10, 1), (20, 2), (30, 3)], up=len(calls.chat_body()))


def test_http_1_0_keep_alive_then_closed(scripted):
    """The last answer has no length and ends with the connection."""
    request = plain_request().replace(b"HTTP/1.1", b"HTTP/1.0")
    kept = calls.response_bytes(calls.chat_answer(1, 2), headers=[("Connection", "keep-alive")])
    last = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + calls.chat_answer(3, 4)

    def handler(wire):
        for answer in (kept, last):
            assert wire.recv_exact(len(request)) == request
            wire.send(answer)
        wire.half_close()
        wire.recv_all()

    pair, origin = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(request)
        assert wire.recv_exact(len(kept)) == kept
        wire.send(request)
        assert wire.recv_all() == last
    calls.check_metered(pair, [(1, 2), (3, 4)])


# --- heads -------------------------------------------------------------------------------------

@pytest.mark.smoke
def test_bare_lf_heads(scripted):
    """Line ends without CR, on either side or mixed, chunk lines and trailers included."""
    lf_request, lf_answer = with_lf(plain_request()), with_lf(calls.numbered(1)[0])
    mixed = plain_request().replace(b"\r\n", b"\n", 1)
    body, answer_body = calls.chat_body(), calls.chat_answer(30, 3)
    chunked = (CHAT_HEAD + "Transfer-Encoding: chunked\r\n\r\n").replace("\r\n", "\n").encode() + \
        b"%x\n" % len(body) + body + b"\n0\nX-Sum: 1\n\n"
    chunked_answer = b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n" + \
        b"%x\n" % len(answer_body) + answer_body + b"\n0\n\n"
    pair = exchange_all(scripted, [lf_request, mixed, chunked],
                        [lf_answer, calls.numbered(2)[1], chunked_answer])
    calls.check_metered(pair, [(10, 1), (20, 2), (30, 3)])


def test_oddly_written_heads(scripted):
    """Empty lines before the request line, folded fields, blanks before a colon or an end, a status
    line without a phrase, many fields, a field without a value."""
    body = calls.chat_body()
    request = (f"\r\n\r\nPOST  {calls.CHAT}  HTTP/1.1 \r\nHost: {calls.HOST}\r\nX-Folded: one\r\n"
               f"\t two\r\nX-Blank : yes\r\nX-None:\r\nContent-Length:   {len(body)}  \r\n"
               + "".join(f"X-{n}: {n}\r\n" for n in range(300)) + "\r\n").encode() + body
    answer_body = calls.chat_answer(5, 6)
    answer = (f"HTTP/1.1 200\r\nX-Folded: a\r\n b\r\nContent-Length : {len(answer_body)}\r\n"
              "Content-type:application/json\r\n\r\n").encode() + answer_body
    pair = exchange_all(scripted, [request, plain_request()], [answer, calls.numbered(1)[0]])
    calls.check_metered(pair, [(5, 6), (10, 1)])


@pytest.mark.parametrize("megabytes", [pytest.param(1, marks=pytest.mark.smoke), 5])
def test_multi_megabyte_request_head(scripted, megabytes):
    """Beyond what the meter reads of a head: it lets go of the connection, says so, and everything
    goes on, this call and the next."""
    fields = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 1000) for n in range(megabytes * 1024))
    body = calls.chat_body()
    request = CHAT_HEAD.encode() + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body
    answers = calls.numbered(2)
    pair = exchange_all(scripted, [request, plain_request()], answers)
    miss = calls.check_miss(pair, "observer_lost")
    assert miss["bytes_up"] == len(request) + len(plain_request())
    assert miss["bytes_down"] == sum(map(len, answers))


def test_multi_megabyte_response_head(scripted):
    """The call was known when its answer's head went beyond the limit: an incomplete row, and a miss
    for what follows unread."""
    body = calls.chat_answer(5, 6)
    answer = b"HTTP/1.1 200 OK\r\n" + b"Set-Cookie: %s\r\n" % (b"c" * 60_000) * 60 + \
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    pair = exchange_all(scripted, [plain_request()] * 2, [answer, calls.numbered(1)[0]])
    miss = calls.check_miss(pair, "observer_lost", up=2 * len(plain_request()), down=len(answer),
                            rows=1)
    (row,) = pair.database.requests()
    assert (row["tokens_complete"], row["incomplete_reason"]) == (0, "observer_lost")
    assert (row["transport"], row["bytes_up"]) == ("h1", len(calls.chat_body()))
    assert row["call_id"] == miss["call_id"]


# --- chunks ------------------------------------------------------------------------------------

def framed(payload, lines, end=b"0\r\n\r\n"):
    """`payload` in as many chunks as there are lines; %x or %X is the chunk's size."""
    size = len(payload) // len(lines) + 1
    out = b""
    for n, line in enumerate(lines):
        piece = payload[n * size:(n + 1) * size]
        line = line.replace(b"%x", b"%x" % len(piece)).replace(b"%X", b"%X" % len(piece))
        out += line + b"\r\n" + piece + b"\r\n"
    return out + end


@pytest.mark.smoke
def test_chunk_extensions(scripted):
    """With and without values, quoted, long, blanks around them, sizes in capitals and with zeros in
    front, an extension of the last chunk."""
    lines = [b"%x;a", b"%x ; b=1;c=\"d;e \\\" f\"", b"000%x;long=" + b"z" * 3000, b"%x\t", b"%x"]
    body, answer_body = calls.chat_body(), calls.chat_answer(7, 8)
    request = (CHAT_HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode() + \
        framed(body, lines, b"0;last=yes\r\nX-Trailer: 1\r\n\r\n")
    answer = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
              b"Transfer-Encoding: chunked\r\n\r\n") + \
        framed(answer_body, [b"%X", *lines[1:]], b"000;x=\"y\"\r\n\r\n")
    pair, origin = scripted(scripted_answers([request, plain_request()],
                                             [answer, calls.numbered(1)[0]]))
    with pair.connect(calls.HOST) as wire:
        same_bytes(wire, origin, request, answer)
        same_bytes(wire, origin, plain_request(), calls.numbered(1)[0])
    calls.check_metered(pair, [(7, 8), (10, 1)])


def test_endless_chunk_extension(scripted):
    """A chunk line beyond every measure: the meter lets go, the call does not notice."""
    body = calls.chat_answer(7, 8)
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + \
        framed(body, [b"%x;x=" + b"y" * 2_000_000])
    pair = exchange_all(scripted, [plain_request()] * 2, [answer, calls.numbered(1)[0]])
    calls.check_miss(pair, "observer_lost", down=len(answer), rows=1)
    (row,) = pair.database.requests()
    assert (row["tokens_complete"], row["incomplete_reason"]) == (0, "observer_lost")


@pytest.mark.parametrize("coding,metered", [("chunked", True), ("identity", True),
                                            ("gzip, chunked", False)])
def test_transfer_codings(scripted, coding, metered):
    """A coding other than chunked is not read: marked, and relayed."""
    body = calls.chat_answer(7, 8)
    framed_body = framed(body, [b"%x"] * 3) if "chunked" in coding else body
    length = b"" if "chunked" in coding else b"Content-Length: %d\r\n" % len(body)
    answer = b"HTTP/1.1 200 OK\r\n" + length + \
        b"Transfer-Encoding: " + coding.encode() + b"\r\n\r\n" + framed_body
    pair = exchange_all(scripted, [plain_request()], [answer])
    if metered:
        calls.check_metered(pair, [(7, 8)], down=len(body))
    else:
        calls.check_miss(pair, "observer_lost", down=len(answer), rows=1)


# --- requests behind each other ----------------------------------------------------------------

def test_two_pipelined_requests_cut_anywhere(scripted):
    """Two requests in one stream of bytes, cut at every place of the second's head: two rows."""
    first, second = plain_request("gpt-5-m1"), plain_request("gpt-5-m2")
    both, answers = first + second, calls.numbered(2)

    def handler(wire):
        assert wire.recv_exact(len(both)) == both
        wire.send(b"".join(answers))
        wire.recv_all()

    pair, origin = scripted(handler)
    cuts = range(len(first) - 3, len(first) + 40, 6)
    for cut in cuts:
        with pair.connect(calls.HOST) as wire:
            wire.send(both[:cut])
            wire.send(both[cut:])
            assert wire.recv_exact(sum(map(len, answers))) == b"".join(answers)
    assert all(bytes(session.received) == both for session in origin.sessions)
    rows = calls.check_metered(pair, [(10, 1), (20, 2)] * len(cuts),
                               up=len(calls.chat_body(model="gpt-5-m1")))
    assert {(row["requested_model"], row["output_tokens"]) for row in rows} == \
        {("gpt-5-m1", 1), ("gpt-5-m2", 2)}


def test_pipelined_behind_an_upgrade_that_is_refused(scripted):
    """A request right behind one for a WebSocket: held until the answer is no, then read."""
    ask = http1.request_bytes("GET", "/v1/responses", calls.HOST, b"", [
        ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")])
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    answer = calls.numbered(1)[0]
    pair, origin = scripted(scripted_answers([ask + plain_request()], [refusal + answer]))
    with pair.connect(calls.HOST) as wire:
        same_bytes(wire, origin, ask + plain_request(), refusal + answer)
    calls.check_metered(pair, [(10, 1)])


# --- 100-continue ------------------------------------------------------------------------------

@pytest.mark.parametrize("patient", [True, False], ids=["waits", "does_not_wait"])
def test_expect_100_continue(scripted, patient):
    """The origin alone says 100; a client that does not wait for it is as good."""
    body = calls.chat_body(content="x" * 100_000)
    head = http1.request_bytes("POST", calls.CHAT, calls.HOST, b"", [
        ("Expect", "100-continue"), ("Content-Length", str(len(body)))])
    go_on, answer = b"HTTP/1.1 100 Continue\r\n\r\n", calls.numbered(1)[0]
    first = head if patient else head + body

    def handler(wire):
        assert wire.recv_exact(len(first)) == first
        wire.send(go_on)
        if patient:
            assert wire.recv_exact(len(body)) == body
        wire.send(answer)
        wire.recv_all()

    pair, origin = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(first)
        assert wire.recv_exact(len(go_on)) == go_on
        if patient:
            wire.send(body)
        assert wire.recv_exact(len(answer)) == answer
    assert bytes(origin.sessions[0].received) == head + body
    calls.check_metered(pair, [(10, 1)], up=len(body))


@pytest.mark.parametrize("status", ["417 Expectation Failed", "413 Content Too Large"])
def test_expectation_refused(scripted, status):
    """The final answer comes in place of 100 and the body is never sent: an error's row."""
    refusal = calls.response_bytes(b"{}", status, headers=[("Connection", "close")])
    head = http1.request_bytes("POST", calls.CHAT, calls.HOST, b"", [
        ("Expect", "100-continue"), ("Content-Length", "5000000")])

    def handler(wire):
        assert wire.recv_exact(len(head)) == head
        wire.send(refusal)
        wire.half_close()
        wire.recv_all()

    pair, origin = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(head)
        assert wire.recv_all() == refusal
    assert origin.sessions[0].done.wait(10)
    assert bytes(origin.sessions[0].received) == head
    (row,) = calls.check_metered(pair, [(0, 0)], up=0, down=2)
    assert (row["status"], row["http_status"]) == ("error", int(status[:3]))


def test_an_idle_connection_given_up_with_a_408(scripted):
    """What an origin says of itself when nobody asks for long: it reaches the client, and is neither
    a call nor a miss."""
    answer = calls.response_bytes(calls.chat_answer(21, 34))
    timeout = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def handler(wire):
        assert wire.recv_exact(len(plain_request())) == plain_request()
        wire.send(answer)
        wire.send(timeout)
        wire.half_close()
        wire.recv_all()

    pair, _ = scripted(handler)
    with pair.connect(calls.HOST) as wire:
        wire.send(plain_request())
        assert wire.recv_all() == answer + timeout
    calls.check_metered(pair, [(21, 34)])
    pair.stop()
    assert pair.database.misses() == []
