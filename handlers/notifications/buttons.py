"""The buttons under a case: who presses one is told so in the thread, and who may not, alone."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from config.settings import SLACK_USER
from handlers.context import Context
from handlers.notifications import cases, dispute, failed_payout, failing_subscription, refund, suspicious_payment
from handlers.notifications.cases import OPEN
from handlers.notifications.face import ACKNOWLEDGE, REPLAY, SNOOZE
from handlers.notifications.harmless import mrkdwn
from handlers.notifications.keys import slack_key
from handlers.notifications.reminder import plan_reminder
from handlers.notifications.times import in_utc
from handlers.reading import Name, Shape, read
from handlers.router import handler
from ledger.event import Event
from ledger.replays import replay_event

SNOOZE_S = 86_400

ALL = (dispute, failed_payout, failing_subscription, refund, suspicious_payment)
KINDS = {each.KIND.name: each.KIND for each in ALL}

Row = Mapping[str, Any]


class _User(Shape):
    id: Annotated[str, StringConstraints(pattern=f"^{SLACK_USER.pattern}$")]


class _Channel(Shape):
    id: Name


class _Action(Shape):
    action_id: Annotated[str, Field(max_length=255)]
    value: Annotated[str, Field(max_length=2_000)] | None = None


class Press(Shape):
    """What Slack posts when a button is pressed ("Interaction payloads", block_actions)."""

    user: _User
    channel: _Channel | None = None
    actions: Annotated[list[_Action], Field(min_length=1)]


@handler(source="slack", types=["block_actions"], queue="notifications")
def button(event: Event, ctx: Context) -> None:
    """Do what a button says, if it is one of ours and whoever pressed it may."""
    press = read(event, Press)
    action = press.actions[0]
    do = ACTIONS.get(action.action_id)
    if do is None or action.value is None:
        return  # the link, which Slack has opened by itself, or nothing of ours
    row = cases.take_row(ctx, action.value)
    answer = _refusal(ctx, press.user.id, row) or do(event, ctx, row or {}, press.user.id)
    if answer is not None:
        _whisper(event, ctx, press, row, answer)


def _refusal(ctx: Context, user: str, row: Row | None) -> str | None:
    if not ctx.allowed_users & {user, "*"}:
        return "You may not press this. SLACK_ALLOWED_USERS names those who may."
    return "Hookline does not know this case any more." if row is None else None


def _acknowledge(event: Event, ctx: Context, row: Row, user: str) -> str | None:
    if row["state"] != OPEN:
        return _is_over(row)
    if cases.in_hand(row):
        return f"<@{row['acknowledged_by']}> has it in hand, since {in_utc(int(row['acknowledged_at']))}."
    again = f"/{int(event.received_at)}" if row["acknowledged_by"] else ""
    cases.acknowledge(event, ctx, row, KINDS[row["kind"]], user)
    cases.tell_in_thread(event, ctx, row, name=f"acknowledged{again}", text=f"<@{user}> has it in hand.")
    return None


def _snooze(event: Event, ctx: Context, row: Row, user: str) -> str | None:
    if row["state"] != OPEN:
        return _is_over(row)
    until = event.received_at + SNOOZE_S  # of the press, not of the run: a replay of it snoozes nothing again
    if until <= max(row["snoozed_until"] or 0, ctx.now):
        return None
    cases.change(event, ctx, row, KINDS[row["kind"]], {"snoozed_until": until})
    text = f"<@{user}> snoozed it until {in_utc(int(until))}."
    cases.tell_in_thread(event, ctx, row, name=f"snoozed/{int(until)}", text=text)
    plan_reminder(event, ctx, row, until)
    return None


def _replay(event: Event, ctx: Context, row: Row, user: str) -> str | None:
    name = f"replayed/{event.external_id}"
    if cases.is_in_thread(ctx, row, name):
        return None  # it is this press that is replayed
    replay_id = replay_event(
        ctx.db, row["event_id"], who=f"Slack {user}", reason="the button of its alert", now=ctx.now
    )
    if replay_id is None:
        return "There is nothing to replay: the event runs at this moment, or its payload was pruned."
    text = f"<@{user}> replayed event {row['event_id']} (replay {replay_id}). What was told is not told again."
    cases.tell_in_thread(event, ctx, row, name=name, text=text)
    return None


def _is_over(row: Row) -> str:
    return f"This is over: {mrkdwn(row['status'])}."


ACTIONS: Mapping[str, Callable[[Event, Context, Row, str], str | None]] = {
    ACKNOWLEDGE: _acknowledge,
    SNOOZE: _snooze,
    REPLAY: _replay,
}


def _whisper(event: Event, ctx: Context, press: Press, row: Row | None, answer: str) -> None:
    """Tell only who pressed."""
    # The case's own channel, as the settings spell it, so that it waits in that channel's line.
    here = press.channel.id if press.channel else None
    channel = here if row is None else str(row["channel"])
    if channel is not None:
        key = slack_key(event, "answer", event.external_id)
        ctx.plan(event, key=key, channel=channel, message={"text": answer, "blocks": [], "user": press.user.id})
