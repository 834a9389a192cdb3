"""`trigger`, against a small HTTP server that verifies as the vendors' own SDKs do."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stripe
from slack_sdk.signature import SignatureVerifier

from cli.sample import UnknownSample, list_samples, load_sample
from cli.trigger import SECRET_VARIABLES
from tests.cli.shell import Shell

SECRET = "whsec_test_0123456789abcdef"

RECEIPT: tuple[int, str, bytes] = (200, "application/json", b'{"status":"accepted","event":7}')


@dataclass
class StandIn:
    """Where `trigger` posts to. It keeps what it verified and answers what it is told to."""

    answer: tuple[int, str, bytes] = RECEIPT
    verified: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        """Take one request."""
        if not is_signed(path, headers, body):
            return 401, "application/problem+json", b'{"title":"Unauthorized","status":401}'
        self.verified.append((path, headers, body))
        return self.answer


def is_signed(path: str, headers: dict[str, str], body: bytes) -> bool:
    if path == "/webhooks/stripe":
        try:
            stripe.Webhook.construct_event(body, headers["stripe-signature"], SECRET)
        except stripe.SignatureVerificationError:
            return False
        return True
    if path.startswith("/webhooks/slack/"):
        return SignatureVerifier(SECRET).is_valid_request(body, headers)
    expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(headers["x-hub-signature-256"], f"sha256={expected}")


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture
def shell(stand_in: StandIn, tmp_path: Path, nursery: Path) -> Iterator[Shell]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            status, content_type, content = stand_in.receive(self.path, headers, body)
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name for it
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        secrets = dict.fromkeys(SECRET_VARIABLES.values(), SECRET)
        yield Shell(tmp_path, {"PORT": str(server.server_port), **secrets}, nursery)
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("source", "type_"),
    [("stripe", "refund.created"), ("github", "ping"), ("slack", "slash_command")],
)
def test_the_vendors_own_sdks_take_what_is_sent(shell: Shell, stand_in: StandIn, source: str, type_: str) -> None:
    assert shell.run("trigger", source, type_).stdout == f"{source} {type_}: 200 accepted, event 7\n"
    ((path, headers, _),) = stand_in.verified
    assert path.startswith(f"/webhooks/{source}")
    assert headers["user-agent"] == "hookline-trigger"


def test_overrides_are_sent(shell: Shell, stand_in: StandIn) -> None:
    words = ("--override", "data.object.amount=500", "--override", "data.object.currency=jpy")
    (answer,) = shell.objects("trigger", "stripe", "payment_intent.payment_failed", *words)
    assert answer == {
        "source": "stripe",
        "type": "payment_intent.payment_failed",
        "http_status": 200,
        "status": "accepted",
        "event": 7,
    }
    sent: dict[str, Any] = json.loads(stand_in.verified[0][2])
    assert (sent["data"]["object"]["amount"], sent["data"]["object"]["currency"]) == (500, "jpy")


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (b'{"response_type":"ephemeral","text":"*Deliveries*: 21 done\\n*Alerts*: 9 kept"}',
         "200\n  *Deliveries*: 21 done\n  *Alerts*: 9 kept\n"),
        (b"", "200\n"),
        (b"\xff not json", "200 \N{REPLACEMENT CHARACTER} not json\n"),
    ],
)  # fmt: skip
def test_answers_for_slack_look_as_they_were_meant(shell: Shell, stand_in: StandIn, answer: bytes, shown: str) -> None:
    stand_in.answer = (200, "application/json", answer)
    assert shell.run("trigger", "slack", "slash_command").stdout == f"slack slash_command: {shown}"


def test_another_secret_than_the_services_is_told_as_that(shell: Shell) -> None:
    elsewhere = shell.having(STRIPE_WEBHOOK_SECRET="whsec_of_somebody_else")
    said = elsewhere.refused("trigger", "stripe", "refund.created")
    assert "was answered 401: the service has another STRIPE_WEBHOOK_SECRET than this shell" in said
    done = elsewhere.run("trigger", "stripe", "refund.created", "--json")
    assert (done.returncode, json.loads(done.stdout)["http_status"]) == (1, 401)


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        ((404, "application/problem+json", b"{}"), "without STRIPE_WEBHOOK_SECRET"),
        ((503, "application/problem+json", b"{}"), "try again"),
        ((500, "text/html", b"<h1>\x1b[31mOops</h1>"), "<h1>\N{REPLACEMENT CHARACTER}[31mOops</h1>"),
    ],
)
def test_an_answer_that_is_no_success_says_what_to_do(
    shell: Shell, stand_in: StandIn, answer: tuple[int, str, bytes], advice: str
) -> None:
    stand_in.answer = answer
    said = shell.refused("trigger", "stripe", "refund.created")
    assert said.startswith(f"stripe refund.created was answered {answer[0]}: ")
    assert advice in said


def test_a_service_that_does_not_run_is_told_as_that(shell: Shell) -> None:
    assert "`hookline dev`" in shell.having(PORT="1").refused("trigger", "github", "ping")


def test_a_secret_is_looked_for_where_dev_keeps_it(shell: Shell, stand_in: StandIn, tmp_path: Path) -> None:
    bare = replace(shell, variables={"PORT": shell.variables["PORT"]})
    assert "set STRIPE_WEBHOOK_SECRET" in bare.refused("trigger", "stripe", "refund.created")
    (tmp_path / "dev-secrets.env").write_text(f"STRIPE_WEBHOOK_SECRET={SECRET}\n")
    assert bare.run("trigger", "stripe", "refund.created").returncode == 0
    assert len(stand_in.verified) == 1


def test_the_samples_are_listed(bare_shell: Shell) -> None:
    every = [f"{source} {type_}" for source in SECRET_VARIABLES for type_ in list_samples(source)]
    assert bare_shell.run("trigger").stdout.splitlines() == every
    assert bare_shell.run("trigger", "slack").stdout.splitlines() == list_samples("slack")
    assert {"source": "slack", "type": "app_mention"} in bare_shell.objects("trigger", "slack")


def test_a_type_that_is_nearly_right_is_understood(bare_shell: Shell) -> None:
    assert "did you mean charge.refunded" in bare_shell.refused("trigger", "stripe", "charge.refund")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("charge.dispute.create", "charge.dispute.created"), ("payout", "payout.paid"), ("refunded", "charge.refunded")],
)
def test_a_type_is_guessed_from_its_spelling_or_a_part_of_it(typed: str, meant: str) -> None:
    with pytest.raises(UnknownSample) as caught:
        load_sample("stripe", typed)
    assert meant in str(caught.value).partition("did you mean ")[2].partition("?")[0]


def test_a_source_or_an_override_that_cannot_be_is_wrong_usage(bare_shell: Shell) -> None:
    assert bare_shell.run("trigger", "paypal").returncode == 2
    assert bare_shell.run("trigger", "stripe", "refund.created", "--override", "amount").returncode == 2
    said = bare_shell.refused("trigger", "stripe", "refund.created", "--override", "data.amounts.0=1")
    assert said == "data.amounts.0: there is no 'amounts' in this sample"
