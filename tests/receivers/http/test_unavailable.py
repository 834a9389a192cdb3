"""When the event cannot be made durable now: 503 and Retry-After, and everything as before once it can."""

import signal
import socket
from contextlib import ExitStack

import pytest

from tests.cli.dev.waiting import wait_until
from tests.receivers.http.server import ANSWER_S, Server
from tests.receivers.http.webhooks import JSON, PATHS, Webhook, make_body, webhook
from tests.receivers.http.wire import connection, head, read_answer, try_exchange

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def begin(opened: socket.socket, asked: Webhook) -> None:
    """Send a request's head, and return when the server waits for the body."""
    extra = [("content-length", str(len(asked.body))), ("expect", "100-continue")]
    opened.sendall(head("POST", asked.path, [*asked.headers.items(), *extra]))
    assert opened.recv(len(CONTINUE), socket.MSG_WAITALL) == CONTINUE


@pytest.mark.parametrize("path", PATHS)
def test_a_locked_database_is_answered_503_with_retry_after_and_the_retry_is_stored_once(
    server: Server, path: str
) -> None:
    asked = webhook(path)
    with server.locked():
        answer = server.post(asked)
    assert answer.status_code == answer.json()["status"] == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["content-type"] == "application/problem+json"
    assert server.post(asked).status_code == 200
    assert server.rows("SELECT count(*) AS number FROM events WHERE body = ?", asked.body) == [{"number": 1}]


def test_everything_that_needs_no_commit_is_answered_while_the_database_is_locked(server: Server) -> None:
    with server.locked():
        assert server.post(webhook("/webhooks/stripe").with_signature("wrong")).status_code == 401
        challenge = b'{"type":"url_verification","challenge":"abc"}'
        assert server.post(webhook("/webhooks/slack/events", challenge)).text == "abc"
        assert server.http.get("/healthz").json() == {"status": "alive"}


def test_a_crowd_before_a_locked_database_is_refused_and_then_let_in(server: Server) -> None:
    before = server.count("events")
    asked = [webhook("/webhooks/stripe") for _ in range(100)]
    with server.locked():
        assert {answer.status_code for answer in server.post_at_once(asked)} == {503}
    assert {answer.status_code for answer in server.post_at_once(asked)} == {200}
    assert server.count("events") == before + 100


def test_it_is_ready_without_redis_and_not_with_a_locked_database(own_server: Server) -> None:
    # Nothing answers at its REDIS_URL. Nothing was committed yet, so each question is answered by a commit.
    with own_server.locked():
        refused = own_server.http.get("/readyz")
        assert own_server.http.get("/healthz").status_code == 200
    ready = own_server.http.get("/readyz")
    assert (refused.status_code, refused.json()["status"], refused.headers["retry-after"]) == (503, 503, "5")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert own_server.count("events") == 0


def test_without_redis_events_are_accepted_and_wait(server: Server) -> None:
    asked = webhook("/webhooks/stripe", make_body("/webhooks/stripe", type="charge.dispute.created"))
    stored = server.event(server.post(asked).json()["event"])
    wait_until(lambda: "broker does not answer" in server.printed(), timeout_s=ANSWER_S)
    assert stored["state"] == "pending"
    assert {delivery["attempts"] for delivery in stored["deliveries"]} == {0}


def test_a_sender_that_hangs_up_while_its_event_is_committed_cancels_nothing(server: Server) -> None:
    asked = webhook("/webhooks/stripe")
    before = server.count("events")
    with server.locked(), connection(server) as opened:
        begin(opened, asked)
        opened.sendall(asked.body)
    wait_until(lambda: server.count("events") == before + 1, timeout_s=ANSWER_S)
    assert server.post(asked).json()["status"] == "duplicate"


def test_sigterm_answers_what_is_in_flight_and_ends(own_server: Server) -> None:
    asked = [webhook(path) for path in PATHS * 4]
    with ExitStack() as stack:
        opened = [stack.enter_context(connection(own_server)) for _ in asked]
        for each, request in zip(opened, asked, strict=True):
            begin(each, request)
        own_server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: try_exchange(own_server, head("GET", "/healthz", [])) is None)
        for each, request in zip(opened, asked, strict=True):
            each.sendall(request.body)
        assert {read_answer(each).status for each in opened} == {200}
    own_server.process.wait(ANSWER_S)
    assert own_server.count("events") == len(asked)
    assert "Traceback" not in own_server.printed()


def test_sigterm_gives_up_on_a_body_that_does_not_come_and_says_so(own_server: Server) -> None:
    with connection(own_server) as opened:
        begin(opened, webhook("/webhooks/github").with_headers(content_type=JSON))
        own_server.process.send_signal(signal.SIGTERM)
        assert read_answer(opened).status == 503
    own_server.process.wait(ANSWER_S)
    assert "Traceback" not in own_server.printed()
