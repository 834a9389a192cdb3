"""`trigger`, against a small HTTP server that verifies as the vendors' own SDKs do."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stripe
from slack_sdk.signature import SignatureVerifier

from cli.posting import SECRET_VARIABLES
from cli.sample import UnknownSample, list_samples, load_sample
from cli.scenario import SCENARIOS
from tests.cli.shell import Shell
from tests.cli.test_sessions import SESSIONS, replay

SECRET = "whsec_test_0123456789abcdef"

RECEIPT: tuple[int, str, bytes] = (200, "application/json", b'{"status":"accepted","event":7}')


@dataclass
class StandIn:
    """Where `trigger` posts to. It keeps what it verified and answers what it is told to."""

    answer: tuple[int, str, bytes] = RECEIPT
    counts: bool = False  # in its receipts
    verified: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        """Take one request."""
        if not is_signed(path, headers, body):
            return 401, "application/problem+json", b'{"title":"Unauthorized","status":401}'
        self.verified.append((path, headers, body))
        if self.counts:
            return 200, "application/json", b'{"status":"accepted","event":%d}' % len(self.verified)
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


def test_overrides_additions_and_removals_are_sent(shell: Shell, stand_in: StandIn) -> None:
    words = ("--override", "data.object.amount=500", "--override", "data.object.currency=jpy")
    added = ("--add", "data.object.metadata.order=6735")
    gone = ("--remove", "data.object.customer", "--remove", "data.object.last_payment_error.code")
    (answer,) = shell.objects("trigger", "stripe", "payment_intent.payment_failed", *words, *added, *gone)
    assert answer == {
        "source": "stripe",
        "type": "payment_intent.payment_failed",
        "http_status": 200,
        "status": "accepted",
        "event": 7,
    }
    sent: dict[str, Any] = json.loads(stand_in.verified[0][2])
    assert (sent["data"]["object"]["amount"], sent["data"]["object"]["currency"]) == (500, "jpy")
    assert sent["data"]["object"]["metadata"]["order"] == 6735
    assert "customer" not in sent["data"]["object"]
    assert "code" not in sent["data"]["object"]["last_payment_error"]


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
    every = {f"{source} {type_}" for source in SECRET_VARIABLES for type_ in list_samples(source)}
    listed = bare_shell.run("trigger", "--list").stdout.splitlines()
    assert {line for line in listed if "scenario:" not in line} == every
    assert bare_shell.run("trigger").stdout.splitlines() == listed
    stories = [line for line in bare_shell.run("trigger", "stripe").stdout.splitlines() if line.startswith("scenario:")]
    assert [line.split("  ")[0] for line in stories] == [f"scenario:{name}" for name in SCENARIOS]
    assert all(line.endswith(scenario.about) for line, scenario in zip(stories, SCENARIOS.values(), strict=True))
    assert bare_shell.run("trigger", "slack").stdout.splitlines() == list_samples("slack")
    assert {"source": "slack", "type": "app_mention"} in bare_shell.objects("trigger", "slack")


def test_a_type_that_is_nearly_right_is_understood(bare_shell: Shell) -> None:
    said = bare_shell.refused("trigger", "stripe", "charge.refund")
    assert said.startswith("no sample of stripe charge.refund; did you mean charge.refund.updated or charge.refunded")
    assert said.endswith("`hookline trigger stripe` lists what there is")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("charge.dispute.create", "charge.dispute.created"),
        ("payout", "payout.created"),
        ("refunded", "charge.refunded"),
    ],
)
def test_a_type_is_guessed_from_its_spelling_or_a_part_of_it(typed: str, meant: str) -> None:
    with pytest.raises(UnknownSample) as caught:
        load_sample("stripe", typed)
    assert meant in str(caught.value).partition("did you mean ")[2].partition("?")[0]


def test_a_source_or_an_override_that_cannot_be_is_wrong_usage(bare_shell: Shell) -> None:
    assert bare_shell.run("trigger", "paypal").returncode == 2
    assert bare_shell.run("trigger", "stripe", "refund.created", "--override", "amount").returncode == 2
    said = bare_shell.refused("trigger", "stripe", "refund.created", "--override", "data.object.amuont=1")
    assert said.endswith("--add data.object.amuont=1 puts it there")
    said = bare_shell.refused("trigger", "stripe", "refund.created", "--add", "data.amounts.0=1")
    assert said == "data.amounts.0: there is no 'amounts' in this sample"
    said = bare_shell.refused("trigger", "stripe", "scenario:dispute-lost", "--remove", "data.object.amuont")
    assert said == "data.object.amuont: there is no such key in this sample"


def stories(stand_in: StandIn) -> list[dict[str, Any]]:
    return [json.loads(body) for _, _, body in stand_in.verified]


def test_a_story_is_told_in_order_and_again_in_the_order_of_its_seed(shell: Shell, stand_in: StandIn) -> None:
    done = shell.run("trigger", "stripe", "scenario:dispute-lost")
    told = stories(stand_in)
    in_order = [step.type for step in SCENARIOS["dispute-lost"].steps]
    assert [event["type"] for event in told] == in_order
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [f"stripe {type_}" for type_ in in_order]
    stand_in.verified.clear()
    for _ in range(2):
        shell.run("trigger", "stripe", "scenario:dispute-lost", "--shuffle", "--seed", "7")
    shuffled = [event["type"] for event in stories(stand_in)]
    assert sorted(shuffled[:7]) == sorted(in_order)
    assert shuffled[:7] == shuffled[7:]
    assert shuffled[:7] != in_order


def test_many_are_sent_at_a_rate_each_with_new_ids_and_counted(shell: Shell, stand_in: StandIn) -> None:
    began = time.monotonic()
    done = shell.run("trigger", "stripe", "payout.paid", "--count", "25", "--rate", "50/s")
    assert time.monotonic() - began > 24 / 50
    assert done.stdout.startswith("stripe payout.paid: 25 accepted in ")
    assert len({event["id"] for event in stories(stand_in)}) == 25
    assert len(shell.objects("trigger", "stripe", "payout.paid", "--count", "25")) == 25


def test_many_end_with_the_first_that_is_refused(shell: Shell, stand_in: StandIn) -> None:
    stand_in.answer = (503, "application/problem+json", b"{}")
    assert "answered 503" in shell.refused("trigger", "stripe", "payout.paid", "--count", "100")
    assert len(stand_in.verified) == 1


@pytest.mark.parametrize(
    ("words", "status", "hint"),
    [
        (("scenario:dispute-los",), 1, "there is payment-refunded"),
        (("payout.paid", "--rate", "0"), 2, "50/s"),
        (("payout.paid", "--seed", "1"), 2, "--shuffle"),
    ],
)
def test_what_cannot_be_told_says_why(bare_shell: Shell, words: tuple[str, ...], status: int, hint: str) -> None:
    done = bare_shell.run("trigger", "stripe", *words)
    assert done.returncode == status
    assert hint in done.stderr


def test_what_the_manual_shows_of_triggers_is_what_people_see(shell: Shell, stand_in: StandIn) -> None:
    stand_in.counts = True
    session = (SESSIONS / "trigger.txt").read_text()
    assert replay(shell, session) == session
