"""What is forwarded verifies at the other end, as the vendors' own SDKs judge, and goes nowhere else."""

import hashlib
import hmac
import socket
import threading
import time

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier
from sqlalchemy import update

from cli.errors import NotDone
from cli.forward.resigning import Stored, headers_for
from cli.forward.sending import post
from cli.forward.target import resolve
from ledger.store import Ledger
from ledger.tables import events
from tests.cli.laptop import SECRET, serving
from tests.cli.shell import Shell
from tests.ledger.making import new_event, store

BODY = '{"id": "evt_1", "object": "event", "type": "charge.refunded", "note": "ä"}\n'.encode()


def verifies(source: str, body: bytes, headers: dict[str, str]) -> bool:
    if source == "stripe":
        try:
            stripe.WebhookSignature.verify_header(body.decode(), headers["stripe-signature"], SECRET, tolerance=300)
        except stripe.SignatureVerificationError:
            return False
        return True
    if source == "slack":
        return SignatureVerifier(SECRET).is_valid_request(body, headers)
    expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers["x-hub-signature-256"])


def stored(source: str, body: bytes, headers: dict[str, str]) -> Stored:
    return Stored(
        id=7, source=source, external_id="evt_1", type="x", content_type="application/json", headers=headers, body=body
    )


@given(body=st.text().map(str.encode), source=st.sampled_from(["stripe", "github", "slack"]))
def test_every_body_is_signed_so_that_its_vendors_sdk_takes_it(body: bytes, source: str) -> None:
    headers = headers_for(stored(source, body, {}), SECRET, now=time.time(), attempt=1, trigger="replay")
    assert verifies(source, body, headers)


def test_the_providers_headers_stay_and_those_of_the_way_and_the_old_signature_go() -> None:
    came = {
        "X-GitHub-Event": "push",
        "x-hub-signature": "sha1=0",
        "transfer-encoding": "chunked",
        "connection": "close",
        "x-forwarded-for": "203.0.113.7",
        "authorization": "[redacted]",
        "bad name": "x",
        "host": "hooks.example.com",
    }
    headers = headers_for(stored("github", b"{}", came), SECRET, now=1.0, attempt=2, trigger="replay")
    assert set(headers) == {
        "x-github-event", "content-type", "x-hub-signature-256",
        "hookline-event-id", "hookline-external-id", "hookline-attempt", "hookline-trigger",
    }  # fmt: skip
    assert (headers["hookline-event-id"], headers["hookline-attempt"], headers["hookline-trigger"]) == (
        "7", "2", "replay",
    )  # fmt: skip


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/x", "http://[2001:db8::1]/", "http://[::ffff:192.0.2.1]/", "http://0.0.0.0:1/"]
)
def test_another_machine_is_refused_unless_it_is_allowed(url: str) -> None:
    with pytest.raises(NotDone, match="--allow-remote"):
        resolve(url, allow_remote=False)
    assert resolve(url, allow_remote=True).url == url


@pytest.mark.parametrize(
    "url",
    ["ftp://localhost/", "localhost:3000", "http://a:b@localhost/", "http://", "http://localhost:x/", "http://[/"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(NotDone):
        resolve(url, allow_remote=True)


def test_a_redirect_is_shown_and_not_followed() -> None:
    with serving(307, location="http://192.0.2.1/") as (url, came):
        headers = headers_for(stored("stripe", BODY, {}), SECRET, now=time.time(), attempt=1, trigger="replay")
        answer = post(resolve(url, allow_remote=False), headers, BODY)
    assert (answer.status, answer.ok, len(came)) == (307, False, 1)


def test_what_does_not_listen_is_an_answer_too() -> None:
    answer = post(resolve("http://127.0.0.1:1/", allow_remote=False), {}, b"")
    assert (answer.status, answer.ok) == (None, False)
    assert answer.error


def test_an_answer_that_never_ends_is_given_up_at_the_deadline() -> None:
    """Each byte comes in time, and all of them do not."""

    def drip() -> None:
        opened, _ = listener.accept()
        with opened:
            opened.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            while not over.wait(0.05):
                try:
                    opened.sendall(b"x")
                except OSError:
                    return

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        target = resolve(f"http://127.0.0.1:{listener.getsockname()[1]}/", allow_remote=False)
        answer = post(target, {}, b"{}", timeout_s=1)
        over.set()
        thread.join()
    assert (answer.status, answer.error, answer.connected) == (None, "no answer within 1 s", True)
    assert 1 <= answer.took_s < 20


def test_the_command_sends_the_original_bytes_and_fails_when_the_answer_does(shell: Shell, ledger: Ledger) -> None:
    store(ledger, new_event(key="evt_1", body=BODY, headers={"user-agent": "Stripe/1.0"}))
    with serving() as (url, came):
        done = shell.run("forward", "evt_1", "--to", url, "--secret", SECRET)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("event 1 charge.refunded: 200 in ")
        assert done.stdout.endswith("seen\N{REPLACEMENT CHARACTER}[31m\n")
    ((path, headers, body),) = came
    assert (path, headers["user-agent"], body) == ("/webhooks/stripe?a=1", "Stripe/1.0", BODY)
    assert headers["hookline-event-id"] == "1"
    with serving(500) as (url, _):
        done = shell.run("forward", "1", "--to", url, "--secret", SECRET)
        assert (done.returncode, done.stderr) == (1, "hookline: 1 of 1 was not answered with a 2xx\n")


def test_what_has_no_payload_any_more_is_said_and_nothing_is_sent(shell: Shell, ledger: Ledger) -> None:
    store(ledger, new_event(key="evt_1", body=BODY), new_event(key="evt_2", body=BODY))
    with ledger.write() as db:
        db.execute(update(events).where(events.c.id == 2).values(payload_pruned_at=1.0))
    with serving() as (url, came):
        said = shell.refused("forward", "1", "2", "--to", url, "--secret", SECRET)
    assert (said, came) == ("the payload of 1 event was pruned; nothing was sent", [])
