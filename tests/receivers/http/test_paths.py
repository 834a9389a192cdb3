"""Where webhooks are received: at five paths, by POST, whatever a request says of hosts, lengths and upgrades."""

import pytest

from tests.receivers.http.conftest import StartServer
from tests.receivers.http.server import Server
from tests.receivers.http.webhooks import PATHS, SECRETS, sign, webhook
from tests.receivers.http.wire import connection, exchange, head, read_answer

each_path = pytest.mark.parametrize("path", PATHS)


def raw(path: str, *headers: tuple[str, str], target: str | None = None, host: str | None = "localhost") -> bytes:
    """Write a signed request to the byte, with these headers on top."""
    asked = webhook(path)
    length = ("content-length", str(len(asked.body)))
    return head("POST", target or path, [*asked.headers.items(), length, *headers], host=host) + asked.body


def is_problem(answer_headers: str | None) -> bool:
    return answer_headers == "application/problem+json"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@each_path
def test_any_method_but_post_is_answered_405_with_a_problem(server: Server, path: str, method: str) -> None:
    answer = server.http.request(method, path)
    assert answer.status_code == answer.json()["status"] == 405
    assert answer.headers["allow"] == "POST"
    assert is_problem(answer.headers["content-type"])


@pytest.mark.parametrize(
    "target",
    [
        *("/", "/webhooks", "/webhooks/", "/webhooks/paypal", "/webhooks/slack", "/Webhooks/Stripe", "//"),
        *(
            "//webhooks/stripe",
            "/webhooks//stripe",
            "/webhooks/stripe/",
            "/webhooks/slack/events/",
            "/webhooks/stripe;x",
        ),
        *(
            "/webhooks/./stripe",
            "/webhooks/x/../stripe",
            "/webhooks/%2e%2e/webhooks/stripe",
            "/%2e%2e/%2e%2e/etc/passwd",
        ),
        *(
            "/webhooks/stripe%00",
            "/webhooks/stripe%0d%0aX:y",
            "/webhooks/stripe%20",
            "/%ff%fe",
            "/webhooks/%E2%80%AE",
            "*",
        ),
    ],
)
def test_any_other_path_is_answered_404_with_a_problem_and_never_a_redirect(server: Server, target: str) -> None:
    before = server.count("events")
    answer = exchange(server, raw("/webhooks/stripe", target=target, host="evil.example"))
    assert answer.status == 404
    assert is_problem(answer.headers["content-type"])
    assert "location" not in answer.headers
    assert server.count("events") == before


@pytest.mark.parametrize("target", ["/\xff", "evil:443", "webhooks/stripe", "/a b", "http://", "", "/\x00"])
def test_a_target_that_is_no_path_is_refused(server: Server, target: str) -> None:
    assert exchange(server, head("POST", target, [])).status in {400, 404}


@pytest.mark.parametrize("host", [None, "", "evil.example", "localhost:1@evil.example", '"><script>', "[::1", "a, b"])
def test_the_host_header_changes_nothing(server: Server, host: str | None) -> None:
    assert exchange(server, raw("/webhooks/stripe", host=host)).status == 200
    forged = raw("/webhooks/stripe", host=host).replace(b"v1=", b"v1=0")
    assert exchange(server, forged).status == 401


def test_a_target_with_a_host_in_it_is_read_by_its_path(server: Server) -> None:
    assert exchange(server, raw("/webhooks/stripe", target="http://evil.example/webhooks/stripe")).status == 200
    assert exchange(server, raw("/webhooks/stripe", target="http://evil.example/webhooks/github")).status == 401
    assert exchange(server, raw("/webhooks/stripe", target="http://u@evil.example/healthz")).status == 405


@pytest.mark.parametrize(
    "headers",
    [
        [("content-length", "5")],
        [("transfer-encoding", "chunked")],
        [("transfer-encoding", "identity")],
        [("transfer-encoding", "xchunked")],
        [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
    ],
)
def test_a_body_that_has_two_lengths_is_refused(server: Server, headers: list[tuple[str, str]]) -> None:
    before = server.count("events")
    assert exchange(server, raw("/webhooks/stripe", *headers)).status == 400
    assert server.count("events") == before


@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "0x10", "5,5", "5 5", "", "٣", "9" * 30])
def test_a_length_that_is_no_number_is_refused(server: Server, length: str) -> None:
    sent = b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: " + length.encode() + b"\r\n\r\n"
    assert exchange(server, sent).status == 400


@pytest.mark.parametrize(
    "header", [b"A : b", b"A: b\r\n c", b"A: b\rc", b"A: \x00", b": b", b"A b: c", b"\xff: b", b"A"]
)
def test_a_malformed_header_is_refused(server: Server, header: bytes) -> None:
    sent = raw("/webhooks/stripe").replace(b"Host: localhost", b"Host: localhost\r\n" + header)
    assert exchange(server, sent).status == 400


def test_an_upgrade_is_not_a_way_around_verification(server: Server) -> None:
    before = server.count("events")
    for protocol in ("websocket", "h2c", "TLS/1.0"):
        sent = raw("/webhooks/stripe", ("connection", "upgrade"), ("upgrade", protocol))
        assert exchange(server, sent).status == 401  # its body is not read as one
    assert server.count("events") == before


def test_what_stands_in_a_refused_body_is_not_read_as_the_next_request(server: Server) -> None:
    before = server.count("events")
    hidden = raw("/webhooks/stripe")
    outer = head("POST", "/webhooks/stripe", [("content-length", str(len(hidden)))]) + hidden
    with connection(server) as opened:
        opened.sendall(outer + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [read_answer(opened).status, read_answer(opened).status] == [401, 200]
    assert server.count("events") == before


@each_path
def test_many_requests_on_one_connection_are_answered_in_their_order(server: Server, path: str) -> None:
    unknown, unsigned = head("GET", "/unknown", []), head("POST", path, [("content-length", "3")]) + b"abc"
    with connection(server) as opened:
        opened.sendall((raw(path) + unknown + unsigned) * 10)
        assert [read_answer(opened).status for _ in range(30)] == [200, 404, 401] * 10


def test_a_source_without_a_secret_is_answered_404_whatever_it_is_sent(start_server: StartServer) -> None:
    server = start_server(without=["GITHUB_WEBHOOK_SECRET", "SLACK_SIGNING_SECRET"])
    asked = webhook("/webhooks/github")
    for signature in (asked.signature, sign("github", asked.body, "", 0)["x-hub-signature-256"], "", "wrong"):
        answer = server.post(asked.with_signature(signature))
        assert answer.status_code == 404
        assert is_problem(answer.headers["content-type"])
    assert [server.post(webhook(path)).status_code for path in PATHS] == [200, 404, 404, 404, 404]
    forged = webhook("/webhooks/github", secret=SECRETS["stripe"])
    assert server.post(forged).status_code == 404


def test_the_openapi_page_shows_every_path_and_what_it_answers(server: Server) -> None:
    described = server.http.get("/openapi.json").json()
    shown = {path for path in described["paths"] if not path.startswith("/api/v1/")}
    assert shown == {*PATHS, "/healthz", "/readyz", "/metrics"}
    assert described["paths"]["/api/v1/events"]["get"]["summary"] == "List events, newest first"
    for path in PATHS:
        (method,) = described["paths"][path]
        operation = described["paths"][path][method]
        assert method == "post"
        assert set(operation["responses"]) == {"200", "401", "404", "408", "413", "415", "503"}
        assert "parameters" not in operation
    for page in ("/docs", "/redoc"):  # whose scripts would come from elsewhere
        assert server.http.get(page).status_code == 404
