"""How much is read of whom: never more than the source may send, never for longer than 10 s, never too much at once."""

import gzip
import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.cli.dev.waiting import wait_until
from tests.receivers.http.server import ANSWER_S, Server
from tests.receivers.http.webhooks import JSON, PATHS, SIGNATURES, SOURCES, Webhook, make_body, webhook
from tests.receivers.http.wire import Answer, connection, exchange, head, read_answer, send_all, try_exchange

MIB = 1024 * 1024
CAPS = {path: 25 * MIB if path == "/webhooks/github" else 1 * MIB for path in PATHS}

each_path = pytest.mark.parametrize("path", PATHS)
measures_memory = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")

CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"


def unsigned(path: str, *headers: tuple[str, str]) -> bytes:
    """Write the head of a request whose signature is there and wrong, so that its body is read."""
    return head("POST", path, [(SIGNATURES[SOURCES[path]], "wrong"), ("content-type", JSON), *headers])


def hanging(server: Server, path: str, *, announced: int, sent: int) -> socket.socket:
    """Open a connection that sends a part of its body and then nothing."""
    opened = socket.create_connection(("127.0.0.1", server.port), timeout=ANSWER_S)
    opened.sendall(unsigned(path, ("content-length", str(announced))))
    opened.sendall(b"x" * sent)
    return opened


def until_accepted(server: Server, asked: Webhook) -> None:
    """Post a large body as often as it takes: on a machine that is busy, 503 is a right answer."""
    wait_until(lambda: server.post(asked).status_code == 200, timeout_s=2 * ANSWER_S)


def is_answered(opened: socket.socket) -> bool:
    return bool(select.select([opened], [], [], 0)[0])


@each_path
def test_a_body_announced_as_too_large_is_refused_before_it_is_sent(server: Server, path: str) -> None:
    for announced in (CAPS[path] + 1, 10**15):
        answer = exchange(server, unsigned(path, ("content-length", str(announced))))
        assert answer.status == 413
        assert answer.headers["content-type"] == "application/problem+json"


@each_path
def test_a_body_that_is_not_announced_is_refused_when_it_becomes_too_large(server: Server, path: str) -> None:
    chunks = CHUNK * (CAPS[path] // 65_536) + b"1\r\nx\r\n0\r\n\r\n"
    assert exchange(server, unsigned(path, ("transfer-encoding", "chunked")) + chunks).status == 413


@each_path
def test_a_length_in_thousands_of_digits_breaks_nothing(server: Server, path: str) -> None:
    assert exchange(server, unsigned(path, ("content-length", "0" * 5_000 + "1")) + b"x").status == 401
    assert exchange(server, unsigned(path, ("content-length", "9" * 5_000))).status == 400


@each_path
def test_a_body_longer_than_announced_ends_where_it_was_announced_to(server: Server, path: str) -> None:
    before = server.count("events")
    asked = webhook(path)
    headers = [*asked.headers.items(), ("content-length", str(len(asked.body) - 1))]
    # 401 for what was announced; 400 for the rest of it, which is no request, if that is said first.
    assert exchange(server, head("POST", path, headers) + asked.body).status in {400, 401}
    assert server.count("events") == before


@each_path
def test_a_body_as_large_as_its_source_may_send_is_accepted_and_kept_exactly(server: Server, path: str) -> None:
    body = _padded(path, CAPS[path])
    until_accepted(server, webhook(path, body))
    assert server.body_of(server.find(body)) == body


@each_path
def test_one_byte_more_is_refused_however_well_it_is_signed(server: Server, path: str) -> None:
    before = server.count("events")
    asked = webhook(path, _padded(path, CAPS[path] + 1))
    assert server.post(asked).status_code == 413
    assert server.post(asked, content=_in_pieces(asked.body)).status_code == 413
    assert server.count("events") == before


@measures_memory
def test_a_flood_of_bodies_that_are_too_large_costs_no_more_memory_than_the_budget(server: Server) -> None:
    before = server.forget_peak_memory()
    flood = unsigned("/webhooks/github", ("transfer-encoding", "chunked")) + CHUNK * 480
    with ThreadPoolExecutor(30) as pool:
        statuses = set(pool.map(lambda _: try_exchange(server, flood), range(40)))
    assert statuses <= {408, 413, 503}
    assert server.post(webhook("/webhooks/stripe")).status_code == 200
    assert server.peak_memory_bytes() - before < 2 * 128 * MIB  # it was sent 1.2 GB


@measures_memory
def test_a_compressed_body_is_refused_and_not_inflated(server: Server) -> None:
    before = server.forget_peak_memory()
    bomb = gzip.compress(bytes(512 * MIB), compresslevel=1)
    answer = server.post(webhook("/webhooks/github", bomb).with_headers(content_encoding="gzip"))
    assert answer.status_code == 415
    assert server.peak_memory_bytes() - before < 64 * MIB


@each_path
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "aes128gcm", "x"])
def test_any_content_encoding_is_refused_after_verification(server: Server, path: str, encoding: str) -> None:
    before = server.count("events")
    asked = webhook(path).with_headers(content_encoding=encoding)
    assert server.post(asked).status_code == 415
    assert server.post(asked.with_signature("wrong")).status_code == 401
    assert server.count("events") == before


def test_many_large_bodies_at_once_are_stored_or_refused_with_retry_after(server: Server) -> None:
    before = server.count("events")
    asked = [webhook("/webhooks/github", _padded("/webhooks/github", 20 * MIB)) for _ in range(8)]
    answers = server.post_at_once(asked)
    stored = sum(answer.status_code == 200 for answer in answers)
    assert {answer.status_code for answer in answers} <= {200, 408, 503}
    assert all(answer.headers["retry-after"] == "5" for answer in answers if answer.status_code == 503)
    assert server.count("events") - before >= stored  # one that took too long is stored, and was refused all the same


def test_bodies_that_hang_do_not_shut_out_others_and_give_their_room_back_when_they_go(server: Server) -> None:
    with ExitStack() as stack:
        for kib in (24 * 1024, 900, 100, 70, 65):  # until there is no room for one more of any size
            answer = _fill(server, stack, kib * 1024)
            assert answer.status == 503
            assert answer.headers["retry-after"] == "5"
        # Read and judged, which takes room; a commit would take time, and the machine may be busy.
        common = [webhook(path, _padded(path, 64 * 1024)).with_signature("wrong") for path in PATHS]
        assert {server.post(each).status_code for each in common} == {401}
    large = _padded("/webhooks/github", 25 * MIB)
    until_accepted(server, webhook("/webhooks/github", large))


def test_a_sender_that_hangs_up_in_the_middle_is_noted_and_costs_nothing(own_server: Server) -> None:
    for _ in range(8):  # 192 MiB, were they not given back, and there is room for 128
        hanging(own_server, "/webhooks/github", announced=25 * MIB, sent=24 * MIB).close()
    large = webhook("/webhooks/github", _padded("/webhooks/github", 25 * MIB))
    until_accepted(own_server, large)
    wait_until(lambda: own_server.count("requests") >= 8, timeout_s=ANSWER_S)
    reasons = {row["reason"] for row in own_server.rows("SELECT reason FROM requests")}
    assert reasons <= {"body_cut_off", "too_many_bodies", "body_too_slow"}


def test_slow_bodies_are_answered_408_after_ten_seconds_and_keep_nobody_waiting_until_then(server: Server) -> None:
    with ExitStack() as stack:
        slow = [hanging(server, path, announced=2_000, sent=1_000) for path in PATHS * 60]
        for opened in slow:
            stack.enter_context(closing(opened))
        assert all(server.post(webhook(path)).status_code == 200 for path in PATHS)
        assert not any(is_answered(opened) for opened in slow)
        answers = [read_answer(opened) for opened in slow]
    assert {answer.status for answer in answers} == {408}
    assert {answer.headers["connection"] for answer in answers} == {"close"}
    assert server.post(webhook("/webhooks/stripe")).status_code == 200


def test_slow_heads_and_silent_connections_are_closed_after_ten_seconds(server: Server) -> None:
    begun = [b"", b"P", b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nStripe-Sig", b"\r\n\r\n"]
    refused = unsigned("/webhooks/stripe", ("content-length", "2000000")) + b"the body goes on"
    with ExitStack() as stack:
        slow = [stack.enter_context(connection(server)) for _ in begun * 20]
        for opened, sent in zip(slow, begun * 20, strict=True):
            opened.sendall(sent)
        answered = stack.enter_context(connection(server))
        answered.sendall(refused)
        assert server.post(webhook("/webhooks/stripe")).status_code == 200
        assert read_answer(answered).status == 413
        answered.sendall(b" and on")
        assert {opened.recv(1) for opened in [*slow, answered]} == {b""}


ENDLESS = {
    "headers": (b"POST /webhooks/stripe HTTP/1.1\r\n", b"a: b\r\n" * 10_000),
    "one header": (b"POST /webhooks/stripe HTTP/1.1\r\na: ", b"b" * 65_536),
    "a header's name": (b"POST /webhooks/stripe HTTP/1.1\r\n", b"b" * 65_536),
    "a path": (b"POST /", b"b" * 65_536),
    "trailers": (
        b"POST /webhooks/stripe HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        b"a: b\r\n" * 10_000,
    ),
    "trailers of a body that is read": (
        b"POST /webhooks/github HTTP/1.1\r\nx-hub-signature-256: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        b"a: b\r\n" * 10_000,
    ),
    "a chunk's extension": (
        b"POST /webhooks/stripe HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;a=",
        b"b" * 65_536,
    ),
    "what follows an upgrade": (
        b"POST /webhooks/stripe HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        b"b" * 65_536,
    ),
}


@measures_memory
@pytest.mark.parametrize(
    ("begun", "more"),
    ENDLESS.values(),
    ids=ENDLESS,
)
def test_a_head_without_end_is_cut_off_and_costs_no_memory(server: Server, begun: bytes, more: bytes) -> None:
    before = server.forget_peak_memory()
    with connection(server) as opened, pytest.raises((ConnectionResetError, BrokenPipeError)):
        _pour(opened, begun, more, times=4_000)  # 260 MB
    assert server.peak_memory_bytes() - before < 32 * MIB
    assert server.post(webhook("/webhooks/stripe")).status_code == 200


def test_a_head_that_is_too_large_is_answered_431(server: Server) -> None:
    with connection(server) as opened:
        send_all(opened, b"GET /healthz HTTP/1.1\r\nHost: x\r\na: " + b"b" * 70_000)
        assert read_answer(opened).status == 431


def test_a_head_of_60_kib_is_read(server: Server) -> None:
    answer = server.http.get("/healthz", headers={f"x-{number}": "x" * 1_000 for number in range(58)})
    assert answer.status_code == 200


def _fill(server: Server, stack: ExitStack, size: int) -> Answer:
    """Open connections that hang after so many bytes until one is refused, and give its answer."""
    while True:
        opened = hanging(server, "/webhooks/github", announced=25 * MIB, sent=size)
        stack.enter_context(closing(opened))
        if select.select([opened], [], [], 0.1)[0]:
            return read_answer(opened)


def _pour(opened: socket.socket, begun: bytes, more: bytes, *, times: int) -> None:
    opened.sendall(begun)
    for _ in range(times):
        opened.sendall(more)


def _in_pieces(body: bytes) -> Iterator[bytes]:
    """Make httpx send a body in chunks, without its length."""
    yield from (body[start : start + 65_536] for start in range(0, len(body), 65_536))


def _padded(path: str, size: int) -> bytes:
    """Make a body of exactly this many bytes."""
    if path in {"/webhooks/slack/commands", "/webhooks/slack/interactivity"}:
        body = make_body(path) + b"&pad="
        return body + b"x" * (size - len(body))
    body = make_body(path)
    return body[:-1] + b" " * (size - len(body)) + body[-1:]
