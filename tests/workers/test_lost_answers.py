"""A message whose answer was lost is looked for before it is sent again, wherever it is; what is doubtful says so."""

from typing import Any

import pytest
from sqlalchemy import func, select, update

from ledger.store import Ledger
from ledger.tables import channels
from ledger.tables import effects as effects_table
from tests.engines import SQLITE
from tests.ledger.making import new_event, store
from tests.system.posting import REPEAT
from tests.system.slack_stand_in import FINANCE, SlackStandIn, Trouble
from tests.workers.planning import ABOUT, FOLD_AT, let_time_pass, plan, show, states
from workers.send import Sender


@pytest.fixture(params=[SQLITE])
def database(request: pytest.FixtureRequest) -> str:
    """SQLite: the databases differ in nothing that is tried here."""
    kind: str = request.param
    return kind


@pytest.fixture(autouse=True)
def _case(ledger: Ledger, sender: Sender) -> None:
    """Post the message of a case, so that the channel's id is known."""
    store(ledger, new_event())
    show(ledger, "case", "opened")
    sender.send()


def lose(ledger: Ledger, slack: SlackStandIn, sender: Sender, *, visible: bool) -> None:
    """Lose the answer to what is sent next, and let it be tried again."""
    let_time_pass(ledger, slack)
    slack.expect(Trouble(takes=True, visible=visible, answers=False))
    sender.send()
    with ledger.read() as db:
        assert db.execute(select(func.sum(effects_table.c.lost_answers))).scalar_one() >= 1
    try_again(ledger, slack, sender)


def try_again(ledger: Ledger, slack: SlackStandIn, sender: Sender) -> None:
    let_time_pass(ledger, slack)
    with ledger.write() as db:
        db.execute(update(effects_table).where(effects_table.c.state == "ambiguous").values(due_at=0))
    sender.send()


def told(slack: SlackStandIn, key: str) -> list[tuple[str, bool]]:
    """Give each copy of a message in Slack: its text, and whether it says that it may be a repeat."""
    return [(post.text, REPEAT in post.says) for post in slack.posts_of(key)]


@pytest.mark.parametrize(("visible", "copies"), [(True, [False]), (False, [False, True])], ids=["found", "not_found"])
def test_a_line_of_a_thread_is_looked_for_in_its_thread(
    ledger: Ledger, slack: SlackStandIn, sender: Sender, *, visible: bool, copies: list[bool]
) -> None:
    plan(ledger, "case/won", parent="case")
    lose(ledger, slack, sender, visible=visible)
    assert told(slack, "case/won") == [("case/won", each) for each in copies]
    (root,) = slack.posts_of("case")
    assert {post.thread_ts for post in slack.posts_of("case/won")} == {root.ts}
    assert len(slack.calls_of("conversations.replies")) == 1
    assert slack.calls_of("conversations.history") == []
    assert states(ledger) == {"sent": 2}


@pytest.mark.parametrize(("visible", "copies"), [(True, [False]), (False, [False, True])], ids=["found", "not_found"])
def test_a_storm_is_looked_for_as_well_and_its_list_follows_in_its_thread(
    ledger: Ledger, slack: SlackStandIn, sender: Sender, *, visible: bool, copies: list[bool]
) -> None:
    plan(ledger, *(f"failed/{number}" for number in range(FOLD_AT)), about=ABOUT)
    lose(ledger, slack, sender, visible=visible)
    storms = [post for post in slack.posts if post.key.startswith("storm/") and not post.key.endswith("/list")]
    assert [(post.text, REPEAT in post.says) for post in storms] == [("10 failed payments", each) for each in copies]
    (listed,) = (post for post in slack.posts if post.key.endswith("/list"))
    assert listed.thread_ts == storms[-1].ts
    assert states(ledger) == {"sent": FOLD_AT + 3}


def test_what_is_found_and_reads_otherwise_by_now_is_changed(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    let_time_pass(ledger, slack)
    slack.expect(Trouble(takes=True, answers=False))
    show(ledger, "other", "opened")
    sender.send()
    show(ledger, "other", "won")
    try_again(ledger, slack, sender)
    try_again(ledger, slack, sender)
    assert told(slack, "other") == [("won", False)]


@pytest.mark.parametrize("unknown", ["scope", "channel"])
def test_where_nobody_can_look_it_is_sent_again_and_says_so(
    ledger: Ledger, slack: SlackStandIn, sender: Sender, unknown: str
) -> None:
    if unknown == "scope":
        slack.scopes = "chat:write"
    else:  # nothing was posted there yet
        with ledger.write() as db:
            db.execute(update(channels).values(channel_id=None))
    plan(ledger, "alert")
    lose(ledger, slack, sender, visible=True)
    assert told(slack, "alert") == [("alert", False), ("alert", True)]
    assert {problem for problem, _ in slack.refused} == {"missing_scope" if unknown == "scope" else "channel_not_found"}
    slack.refused.clear()


def test_what_only_one_person_sees_is_sent_again_without_looking_and_says_nothing_of_where_the_channel_is(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    whisper: dict[str, Any] = {"text": "You may not press this.", "blocks": [], "user": "U0QKJON002"}
    plan(ledger, "answer", message=whisper)
    lose(ledger, slack, sender, visible=True)
    assert [each["user"] for each in slack.whispers] == ["U0QKJON002"] * 2
    assert slack.calls_of("conversations.history") == []
    plan(ledger, "alert")
    lose(ledger, slack, sender, visible=True)
    assert told(slack, "alert") == [("alert", False)]
    assert FINANCE not in {call.arguments["channel"] for call in slack.calls_of("conversations.history")}
