"""Whatever is sent, by whoever has no secret: a refusal, never a 500, and nothing among the events."""

import socket

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.examples import examples
from tests.receivers.http.server import Server
from tests.receivers.http.webhooks import PATHS, SIGNATURES, SOURCES, webhook
from tests.receivers.http.wire import head, try_exchange

REFUSALS = {400, 401, 404, 405, 408, 413, 415, 431, 503, None}
# None: hung up on, which a client that sent more than was read sees instead of its answer.

fuzz = examples(
    30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

each_path = pytest.mark.parametrize("path", PATHS)

names = st.sampled_from(
    [
        *("stripe-signature", "x-hub-signature-256", "x-slack-signature", "x-slack-request-timestamp", "content-type"),
        *(
            "content-encoding",
            "content-length",
            "transfer-encoding",
            "connection",
            "upgrade",
            "expect",
            "te",
            "trailer",
        ),
        *("x-github-event", "x-github-delivery", "x-github-hook-id", "user-agent", "host", "cookie", "authorization"),
        *("x-forwarded-for", "x-http-method-override", "forwarded", "range", "via", "x-original-url", "accept"),
    ]
)
pieces = st.sampled_from(
    [
        *(
            b"t=",
            b"v1=",
            b"v0=",
            b"sha256=",
            b",",
            b"=",
            b" ",
            b"\t",
            b"\xff",
            b"\x7f",
            b"\x1b[31m",
            b"\xc3\xa9",
            b"-1",
        ),
        *(
            b"0" * 64,
            b"a" * 64,
            b"9" * 4_400,
            b"0" * 4_400,
            b"1795409409",
            b"nan",
            b"chunked",
            b"gzip",
            b"close",
            b"%00",
        ),
        *(b"100-continue", b"websocket", b"h2c", b"keep-alive", b"application/json", b"multipart/form-data; boundary="),
    ]
)
values = st.one_of(
    st.lists(pieces, max_size=8).map(b"".join),
    st.binary(max_size=60),
    st.text(max_size=30).map(str.encode),
)
headers = st.lists(st.tuples(names, values), max_size=8)
bodies = st.one_of(st.binary(max_size=300), st.sampled_from([b"", b"[" * 50_000, b"ssl_check=1", b"0\r\n\r\n", b"{}"]))
methods = st.sampled_from(["POST", "GET", "PUT", "HEAD", "PRI", "CONNECT", "OPTIONS", "post", "TRACE", "\xff"])
targets = st.one_of(
    st.sampled_from(
        [*PATHS, *(f"{path}?secret=x" for path in PATHS), "/healthz", "*", "//x", "http://x/webhooks/stripe"]
    ),
    st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=30).map("/{}".format),
)


@each_path
@given(sent=headers, body=bodies)
@fuzz
def test_made_up_headers_and_bodies_are_refused(
    server: Server, path: str, sent: list[tuple[str, bytes]], body: bytes
) -> None:
    before = server.count("events")
    assert try_exchange(server, head("POST", path, [*sent, ("content-length", str(len(body)))]) + body) in REFUSALS
    assert server.count("events") == before


@each_path
@given(signature=values, timestamp=values, body=bodies)
@fuzz
def test_made_up_signatures_are_refused(
    server: Server, path: str, signature: bytes, timestamp: bytes, body: bytes
) -> None:
    before = server.count("events")
    sent: list[tuple[str, str | bytes]] = [
        (SIGNATURES[SOURCES[path]], signature),
        ("x-slack-request-timestamp", timestamp),
        ("content-length", str(len(body))),
    ]
    assert try_exchange(server, head("POST", path, sent) + body) in REFUSALS
    assert server.count("events") == before


@given(method=methods, target=targets, sent=headers)
@fuzz
def test_made_up_methods_and_paths_are_refused(
    server: Server, method: str, target: str, sent: list[tuple[str, bytes]]
) -> None:
    before = server.count("events")
    status = try_exchange(server, head(method, target, [*sent, ("connection", "close")]))
    assert status in REFUSALS | ({200} if method == "GET" else set())
    assert server.count("events") == before


@given(garbage=st.one_of(st.binary(max_size=500), st.text(max_size=200).map(str.encode)))
@fuzz
def test_what_is_no_http_at_all_is_refused(server: Server, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as opened:
        opened.sendall(garbage + b"\r\n\r\n")
        opened.shutdown(socket.SHUT_WR)
        opened.settimeout(20)
        answer = opened.makefile("rb").readline()
    assert answer == b"" or int(answer.split()[1]) in REFUSALS


@each_path
@given(sent=headers, body=bodies)
@fuzz
def test_made_up_headers_around_a_right_signature_never_break_it(
    server: Server, path: str, sent: list[tuple[str, bytes]], body: bytes
) -> None:
    asked = webhook(path, body)
    pairs: list[tuple[str, str | bytes]] = [*asked.headers.items(), ("content-length", str(len(body))), *sent]
    assert try_exchange(server, head("POST", path, pairs) + body) in REFUSALS | {200}


def test_after_all_that_it_has_crashed_over_nothing(server: Server) -> None:
    assert "Traceback" not in server.printed()
    assert server.post(webhook("/webhooks/stripe")).status_code == 200
