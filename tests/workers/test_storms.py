"""The line of a channel, and what becomes of it in a storm: against a Slack that refuses what comes too fast."""

import os
import time
import tracemalloc
from itertools import pairwise

import pytest
from sqlalchemy import event, func, insert, select, update

from ledger import again, effects, line
from ledger.effects import About
from ledger.store import Ledger, insert_or_ignore
from ledger.tables import cases, channels, storms
from ledger.tables import effects as effects_table
from tests.engines import ON_BOTH, SQLITE
from tests.ledger.making import new_event, store
from tests.system.slack_stand_in import FINANCE, SlackStandIn, Trouble
from tests.workers.planning import ABOUT, FOLD_AT, let_time_pass, message, plan, send_all, show, states
from workers.send import Sender

MANY = int(os.environ.get("HOOKLINE_STORM", "600"))
# Ten thousand take ten seconds; it has been tried, and may be tried again.


@pytest.fixture(params=[SQLITE])
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, but for what the two databases do in ways of their own."""
    kind: str = request.param
    return kind


CASE = {
    "kind": "dispute",
    "account": "",
    "state": "open",
    "status": "",
    "title": "",
    "facets": "{}",
    "opened_at": 0,
    "changed_at": 0,
    "channel": FINANCE,
}


def plan_many(ledger: Ledger, first: int, count: int, *, now: float) -> None:
    """Plan in one statement what that many handlers would have planned."""
    rows = [
        {
            "event_id": 1,
            "delivery_id": 1,
            "key": f"failed/{number}",
            "channel": FINANCE,
            "message": '{"text": "Payment failed", "blocks": [], "link": "https://dashboard.stripe.com/payments/pi"}',
            "state": "planned",
            "planned_at": now,
            "due_at": now,
            "alike": ABOUT.alike,
            "fold_at": FOLD_AT,
            "amount": 1_000 + number % 7,
            "currency": ("usd", "eur")[number % 2],
            "customer": f"cus_{number % 38}",
            "reason": "insufficient_funds" if number % 100 < 61 else "expired_card",
        }
        for number in range(first, first + count)
    ]
    with ledger.write() as db:
        db.execute(insert_or_ignore(db, channels), {"name": FINANCE})
        db.execute(insert(effects_table), rows)


@ON_BOTH
def test_a_channel_gets_one_message_at_a_time_with_a_seconds_rest_between(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    store(ledger, new_event())
    plan(ledger, "a", "b", "c")
    send_all(ledger, sender)
    assert [post.key for post in slack.posts] == ["a", "b", "c"]
    called = [call.at for call in slack.calls_of("chat.postMessage")]
    assert all(later - earlier >= line.REST_S for earlier, later in pairwise(called))


@ON_BOTH
def test_a_channel_that_is_known_by_two_names_is_one_channel(ledger: Ledger, slack: SlackStandIn) -> None:
    store(ledger, new_event())
    plan(ledger, "a")
    plan(ledger, "b", channel="C0QKFINAN1")
    with ledger.write() as db:
        db.execute(update(channels).where(channels.c.name == FINANCE).values(channel_id="C0QKFINAN1"))
        taken = [line.claim_next(db, token=token, now=time.time()) for token in ("one", "two")]
    assert [effect and effect.key for effect in taken] == ["a", None]
    assert slack.posts == []


@ON_BOTH
def test_what_reads_otherwise_is_changed_where_it_is_and_its_thread_comes_after_it(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    store(ledger, new_event())
    plan(ledger, "case/won", parent="case")  # planned first, and it waits
    show(ledger, "case", "opened")
    send_all(ledger, sender)
    (root, reply) = slack.posts
    assert (root.text, reply.thread_ts, reply.text) == ("opened", root.ts, "case/won")

    show(ledger, "case", "won")
    show(ledger, "case", "won")
    let_time_pass(ledger, slack)
    send_all(ledger, sender)

    assert [(post.text, post.changes) for post in slack.posts] == [("won", 1), ("case/won", 0)]
    assert states(ledger) == {"sent": 2}


def test_a_message_that_was_deleted_in_slack_is_posted_anew(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    store(ledger, new_event())
    show(ledger, "case", "opened")
    send_all(ledger, sender)
    slack.delete(slack.posts[0])
    show(ledger, "case", "won")
    let_time_pass(ledger, slack)
    send_all(ledger, sender)
    assert [post.text for post in slack.posts] == ["won"]
    assert slack.refused.pop()[0] == "message_not_found"


def test_a_change_whose_answer_was_lost_is_made_again_and_is_no_repeat(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    store(ledger, new_event())
    show(ledger, "case", "opened")
    send_all(ledger, sender)
    show(ledger, "case", "won")
    let_time_pass(ledger, slack)
    slack.expect(Trouble(takes=True, answers=False))
    send_all(ledger, sender)
    let_time_pass(ledger, slack)
    send_all(ledger, sender)
    (post,) = slack.posts
    assert (post.text, post.changes, "repeat" in post.says) == ("won", 2, False)
    assert states(ledger) == {"sent": 1}


def test_a_repeat_goes_on_saying_so_when_the_message_changes(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    store(ledger, new_event())
    show(ledger, "case", "opened")
    slack.expect(Trouble(takes=True, visible=False, answers=False))
    send_all(ledger, sender)
    let_time_pass(ledger, slack)
    with ledger.write() as db:
        db.execute(update(effects_table).values(due_at=0))
        db.execute(update(channels).values(channel_id="C0QKFINAN1"))
    send_all(ledger, sender)
    show(ledger, "case", "won")
    let_time_pass(ledger, slack)
    send_all(ledger, sender)
    assert [(post.text, "may be a repeat" in post.says) for post in slack.posts] == [("opened", False), ("won", True)]


@ON_BOTH
def test_thousands_of_failed_payments_are_a_handful_of_messages_and_no_fact_is_lost(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    store(ledger, new_event())
    plan(ledger, "failed/first", about=ABOUT)
    plan_many(ledger, 0, 3, now=time.time())
    send_all(ledger, sender)
    tracemalloc.start()
    for wave in range(4):
        plan_many(ledger, 3 + wave * MANY // 4, MANY // 4 - (3 if wave == 3 else 0), now=time.time())
        let_time_pass(ledger, slack)
        if wave == 0:
            tracemalloc.reset_peak()
        send_all(ledger, sender)
        let_time_pass(ledger, slack)
        send_all(ledger, sender)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert states(ledger) == {"sent": MANY + 3}  # and the first one, the storm's message, and its list
    single, (summary, listed) = slack.posts[:4], slack.posts[4:]
    assert [post.key for post in single] == ["failed/first", "failed/0", "failed/1", "failed/2"]
    assert summary.text.startswith(f"{MANY - 3:,} failed payments, 38 customers, €")
    assert summary.text.endswith("; top reason: insufficient funds (61 %)")
    assert "$" in summary.text
    assert listed.thread_ts == summary.ts
    assert f"{MANY - 43:,} more" in listed.says
    with ledger.read() as db:
        told = db.execute(select(func.count()).where(effects_table.c.folded_into.is_not(None))).scalar_one()
        (storm,) = db.execute(select(storms.c.effect_id)).scalars()
        sums = db.execute(
            select(effects_table.c.currency, func.sum(effects_table.c.amount))
            .where(effects_table.c.folded_into == storm)
            .group_by(effects_table.c.currency)
        )
        expected = {currency: f"{amount / 100:,.2f}" for currency, amount in sums}
    assert told == MANY - 3
    assert all(amount in summary.text for amount in expected.values())
    assert peak < 32 * 1024 * 1024


def test_what_took_as_long_as_a_rest_to_fold_is_told_at_once_all_the_same(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    store(ledger, new_event())
    plan(ledger, *(f"failed/{number}" for number in range(FOLD_AT)), about=ABOUT)
    let_time_pass(ledger, slack)
    engine = ledger._engine  # noqa: SLF001  # a slow disk
    event.listen(engine, "commit", lambda _: time.sleep(line.REST_S), once=True)
    sender.send()
    assert [post.text for post in slack.posts if post.thread_ts is None] == ["10 failed payments"]


def test_what_is_unlike_is_not_folded_into_it(ledger: Ledger, slack: SlackStandIn, sender: Sender) -> None:
    store(ledger, new_event())
    plan_many(ledger, 0, FOLD_AT, now=time.time() - 1)
    plan(ledger, "test", about=About(alike="failed_payment/test", fold_at=FOLD_AT))
    send_all(ledger, sender)
    assert sorted(post.key.partition("/")[0] for post in slack.posts) == ["storm", "storm", "test"]


def test_a_case_that_was_told_as_one_of_many_is_told_by_itself_when_it_gets_worse_and_not_when_it_heals(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    store(ledger, new_event())
    plan(ledger, "case/0/later", parent="case/0")
    for number in range(FOLD_AT):
        show(ledger, f"case/{number}", "failing")
    send_all(ledger, sender)
    storm, listed = slack.posts
    assert states(ledger) == {"sent": FOLD_AT + 3}

    show(ledger, "case/0", "healed", stays_folded=True)
    show(ledger, "case/1", "given up")
    with ledger.write() as db:
        db.execute(update(storms).values(last_at=0))  # the storm is over
    let_time_pass(ledger, slack)
    send_all(ledger, sender)

    assert [post.text for post in slack.posts if post not in (storm, listed)] == ["given up"]


def dead_storm(ledger: Ledger) -> int:
    """Have a storm begin of which Slack takes nothing; give the id of its message."""
    store(ledger, new_event())
    plan_many(ledger, 0, FOLD_AT, now=time.time() - 1)
    with ledger.write() as db:
        while (effect := line.claim_next(db, token="t", now=time.time())) is None:
            db.execute(update(channels).values(next_at=0))
        effects.mark_dead(db, effect, token="t", error="refused", now=time.time())
    return effect.id


def test_a_storm_that_slack_never_takes_is_dead_with_all_that_it_tells_of_and_a_retry_tells_it_again(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    dead_storm(ledger)
    assert states(ledger)["dead"] == FOLD_AT + 1
    with ledger.write() as db:
        db.execute(update(storms).values(last_at=0))
        again.retry_events(db, [1], time.time())
    let_time_pass(ledger, slack)
    send_all(ledger, sender)  # as many wait, so they are folded again, into another message
    assert [post.key.partition("/")[0] for post in slack.posts] == ["storm", "storm"]
    assert states(ledger) == {"kept": 2, "sent": FOLD_AT + 2}  # the first storm's message, and its list, are over


def test_what_comes_after_a_storm_has_died_is_not_lost_in_it_and_what_died_is_listed_and_told_by_a_retry(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    storm = dead_storm(ledger)
    with ledger.write() as db:
        assert {each["state"] for each in line.list_folded(db, storm)} == {"dead"}
    plan_many(ledger, FOLD_AT, 3, now=time.time() - 1)  # at once: the storm would still go on
    let_time_pass(ledger, slack)
    sender.send()
    assert [post.key for post in slack.posts] == [f"failed/{FOLD_AT + number}" for number in range(3)]
    with ledger.write() as db:
        again.retry_events(db, [1], time.time())
    let_time_pass(ledger, slack)
    sender.send()
    assert slack.posts[3].text.startswith(f"{FOLD_AT} failed payments")
    assert states(ledger) == {"kept": 2, "sent": 3 + FOLD_AT + 2}


def test_what_trickles_in_becomes_one_message_as_well_that_counts_on(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    store(ledger, new_event())
    for number in range(FOLD_AT + 3):
        plan(ledger, f"failed/{number}", about=ABOUT)
        let_time_pass(ledger, slack)
        send_all(ledger, sender)
    let_time_pass(ledger, slack)
    send_all(ledger, sender)
    single, (summary, listed) = slack.posts[:FOLD_AT], slack.posts[FOLD_AT:]
    assert [post.key for post in single] == [f"failed/{number}" for number in range(FOLD_AT)]
    assert (summary.text, listed.thread_ts) == ("3 failed payments", summary.ts)


def test_cases_that_trickle_in_have_a_message_each(ledger: Ledger, slack: SlackStandIn, sender: Sender) -> None:
    store(ledger, new_event())
    for number in range(FOLD_AT + 2):
        with ledger.write() as db:
            db.execute(insert(cases), {**CASE, "key": f"case/{number}"})
        show(ledger, f"case/{number}", "failing")
        let_time_pass(ledger, slack)
        send_all(ledger, sender)
    assert len(slack.posts) == FOLD_AT + 2
    assert not any(post.key.startswith("storm/") for post in slack.posts)


def test_a_storm_calls_whom_its_alerts_call(ledger: Ledger, slack: SlackStandIn, sender: Sender) -> None:
    store(ledger, new_event())
    plan(ledger, *(f"failed/{number}" for number in range(FOLD_AT)), about=ABOUT, message=message("<!here> Failed"))
    send_all(ledger, sender)
    assert slack.posts[0].text == "<!here> 10 failed payments"
