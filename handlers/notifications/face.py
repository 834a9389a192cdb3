"""How a case looks: what its kind says of it, and the message that is made of that."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from handlers.context import Context
from handlers.notifications import blocks
from handlers.notifications.alert import TEST_MODE, Link, harmless_facts, titled
from handlers.notifications.blocks import Block
from handlers.notifications.harmless import escape, mrkdwn
from handlers.notifications.parts import Known, Parts
from handlers.notifications.times import in_utc
from handlers.payments.money import Money

ACKNOWLEDGE, SNOOZE, REPLAY, OPEN_PAGE = "acknowledge", "snooze", "replay", "open"

REOPENED, WORSE = "reopened", "worse"

LOUD = {REOPENED: "Needs somebody now", WORSE: "Got worse since it was acknowledged"}
BEFORE = {REOPENED: "before it was opened again", WORSE: "before it got worse"}

SNOOZED = "Snoozed until"


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """How a case looks now.

    Attributes:
        title: what it is, how much it is about, and where it stands.
        status: where it stands, in a few words.
        is_open: somebody may still have to do something.
        facts: up to nine, by label.
        due_by: until when something has to be done (Unix seconds).
        opened_at: since when it is so, as the provider says (Unix seconds).
        code: the reason, as the provider has it.
        gravity: how bad it is, while it is open: who acknowledged less has not acknowledged this.
        rule: which rule is for it as it is now (`config.rules.KINDS`); unset, that of its kind.

    """

    title: str
    status: str
    is_open: bool
    opened_at: int
    gravity: int = 0
    rule: str | None = None
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    link: Link | None = None
    money: Money | None = None
    customer: str | None = None
    code: str | None = None
    due_by: int | None = None


Show = Callable[[Parts, "Whose"], Face | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Whose money a case is about, and when it is looked at (Unix seconds)."""

    account: str | None
    livemode: bool | None
    now: float


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of case.

    Attributes:
        name: of its rule (`config.rules.KINDS`).
        show: says how a case of this kind looks, given its parts; None while there is nothing to tell.

    """

    name: str
    show: Show


def message_of(row: Mapping[str, Any], face: Face, known: Known, ctx: Context) -> dict[str, Any]:
    """Lay out a case's message."""
    title = titled(face.title, livemode=row["livemode"])
    facts = harmless_facts({"State": face.status, **face.facts})
    made: list[Block] = [blocks.header(title), blocks.fields(facts)]
    if done := _done(row, face, known, ctx.now):
        made.append({"elements": [blocks.mrkdwn_text(each) for each in done], "type": "context"})
    if buttons := _buttons(row, face, known, ctx.allowed_users):
        made.append({"elements": buttons, "type": "actions"})
    small = [" · ".join(part for part in (known.origin(), row["account"]) if part)]
    made.append(blocks.context(*small, *([TEST_MODE] if row["livemode"] is False else [])))
    text = " | ".join([mrkdwn(title), *(f"{escape(label)}: {value}" for label, value in facts)])
    return {"text": text, "blocks": made}


def _done(row: Mapping[str, Any], face: Face, known: Known, now: float) -> list[str]:
    """Say who has it in hand. Their ids were checked when they pressed."""
    done = []
    if row["acknowledged_by"]:
        before = f", {BEFORE[known.news]}" if known.news else ""
        done.append(f"Acknowledged by <@{row['acknowledged_by']}>, {in_utc(int(row['acknowledged_at']))}{before}")
    if row["snoozed_until"] and face.is_open and row["snoozed_until"] > now:
        done.append(f"{SNOOZED} {in_utc(int(row['snoozed_until']))}")
    return done


def without_snooze(laid_out: Sequence[Block]) -> list[Block]:
    """Take out of a message's blocks that it is snoozed: the time is over."""
    kept: list[Block] = []
    for block in laid_out:
        elements = block.get("elements", []) if block["type"] == "context" else []
        awake = [each for each in elements if not str(each["text"]).startswith(SNOOZED)]
        if not elements or awake:
            kept.append({**block, "elements": awake} if elements else block)
    return kept


def _buttons(row: Mapping[str, Any], face: Face, known: Known, users: Collection[str]) -> list[Block]:
    """Offer what can be done. Without anybody who may press, only the link, which Slack opens by itself."""
    made: list[Block | None] = []
    if users and face.is_open:
        if not row["acknowledged_by"] or known.news is not None:
            made.append(blocks.button("Acknowledge", action=ACKNOWLEDGE, value=row["key"], style="primary"))
        made.append(blocks.button("Snooze 24 h", action=SNOOZE, value=row["key"]))
    if face.link is not None:
        made.append(blocks.link_button(face.link.label, action=OPEN_PAGE, url=face.link.url))
    if users:
        made.append(blocks.button("Replay", action=REPLAY, value=row["key"]))
    return [each for each in made if each is not None]
