"""`hookline doctor` finds what is broken, each thing for itself, and says what to do about it."""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from ledger.event import DeliveryState
from ledger.store import Ledger
from ledger.tables import deliveries, requests
from tests.cli.shell import Shell
from tests.engines import ON_POSTGRESQL, ON_SQLITE
from tests.ledger.making import new_event, store
from tests.servers.ports import unused_port
from tests.servers.redis import RedisServer
from tests.system.slack_stand_in import SlackStandIn

SECRETS = {
    "STRIPE_WEBHOOK_SECRET": "whsec_5Gb1cVb7QhC9mJt2RkXw8ZpL",
    "GITHUB_WEBHOOK_SECRET": "3n7vQpX2LkR9sT4wY8zB6cD1",
    "SLACK_SIGNING_SECRET": "8f742231b10e8888abcd99000aaa85a5",
}

PASSWORD = "pa55-of-nobody"


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor said."""

    status: int
    text: str
    findings: Sequence[dict[str, Any]]

    def of(self, check: str) -> list[dict[str, Any]]:
        return [each for each in self.findings if each["check"] == check]

    @property
    def problems(self) -> set[str]:
        return {each["check"] for each in self.findings if each["status"] == "problem"}

    @property
    def warnings(self) -> set[str]:
        return {each["check"] for each in self.findings if each["status"] == "warning"}


def diagnose(shell: Shell) -> Diagnosis:
    done = shell.run("doctor", "--json")
    assert done.stderr == ""
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(each.keys() == {"check", "status", "found", "fix"} for each in findings)
    assert all((each["fix"] is None) == (each["status"] == "ok") for each in findings)
    assert done.returncode == (1 if "problem" in {each["status"] for each in findings} else 0)
    return Diagnosis(done.returncode, done.stdout, findings)


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackStandIn]:
    stand_in = SlackStandIn()
    stand_in.start()
    yield stand_in
    stand_in.stop()


@pytest.fixture
def healthy(shell: Shell, broker: RedisServer, slack: SlackStandIn) -> Shell:
    """A shell in which everything is as it should be, but that no web process runs."""
    return shell.having(**SECRETS, **slack.environ, REDIS_URL=broker.url, PORT=str(unused_port()))


@ON_SQLITE
def test_a_healthy_installation_is_found_healthy(healthy: Shell, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    said = diagnose(healthy)
    busy = {"commits"}  # on a busy machine they are slow
    assert (said.status, said.problems, said.warnings - busy) == (0, set(), {"web"}), said.text
    shown = healthy.run("doctor").stdout
    assert "\n0 problems, " in shown
    assert (
        "ok       durability          journal_mode=wal, synchronous=FULL: a commit is on disk when it returns" in shown
    )


def test_everything_broken_at_once_is_told_line_by_line_without_a_password(bare_shell: Shell, tmp_path: Path) -> None:
    away = unused_port()
    rules = tmp_path / "alerts.toml"
    rules.write_text('[alerts.refund]\nchanel = "#x"\n')
    said = diagnose(
        bare_shell.having(
            DATABASE_URL=f"postgresql://hookline:{PASSWORD}@127.0.0.1:{away}/hookline",
            REDIS_URL=f"redis://:{PASSWORD}@127.0.0.1:{away}/0",
            PORT="http",
            HOOKLINE_KEEP_PAYLOAD_DAYS="-1",
            SLACK_BOT_TOKEN="xoxb-of-nobody-at-all",
            SLACK_API_URL=f"http://127.0.0.1:{away}/api/",
            HOOKLINE_ALERTS=str(rules),
        )
    )
    assert said.problems == {"settings", "alert rules", "secrets", "ledger", "broker", "slack"}
    assert "alerts.toml, line 2: alerts.refund.chanel" in said.of("alert rules")[0]["found"]
    assert [each["found"].partition(" ")[0] for each in said.of("settings")] == ["HOOKLINE_KEEP_PAYLOAD_DAYS", "PORT"]
    assert PASSWORD not in said.text
    assert "of-nobody" not in said.text


def test_a_secret_that_cannot_be_right_is_found_and_not_shown(bare_shell: Shell) -> None:
    wrong = {
        "": "is blank",
        "whsec_short": "has 11 characters",
        '"whsec_5Gb1cVb7QhC9mJt2RkXw8ZpL"': "has quotes around it",
        "whsec_5Gb1cVb7Qh\nC9mJt2RkXw8ZpL": "has a blank or a line's end in it",
        "sk_live_51Qabcdefghijklmnop": "looks like an API key of Stripe's",
        "5Gb1cVb7QhC9mJt2RkXw8ZpL": "does not begin with whsec_",
    }
    said = diagnose(
        bare_shell.having(STRIPE_WEBHOOK_SECRET=",".join(wrong), SLACK_SIGNING_SECRET="xoxb-1234567890-abc")
    )
    found = [(each["status"], each["found"]) for each in said.of("secrets stripe")]
    assert [status for status, _ in found] == ["problem"] * 5 + ["warning"]
    for number, (text, (_, sentence)) in enumerate(zip(wrong.values(), found, strict=True), start=1):
        assert sentence.startswith(f"secret {number} of STRIPE_WEBHOOK_SECRET {text}")
    assert "looks like a token of Slack's" in said.of("secrets slack")[0]["found"]
    assert not [
        secret for secret in (*wrong, "xoxb-1234567890-abc") if secret and json.dumps(secret)[1:-1] in said.text
    ]


@ON_SQLITE
def test_a_secret_of_two_sources_and_one_of_development_are_told_of(healthy: Shell, tmp_path: Path) -> None:
    key = SECRETS["STRIPE_WEBHOOK_SECRET"]
    (tmp_path / "dev-secrets.env").write_text(f"STRIPE_WEBHOOK_SECRET={key}\n")
    said = diagnose(healthy.having(GITHUB_WEBHOOK_SECRET=key))
    assert {"secrets", "secrets stripe"} <= said.warnings
    assert "development secret" in said.of("secrets stripe")[0]["found"]
    assert "share a secret" in said.of("secrets")[0]["found"]


def test_a_ledger_that_was_not_migrated_is_told_with_the_command(bare_shell: Shell, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "ledger.db").close()
    (tmp_path / "ledger.db").touch()
    [finding] = diagnose(bare_shell).of("migrations")
    assert (finding["status"], finding["fix"]) == ("problem", "run `hookline migrate`")


@ON_SQLITE
def test_what_lies_in_the_ledger_and_needs_a_person_is_told(healthy: Shell, ledger: Ledger) -> None:
    now = time.time()
    ids = store(
        ledger,
        new_event(handlers=("payments.dispute",)),
        new_event(handlers=("gone.handler",)),
        new_event(handlers=("payments.refund",)),
        new_event(handlers=("payments.look_up",)),
        new_event(secret_position=1, handlers=()),
    )
    changes: list[dict[str, Any]] = [
        {"state": DeliveryState.DEAD},
        {"state": DeliveryState.PENDING, "due_at": now - 7_200},
        {"state": DeliveryState.RUNNING, "token": "t", "started_at": now - 7_200},
        {"state": DeliveryState.DEAD},
    ]
    with ledger.write() as db:
        for each, values in zip(ids, changes, strict=True):
            db.execute(deliveries.update().where(deliveries.c.id == each).values(**values))
        db.execute(insert(requests), [rejection(now) for _ in range(37)])
    said = diagnose(healthy.having(STRIPE_WEBHOOK_SECRET=f"{SECRETS['STRIPE_WEBHOOK_SECRET']},whsec_the-older-of-both"))

    assert said.problems == {"queue", "sweeper", "rejected requests", "stripe"}, said.text
    assert {"dead", "handlers"} <= said.warnings
    assert "`hookline retry --all`" in said.of("dead")[0]["fix"]
    assert "gone.handler (1)" in said.of("handlers")[0]["found"]
    [rejected] = said.of("rejected requests")
    assert rejected["found"].startswith("slack: signature_mismatch, 37 in the last hour")
    assert rejected["fix"].startswith("set SLACK_SIGNING_SECRET to the secret")
    assert "asked about 1 event," in said.of("stripe")[0]["found"]
    assert "signed with the newest secret 4, secret 2 1" in said.of("secrets stripe")[1]["found"]


def rejection(now: float) -> dict[str, Any]:
    named = {"source": "slack", "path": "/webhooks/slack/events", "status": 401, "reason": "signature_mismatch"}
    return {**named, "received_at": now - 60, "headers": "{}"}


@ON_POSTGRESQL
def test_a_postgresql_that_does_not_wait_for_its_disk_is_a_problem(healthy: Shell) -> None:
    said = diagnose(healthy)  # the tests' own server is such a one
    assert said.problems == {"durability"}, said.text
    assert said.of("durability")[0]["fix"] == "set fsync = on and full_page_writes = on in postgresql.conf and reload"
    assert said.of("connections")[0]["status"] == "ok"


@ON_SQLITE
def test_a_broker_that_throws_messages_away_or_is_nearly_full_is_told(healthy: Shell) -> None:
    server = RedisServer({"--maxmemory": "3mb", "--maxmemory-policy": "allkeys-lru"})
    server.start()
    try:
        with server.client() as client:
            client.config_set("maxmemory", int(client.info()["used_memory"] / 0.8))
        said = diagnose(healthy.having(REDIS_URL=server.url))
        assert said.problems == {"broker eviction"}, said.text
        assert "broker memory" in said.warnings
        server.freeze()
        hung = diagnose(healthy.having(REDIS_URL=server.url))
        assert hung.problems == {"broker"}
        server.thaw()
    finally:
        server.close()


@ON_SQLITE
def test_a_clock_that_is_off_is_found_by_the_times_that_were_signed(healthy: Shell, ledger: Ledger) -> None:
    for late_s in (395, 400, 9_000):  # the last one was held up on its way
        signed_at = {"x-slack-request-timestamp": str(int(time.time()) - late_s)}
        store(ledger, new_event(source="slack", handlers=(), headers=signed_at))
    said = diagnose(healthy)
    assert said.problems == {"clock"}, said.text
    signed, broker, slack = (each["found"] for each in said.of("clock"))
    assert signed.endswith("s ahead of the times that Slack signed; at 300 s, signed requests are refused")
    assert broker.startswith("agrees with the broker's")
    assert slack.startswith("agrees with Slack's")


@ON_SQLITE
def test_what_slack_says_of_our_token_is_told(healthy: Shell, slack: SlackStandIn) -> None:
    slack.scopes = "chat:write"
    try:
        assert "slack scopes" in diagnose(healthy).warnings
    finally:
        slack.scopes = "chat:write,channels:history"
    refused = diagnose(healthy.having(SLACK_BOT_TOKEN="xoxb-another-one"))
    assert "invalid_auth" in refused.of("slack")[0]["found"]
    assert "another-one" not in refused.text
