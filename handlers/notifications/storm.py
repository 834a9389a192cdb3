"""Many alerts of one kind in one message: how many, how many customers, how much, why; and a list in its thread."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, func, select, update

from config.rules import MENTION
from handlers.notifications.alert import WHO
from handlers.notifications.blocks import MAX_SECTION_CHARS, Block, context, header, link, mrkdwn_section
from handlers.notifications.harmless import mrkdwn
from handlers.notifications.reasons import (
    DECLINES,
    DISPUTES,
    FRAUD_TYPES,
    PAYOUT_FAILURES,
    REFUND_FAILURES,
    in_words,
)
from handlers.notifications.times import in_utc
from handlers.payments.money import display, listed
from handlers.payments.sums import sums
from ledger.effects import Effect, read_message, write_message
from ledger.line import LIST
from ledger.tables import effects

NAMES: Mapping[str, str] = {
    "dispute": "disputes",
    "failed_payout": "failed payouts",
    "suspicious_payment": "suspicious payments",
    "failing_subscription": "failing subscriptions",
    "failed_payment": "failed payments",
    "failed_refund": "failed refunds",
    "refund": "refunds",
    "failing_build": "failing builds",
    "leaked_secret": "leaked secrets",
    "vulnerable_dependency": "vulnerable dependencies",
    "health": "complaints about Hookline itself",
}
# Of several; where there is only one so far, its name is the kind's own.

CASES = frozenset({"dispute", "failed_payout", "suspicious_payment", "failing_subscription", "failed_refund"})
# They have a message of their own to work with, where they are not told of here.

LISTED = 40
# With a section each, which only the longest names need, they fit into a message.


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What a storm's alerts add up to.

    Attributes:
        sums: the amounts in their smallest units, by currency.
        top_reason: the one that most of them give, and how many do.
        first_at: when the first of them was planned (Unix seconds); None where there is none.
        last_at: the same of the last one.

    """

    count: int
    customers: int
    sums: Mapping[str, int]
    top_reason: tuple[str, int] | None
    first_at: float | None = None
    last_at: float | None = None


def render_storm(db: Connection, effect: Effect) -> Effect:
    """Write a storm's message, or the list in its thread, as it must read now."""
    is_list = effect.key.endswith(LIST)
    root = _id_of(db, effect.key.removesuffix(LIST)) if is_list else effect.id
    alike = str(effect.message["storm"])
    total = add_up(db, root)
    message = _list(db, root, total, alike) if is_list else _summary(total, alike, _call(db, root))
    message = {**message, "storm": alike}
    db.execute(
        update(effects).where(effects.c.id == effect.id).values(message=write_message(message, for_us_only=True))
    )
    return replace(effect, message=message)


def add_up(db: Connection, root: int) -> Total:
    """Add up what was folded into a message; the database does it, however many there are."""
    # What belongs to a thread tells of nothing new.
    mine = (effects.c.folded_into == root, effects.c.parent.is_(None))
    at = effects.c.planned_at
    counts = (func.count(), func.count(effects.c.customer.distinct()), func.min(at), func.max(at))
    count, customers, first_at, last_at = db.execute(select(*counts).where(*mine)).one()
    reasons = (
        select(effects.c.reason, func.count())
        .where(*mine, effects.c.reason.is_not(None))
        .group_by(effects.c.reason)
        .order_by(func.count().desc(), effects.c.reason)
        .limit(1)
    )
    top = db.execute(reasons).first()
    return Total(
        count=count,
        customers=customers,
        sums=sums(db, effects.c.amount, effects.c.currency, *mine),
        top_reason=None if top is None else (top[0], top[1]),
        first_at=first_at,
        last_at=last_at,
    )


def counted(count: int, kind: str) -> str:
    """Say how many of a kind: `1 failed payment`, `214 failed payments`."""
    one, several = kind.replace("_", " "), NAMES.get(kind, "alerts")
    return f"{count:,} {one if count == 1 else several}"


def sentence(total: Total, kind: str) -> str:
    """Say it in one line: `214 failed payments, 38 customers, €12,480.00 and $9,310.50; top reason: …`."""
    parts = [counted(total.count, kind)]
    if total.customers:
        parts.append(f"{total.customers:,} customer{'' if total.customers == 1 else 's'}")
    if total.sums:
        parts.append(listed(total.sums))
    text = ", ".join(parts)
    if total.top_reason is None:
        return text
    reason, count = total.top_reason
    return f"{text}; top reason: {in_words(reason, REASONS.get(kind, {}))} ({round(100 * count / total.count)} %)"


def span(total: Total) -> str | None:
    """Say from when to when: `from 14 Nov 2026, 02:10 UTC to 14 Nov 2026, 02:41 UTC`."""
    if total.first_at is None or total.last_at is None:
        return None
    first, last = in_utc(int(total.first_at)), in_utc(int(total.last_at))
    return f"at {first}" if first == last else f"from {first} to {last}"


REASONS: Mapping[str, Mapping[str, str]] = {
    "dispute": DISPUTES,
    "failed_payout": PAYOUT_FAILURES,
    "suspicious_payment": FRAUD_TYPES,
    "failing_subscription": DECLINES,
    "failed_payment": DECLINES,
    "failed_refund": REFUND_FAILURES,
}
# What the codes of a kind mean.


def _summary(total: Total, alike: str, call: str | None) -> dict[str, Any]:
    kind, mode = _read(alike)
    title = f"{mode}{sentence(total, kind)}"
    blocks = [
        header(f"{mode}{counted(total.count, kind)}"),
        *([mrkdwn_section(call)] if call else []),
        mrkdwn_section(mrkdwn(", ".join(each for each in (sentence(total, kind), span(total)) if each), 600)),
        context("There were many, so this is one message. It counts on; the list is in the thread.", *_own(kind)),
    ]
    return {"text": f"{call} {mrkdwn(title, 600)}" if call else mrkdwn(title, 600), "blocks": blocks}


def _own(kind: str) -> list[str]:
    """Say where the buttons are of what somebody must work with."""
    if kind not in CASES:
        return []
    where = "; /hookline disputes lists those that wait for us" if kind == "dispute" else ""
    return [f"Each that changes while it is open gets a message of its own, with buttons{where}."]


def _call(db: Connection, root: int) -> str | None:
    """Give whom the alerts call, if they call anybody; what strangers wrote cannot look like it, for it is escaped."""
    mine = select(effects.c.message).where(effects.c.folded_into == root, effects.c.parent.is_(None))
    first = db.execute(mine.order_by(effects.c.id).limit(1)).scalar()
    word = "" if first is None else str(read_message(first)["text"]).partition(" ")[0]
    return word if MENTION.fullmatch(word) else None


def _list(db: Connection, root: int, total: Total, alike: str) -> dict[str, Any]:
    kind, mode = _read(alike)
    lines = list(_lines(db, root, kind))
    blocks: list[Block] = [mrkdwn_section(text) for text in _paragraphs(lines)]
    more = total.count - len(lines)
    if more > 0:
        each = " of each currency" if len(total.sums) > 1 else ""
        shown = f"{len(lines)} are listed, the largest{each} first"
        blocks.append(context(f"{shown}. {more:,} more: hookline alerts folded {root}"))
    return {"text": f"{mode}The list of {counted(total.count, kind)}", "blocks": blocks}


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Put lines together, as many as a section takes."""
    text = ""
    for line in lines:
        if text and len(text) + len(line) >= MAX_SECTION_CHARS:
            yield text
            text = ""
        text = f"{text}\n{line}" if text else line
    if text:
        yield text


def _lines(db: Connection, root: int, kind: str) -> Iterator[str]:
    columns = (effects.c.amount, effects.c.currency, effects.c.customer, effects.c.reason, effects.c.message)
    chosen = _largest(db, root)
    found = db.execute(select(effects.c.id, *columns).where(effects.c.id.in_(chosen))).all()
    for _, amount, currency, customer, reason, message in sorted(found, key=lambda row: chosen.index(row.id)):
        told = read_message(message)
        money = display(amount, currency) if amount is not None and currency else None
        who = told.get(WHO) or customer
        why = in_words(reason, REASONS.get(kind, {})) if reason else None
        facts = [money, mrkdwn(who, 60) if who else None, mrkdwn(why, 60) if why else None, _link(told)]
        known = [each for each in facts if each]
        yield "• " + (" · ".join(known) if known else str(told["text"])[:200])


def _largest(db: Connection, root: int) -> list[int]:
    """Give the ids of the largest of each currency, currency by currency: amounts of two of them have no order.

    Each currency has as many places as another, and what some do not need goes to those that have more.
    """
    size = func.abs(func.coalesce(effects.c.amount, 0)).desc()
    place = func.row_number().over(partition_by=effects.c.currency, order_by=(size, effects.c.id))
    mine = (effects.c.folded_into == root, effects.c.parent.is_(None))
    ranked = select(effects.c.id, effects.c.currency, place.label("place")).where(*mine).subquery()
    chosen = db.execute(select(ranked).order_by(ranked.c.place, ranked.c.currency, ranked.c.id).limit(LISTED)).all()
    chosen = sorted(chosen, key=lambda row: (row.currency is None, row.currency or "", row.place))
    return [row.id for row in chosen]


def _link(told: Mapping[str, Any]) -> str | None:
    return link(told["link"], told.get("name", "open")) if "link" in told else None


def _read(alike: str) -> tuple[str, str]:
    kind, _, mode = alike.partition("/")
    return kind, "TEST: " if mode == "test" else ""


def _id_of(db: Connection, key: str) -> int:
    found: int = db.execute(select(effects.c.id).where(effects.c.key == key)).scalar_one()
    return found
