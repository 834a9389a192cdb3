"""The buttons of a case: what a press does, who may press, and that it does so once."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from cli.sample import SAMPLED_AT, load_sample
from handlers.notifications.buttons import SNOOZE_S
from handlers.notifications.reminder import render_reminder
from handlers.router import Router
from ledger import line
from ledger.effects import read_message
from ledger.tables import cases, channels, deliveries, effects, replays
from tests.engines import DESK_ON_SQLITE
from tests.handlers.desk import Desk, Post, open_desk, sample

pytestmark = DESK_ON_SQLITE

MARA, JON = "U0QKMARA01", "U0QKJON002"
KEY = "stripe/dispute/-/live/du_1SAMPLE0000"


@pytest.fixture
def desk(engine: Engine, router: Router) -> Iterator[Desk]:
    with open_desk(engine, router, allowed_users=frozenset({MARA})) as desk:
        desk.deliver(dispute("created"))
        yield desk


def dispute(what: str, **changes: Any) -> dict[str, Any]:
    same: dict[str, Any] = {"livemode": True, "data__object__id": "du_1SAMPLE0000"}
    return sample(f"charge.dispute.{what}", **same, **changes)


def press(desk: Desk, action: str, *, user: str = MARA, value: str | None = KEY, name: str = "press.1") -> None:
    payload = json.loads(json.dumps(load_sample("slack", "block_actions").payload))
    payload["user"]["id"] = user
    payload["actions"][0] |= {"action_id": action, "value": value}
    desk.deliver(payload | {"id": name}, source="slack", type_="block_actions")


def case(desk: Desk) -> dict[str, Any]:
    return desk.rows(cases)[0]


def message(desk: Desk) -> Post:
    (found,) = (post for post in desk.posts() if post.key == KEY)
    return found


def buttons(post: Post) -> list[str]:
    (actions,) = (block["elements"] for block in post.blocks if block["type"] == "actions")
    return [each["text"]["text"] for each in actions]


def whispers(desk: Desk) -> list[tuple[str, str]]:
    """Give what was said to one person only, with who that is."""
    told = [read_message(text) for text in desk.db.execute(select(effects.c.message).order_by(effects.c.id)).scalars()]
    return [(each["user"], each["text"]) for each in told if "user" in each]


def threads(desk: Desk) -> dict[str, str]:
    return {key.removeprefix(f"{KEY}/").partition("/")[0]: each.text for key, each in desk.lines().items()}


def test_an_open_case_can_be_acknowledged_snoozed_opened_in_stripe_and_replayed(desk: Desk) -> None:
    assert buttons(message(desk)) == ["Acknowledge", "Snooze 24 h", "Open in Stripe", "Replay"]


def test_without_anybody_who_may_press_there_is_only_the_link(engine: Engine, router: Router) -> None:
    with open_desk(engine, router) as desk:
        desk.deliver(dispute("created"))
        assert buttons(message(desk)) == ["Open in Stripe"]


def test_acknowledging_says_who_has_it_and_since_when(desk: Desk) -> None:
    press(desk, "acknowledge")
    assert (case(desk)["acknowledged_by"], case(desk)["acknowledged_at"]) == (MARA, SAMPLED_AT)
    assert f"Acknowledged by <@{MARA}>, 30 Oct 2026, 12:00 UTC" in json.dumps(message(desk).blocks)
    assert buttons(message(desk)) == ["Snooze 24 h", "Open in Stripe", "Replay"]
    assert threads(desk) == {"acknowledged": f"<@{MARA}> has it in hand."}


def test_the_second_who_acknowledges_is_told_who_was_first(engine: Engine, router: Router) -> None:
    with open_desk(engine, router, allowed_users=frozenset({"*"})) as desk:
        desk.deliver(dispute("created"))
        press(desk, "acknowledge")
        press(desk, "acknowledge", user=JON, name="press.2")
        assert whispers(desk) == [(JON, f"<@{MARA}> has it in hand, since 30 Oct 2026, 12:00 UTC.")]
        assert case(desk)["acknowledged_by"] == MARA


@pytest.mark.parametrize("action", ["acknowledge", "snooze", "replay"])
def test_who_may_not_press_is_told_so_alone_and_nothing_happens(desk: Desk, action: str) -> None:
    before = (case(desk), message(desk))
    press(desk, action, user=JON)
    press(desk, action, user=JON)  # Slack's own retry
    assert (case(desk), message(desk)) == before
    assert whispers(desk) == [(JON, "You may not press this. SLACK_ALLOWED_USERS names those who may.")]
    assert (threads(desk), desk.rows(replays)) == ({}, [])


@pytest.mark.parametrize("action", ["acknowledge", "snooze"])
def test_a_case_that_is_over_needs_nobody(desk: Desk, action: str) -> None:
    desk.deliver(dispute("closed"))
    press(desk, action)
    assert whispers(desk) == [(MARA, "This is over: the money is ours again.")]
    assert buttons(message(desk)) == ["Open in Stripe", "Replay"]


def test_a_button_of_a_case_that_nobody_knows_any_more_says_so(desk: Desk) -> None:
    press(desk, "acknowledge", value="stripe/dispute/-/live/du_forgotten")
    assert whispers(desk) == [(MARA, "Hookline does not know this case any more.")]


@pytest.mark.parametrize(("action", "value"), [("open", None), ("seen", "du_1"), ("acknowledge", None)])
def test_what_is_not_ours_does_nothing(desk: Desk, action: str, value: str | None) -> None:
    press(desk, action, value=value)
    assert (whispers(desk), threads(desk)) == ([], {})


def test_snoozing_says_until_when_and_a_reminder_comes_then(desk: Desk) -> None:
    press(desk, "snooze")
    press(desk, "snooze")
    assert case(desk)["snoozed_until"] == SAMPLED_AT + SNOOZE_S
    assert "Snoozed until 31 Oct 2026, 12:00 UTC" in json.dumps(message(desk).blocks)
    assert threads(desk)["snoozed"] == f"<@{MARA}> snoozed it until 31 Oct 2026, 12:00 UTC."
    reminder = claim_reminder(desk, SAMPLED_AT + SNOOZE_S)
    assert reminder is not None
    assert reminder["broadcast"]
    assert reminder["text"].startswith("The snooze is over, and this is still open: Dispute opened: $49.00")


def test_when_the_snooze_is_over_the_message_says_no_more_that_there_is_one(desk: Desk) -> None:
    press(desk, "acknowledge")
    press(desk, "snooze", name="press.2")
    assert claim_reminder(desk, SAMPLED_AT + SNOOZE_S) is not None
    assert "Snoozed until" not in json.dumps(message(desk).blocks)
    assert "Acknowledged by" in json.dumps(message(desk).blocks)
    states = select(effects.c.state).where(effects.c.key == KEY)
    assert desk.db.execute(states).scalar_one() == "planned"  # to be changed where it is


def asked(what: str, status: str, at_s: int) -> dict[str, Any]:
    """Make an event of an inquiry, which may become a dispute."""
    of = dispute("created", data__object__status=status)
    return {**of, "id": f"evt_{status}_{at_s}", "type": f"charge.dispute.{what}", "created": of["created"] + at_s}


def posted(desk: Desk) -> None:  # what a sender does
    desk.db.execute(update(cases).values(channel_id="C1", ts="1.0"))


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("warning_closed", f"Acknowledged by <@{MARA}>, 30 Oct 2026, 12:00 UTC, before it was opened again"),
        ("warning_under_review", f"Acknowledged by <@{MARA}>, 30 Oct 2026, 12:00 UTC, before it got worse"),
    ],
)
def test_a_case_that_comes_back_or_gets_worse_was_acknowledged_before_that_and_is_loud(
    engine: Engine, router: Router, status: str, told: str
) -> None:
    with open_desk(engine, router, allowed_users=frozenset({MARA})) as desk:
        desk.deliver(asked("created", "warning_needs_response", 0))
        press(desk, "acknowledge")
        press(desk, "snooze", name="press.2")
        posted(desk)
        desk.deliver(asked("updated", status, 60))
        assert "again" not in threads(desk)
        desk.deliver(asked("updated", "needs_response", 120))
        desk.deliver(asked("updated", "needs_response", 120))
        assert told in json.dumps(message(desk).blocks)
        assert "Snoozed until" not in json.dumps(message(desk).blocks)
        assert buttons(message(desk))[0] == "Acknowledge"
        assert "Dispute opened: $49.00" in threads(desk)["again"]
        again = desk.db.execute(select(effects.c.message).where(effects.c.key.like("%/again/%"))).scalar_one()
        assert read_message(again)["broadcast"]
        press(desk, "acknowledge", name="press.3")
        assert "before it" not in json.dumps(message(desk).blocks)
        assert buttons(message(desk)) == ["Snooze 24 h", "Open in Stripe", "Replay"]


def test_a_refund_that_fails_after_it_was_told_is_loud_and_can_be_taken_in_hand(desk: Desk) -> None:
    desk.deliver(sample("refund.created", livemode=True))
    posted(desk)
    desk.deliver(sample("refund.failed", livemode=True))
    (refund,) = (post for post in desk.posts() if "/refund/" in post.key)
    assert refund.header == "Refund failed: $49.00 (card expired or canceled)"
    assert buttons(refund) == ["Acknowledge", "Snooze 24 h", "Open in Stripe", "Replay"]
    (again,) = (line for key, line in desk.lines().items() if "/again/" in key)
    assert again.text == (
        "Needs somebody now: Refund failed: $49.00 (card expired or canceled); "
        "the money is back in our Stripe balance: pay the customer back in another way"
    )


def test_there_is_no_reminder_of_a_case_that_has_healed_or_was_snoozed_again(desk: Desk) -> None:
    press(desk, "snooze")
    desk.db.execute(update(cases).values(snoozed_until=SAMPLED_AT + 2 * SNOOZE_S))
    assert claim_reminder(desk, SAMPLED_AT + SNOOZE_S) is None
    desk.db.execute(update(cases).values(snoozed_until=SAMPLED_AT + SNOOZE_S))
    desk.deliver(dispute("closed"))
    assert claim_reminder(desk, SAMPLED_AT + SNOOZE_S) is None


def claim_reminder(desk: Desk, now: float) -> dict[str, Any] | None:
    """Give the reminder as it would be sent: not before its time, as if all before it were sent."""
    mine = effects.c.key.like("%/reminder/%")
    desk.db.execute(update(effects).where(~mine).values(state="sent", channel_id="C1", ts="1.0"))
    desk.db.execute(update(effects).where(mine).values(state="planned", token=None))
    desk.db.execute(update(channels).values(next_at=0))
    assert line.claim_next(desk.db, token="t", now=now - 1) is None
    effect = line.claim_next(desk.db, token="t", now=now)
    assert effect is not None
    assert effect.thread is not None
    written = render_reminder(desk.db, effect)
    return None if written is None else dict(written.message)


def test_replay_runs_the_cases_latest_event_again_once_a_press(desk: Desk) -> None:
    desk.db.execute(update(deliveries).values(state="done"))
    press(desk, "replay")
    press(desk, "replay")
    (replay,) = desk.rows(replays)
    assert (replay["who"], replay["items"], replay["again"]) == (f"Slack {MARA}", 1, False)
    first = desk.rows(deliveries)[0]
    assert (first["state"], first["trigger"], first["replay_id"]) == ("pending", "replay", replay["id"])
    assert threads(desk) == {
        "replayed": f"<@{MARA}> replayed event 1 (replay {replay['id']}). What was told is not told again."
    }


def test_what_runs_at_this_moment_is_not_replayed(desk: Desk) -> None:
    press(desk, "replay")
    assert desk.rows(replays) == []
    assert whispers(desk)[0][1].startswith("There is nothing to replay")
