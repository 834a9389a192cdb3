"""`hookline alerts`: what a rule means, what an event would post, whether a channel can be posted to."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from handlers.router import load_router
from ledger.event import NewDelivery
from ledger.store import Ledger
from ledger.tables import effects, metadata
from tests.cli.shell import Shell
from tests.handlers.desk import sample
from tests.ledger.making import new_event, store
from tests.system.slack_stand_in import CHANNELS, SlackStandIn

OPENED, WON = "charge.dispute.created", "charge.dispute.closed"


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    slack = SlackStandIn()
    slack.start()
    yield slack
    slack.stop()


@pytest.fixture
def with_slack(shell: Shell, slack: SlackStandIn) -> Shell:
    return shell.having(**slack.environ)


def receive(ledger: Ledger, type_: str, **changes: Any) -> str:
    """Store an event as intake does; give its external id."""
    payload = sample(type_, **changes)
    wanted = [NewDelivery(handler=each.name, queue=each.queue) for each in load_router().matching("stripe", type_)]
    event = new_event(key=payload["id"], type=type_, body=json.dumps(payload).encode(), handlers=())
    store(ledger, event._replace(deliveries=tuple(wanted)))
    return str(payload["id"])


def rows(ledger: Ledger) -> dict[str, int]:
    """Count the rows of every table."""
    with ledger.read() as db:
        return {
            table.name: db.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def test_rules_that_are_fine_are_shown_and_those_that_are_not_are_named_with_their_lines(
    shell: Shell, tmp_path: Path
) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text('[digest]\nat = "07:30"\n[alerts.refund]\npost = false\n')
    mine = shell.having(HOOKLINE_ALERTS=str(path))
    said = {view["kind"]: view for view in mine.objects("alerts", "check")}
    assert said["refund"]["channel"] == "not posted"
    assert "digest: 07:30 UTC, #finance" in mine.run("alerts", "check").stdout
    path.write_text('[digest]\nat = "25:00"\n[alerts.refund]\nchanel = "#x"\n')
    refused = mine.run("alerts", "check")
    assert refused.returncode == 1
    assert [f"line {number}" in line for number, line in zip((2, 4), refused.stderr.splitlines(), strict=True)] == [
        True,
        True,
    ]


def test_a_preview_shows_what_an_event_would_post_and_changes_nothing(shell: Shell, ledger: Ledger) -> None:
    opened = receive(ledger, OPENED, id="evt_opened", livemode=True)
    before = rows(ledger)
    [message] = shell.objects("alerts", "preview", opened)
    assert message["channel"] == "#finance"
    assert message["text"].startswith("Dispute opened: $49.00")
    assert {"type", "text"} <= message["blocks"][0].keys()
    shown = shell.run("alerts", "preview", opened).stdout
    assert "┌─ #finance" in shown
    assert "by notifications.dispute" in shown
    assert rows(ledger) == before


def test_a_preview_shows_the_lines_for_the_thread_too(shell: Shell, ledger: Ledger) -> None:
    closed = receive(ledger, WON, id="evt_won", livemode=True, data__object__status="won")
    message, line = shell.objects("alerts", "preview", closed)
    assert line["thread_of"] == message["key"]
    assert line["text"].startswith("Won: the money is ours. (")


def test_a_preview_goes_by_the_rules(shell: Shell, ledger: Ledger, tmp_path: Path) -> None:
    opened = receive(ledger, OPENED, id="evt_opened", livemode=True)
    [known] = shell.objects("alerts", "preview", opened)
    path = tmp_path / "alerts.toml"
    path.write_text("[alerts.dispute]\nat_least = { usd = 50 }\n")
    done = shell.having(HOOKLINE_ALERTS=str(path)).run("alerts", "preview", opened)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("it would post nothing: the rule [alerts.dispute] does not want it (it is under its")
    # What was told once would be told on; a preview goes by the rules as if it had not been.
    about = {"event_id": 1, "delivery_id": 1, "channel": "#finance", "state": "sent", "planned_at": 0, "due_at": 0}
    with ledger.write() as db:
        db.execute(insert(effects), about | {"key": known["key"], "message": '{"text": "x"}'})
    again = shell.having(HOOKLINE_ALERTS=str(path)).run("alerts", "preview", opened)
    assert (again.stdout, again.stderr) == ("", done.stderr)
    paid = receive(ledger, "payment_intent.succeeded", id="evt_paid", livemode=True)
    assert "no handler tells anybody of it" in shell.run("alerts", "preview", paid).stderr
    assert "no event nowhere" in shell.refused("alerts", "preview", "nowhere")


def test_a_trial_is_posted_to_the_channel_that_a_team_has(with_slack: Shell) -> None:
    moved = with_slack.having(SLACK_FINANCE_CHANNEL="#engineering")
    expected = f"posted to #engineering ({CHANNELS['#engineering']}), which SLACK_FINANCE_CHANNEL names\n"
    assert moved.run("alerts", "test", "finance").stdout == expected
    assert moved.objects("alerts", "test", "#finance")[0]["channel"] == "#finance"


def test_a_trial_is_posted_where_it_can_be(with_slack: Shell, slack: SlackStandIn) -> None:
    [said] = with_slack.objects("alerts", "test", "finance")
    assert (said["channel"], said["channel_id"]) == ("#finance", CHANNELS["#finance"])
    assert [post.text for post in slack.posts] == ["Hookline can post here"]
    assert slack.refused == []


@pytest.mark.parametrize(
    ("variables", "channel", "words"),
    [
        ({"SLACK_BOT_TOKEN": ""}, "finance", "SLACK_BOT_TOKEN is unset"),
        ({}, "#nowhere", "channel_not_found: there is no such channel"),
        ({"SLACK_BOT_TOKEN": "xoxb-of-somebody-else"}, "finance", "invalid_auth: SLACK_BOT_TOKEN is no token"),
        ({"SLACK_API_URL": "http://127.0.0.1:9/api/"}, "finance", "Slack cannot be reached: ConnectionRefusedError"),
    ],
)
def test_a_trial_that_fails_says_what_is_wrong(
    with_slack: Shell, variables: dict[str, str], channel: str, words: str
) -> None:
    assert words in with_slack.having(**variables).refused("alerts", "test", channel)


def test_what_was_folded_into_one_message_is_listed(shell: Shell, ledger: Ledger) -> None:
    store(ledger, new_event())
    about = {"event_id": 1, "delivery_id": 1, "channel": "#finance", "state": "sent", "planned_at": 0, "due_at": 0}
    about |= {"message": '{"text": "Payment failed", "blocks": []}', "amount": 4_900, "currency": "usd"}
    with ledger.write() as db:
        db.execute(insert(effects), [about | {"key": str(n), "folded_into": 4_711} for n in range(3)])
    found = shell.objects("alerts", "folded", "4711")
    assert [(each["amount"], each["currency"], each["text"]) for each in found] == [
        (4_900, "usd", "Payment failed")
    ] * 3
    assert "$49.00" in shell.run("alerts", "folded", "4711").stdout


def test_a_digest_is_shown_and_changes_nothing(shell: Shell, ledger: Ledger) -> None:
    receive(ledger, OPENED, id="evt_opened", livemode=True)
    before = rows(ledger)
    [message] = shell.objects("alerts", "digest", "--date", "2026-11-01")
    assert (message["day"], message["channel"]) == ("2026-11-01", "#finance")
    assert message["text"].startswith("Sunday, 1 November 2026 in figures")
    assert "Hookline event" not in json.dumps(message)  # there is none before somebody enters it
    assert "└─ shown, not posted\n" in shell.run("alerts", "digest").stdout
    assert shell.run("alerts", "digest", "--date", "9999-01-01").returncode == 2
    assert rows(ledger) == before


def test_a_message_that_quiet_hours_hold_says_until_when(shell: Shell, ledger: Ledger) -> None:
    store(ledger, new_event())
    about = {"event_id": 1, "delivery_id": 1, "channel": "#finance", "state": "planned", "planned_at": 0}
    until = {"due_at": 4_000_000_000, "held_until": 4_000_000_000}
    with ledger.write() as db:
        db.execute(insert(effects), about | until | {"key": "stripe/refund/1", "message": '{"text": "Refund"}'})
    shown = shell.run("events", "get", "1").stdout
    assert "#finance  planned  held until 2096-10-02 07:06:40 UTC: quiet hours" in shown
