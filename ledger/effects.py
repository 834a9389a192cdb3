"""Effects: what is done to the outside, at most one each business key.

planned → sending → sent, or back to planned with a due time, or ambiguous (the answer was lost: look before
sending again), or dead; kept where there is nobody to send it to.

An effect is one message. `plan` says it once for ever; `show` says how it must read now, so that what is there is
changed. A channel has one message on its way at a time, and a second's rest after each (`ledger.line`).
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, bindparam, case, delete, select, update

from ledger.claims import short
from ledger.event import EffectState
from ledger.gathered import Kind
from ledger.prepared import as_list, insert_unless_known, prepare_with_lists
from ledger.rows import InsertGivingIds
from ledger.schedule import Schedule
from ledger.store import Transaction, free, insert_or_ignore, run
from ledger.tables import DUE, SENDING, cases, channels, effects, past_effects

MAX_ABOUT_CHARS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a message is about, for those that tell of many at once.

    Attributes:
        alike: kind and mode; what shares it may be folded into one message.
        fold_at: so many that wait for one channel.
        amount: in the currency's smallest unit.

    """

    alike: str | None = None
    fold_at: int | None = None
    amount: int | None = None
    currency: str | None = None
    customer: str | None = None
    reason: str | None = None


NOTHING_SPECIAL = About()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message is: Slack's id of the channel, and of the message in it."""

    channel_id: str
    ts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An effect that this worker is about to work on.

    Attributes:
        message: text and blocks; `user` where only one person is to see it; `storm` where it tells of many.
        lost_answers: how often it may have been sent already.
        place: where it is already: what is sent is an update.
        parent: the key of the effect whose message's thread it belongs to.
        thread: where that message is.
        may_repeat: there may be another copy of it, and it says so.

    """

    id: int
    event_id: int
    key: str
    channel: str
    message: Mapping[str, Any]
    planned_at: float  # Unix seconds
    attempts: int
    failures: int  # since the schedule began
    first_attempt_at: float  # Unix seconds
    lost_answers: int
    traceparent: str | None = None  # of the request that it comes of (W3C Trace Context)
    revision: int = 0
    place: Place | None = None
    parent: str | None = None
    thread: Place | None = None
    may_repeat: bool = False

    @property
    def schedule(self) -> Schedule:
        """Where its retries stand."""
        return Schedule(self.failures, self.first_attempt_at)


def write_message(message: Mapping[str, Any], *, for_us_only: bool = False, of_text: bool = False) -> str:
    """Write a message as the ledger keeps it.

    One `for_us_only` is written so that the version before cases cannot send it: it would post a change or a line of
    a thread as a message of its own. It stumbles, and the message waits for a worker of this version.

    One `of_text`, true and false is written in half the time, by what would also write dates and sets.
    """
    if for_us_only:
        message = {(LAYOUT if name == "blocks" else name): value for name, value in message.items()}
    if of_text:
        with suppress(ValueError):  # half a character
            return to_json(message, ensure_ascii=True).decode()  # a database need not be in UTF-8
    return _WRITE(message)


def read_message(written: str) -> dict[str, Any]:
    """Read what `write_message` wrote."""
    message: dict[str, Any] = json.loads(written)
    return {("blocks" if name == LAYOUT else name): value for name, value in message.items()}


LAYOUT = "layout"

_WRITE = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode
# Made once, as every message passes through it.


@dataclass(frozen=True, slots=True)
class _Plan:
    row: Mapping[str, Any]
    note: "Note"


Note = Callable[[str, int | None], None]


def plan(
    db: Transaction,
    *,
    event_id: int,
    delivery_id: int,
    key: str,
    channel: str,
    message: Mapping[str, Any],
    now: float,
    note: Note,
    parent: str | None = None,
    held_until: float | None = None,
    about: About = NOTHING_SPECIAL,
    of_text: bool = False,
) -> None:
    """Plan an effect, unless there is one under this key, or ever was.

    It is written together with others: when it is, `note` is told the key, and its id or None.
    """
    its = {"event_id": event_id, "delivery_id": delivery_id, "key": key, "channel": channel, "parent": parent}
    written = write_message(message, for_us_only=parent is not None or "user" in message, of_text=of_text)
    db.leave(_PLANS, _Plan(its | _row(written, now, held_until, about), note))


def _write_plans(db: Connection, plans: Sequence[_Plan]) -> None:
    # What waits is found by its channel (`ledger.line`), so the channel must be known.
    _NEW_CHANNEL.execute_each(db, [{"name": name} for name in dict.fromkeys(plan.row["channel"] for plan in plans)])
    ids = _NEW.ids(db, [plan.row for plan in plans])
    past = _past(db, [plan.row["key"] for plan in plans])
    for each, effect_id in zip(plans, ids, strict=True):
        key = each.row["key"]
        if effect_id is not None and key in past:
            db.execute(delete(effects).where(effects.c.id == effect_id))
            effect_id = None  # noqa: PLW2901  # it is taken back
        each.note(key, effect_id)


def _past(db: Connection, keys: Sequence[str]) -> set[str]:
    """Say which effects were done for events that were pruned since: these are not done again.

    Looked up after the insert, which waits for a prune that has the key in hand at this moment.
    """
    return {row[0] for row in _PAST.execute(db, {"its_keys": as_list(db, keys)})}


def show(
    db: Transaction | Connection,
    *,
    event_id: int,
    delivery_id: int,
    key: str,
    channel: str,
    message: Mapping[str, Any],
    now: float,
    held_until: float | None = None,
    about: About = NOTHING_SPECIAL,
    stays_folded: bool = False,
) -> int | None:
    """Say how a message must read now: it is posted, or changed where it is. Give its id, or None if it reads so.

    `held_until` is for one that was not posted yet; one that `stays_folded` was told as one of many, and is not worth
    a message of its own.

    """
    its = {"event_id": event_id, "delivery_id": delivery_id, "key": key, "channel": channel}
    values = its | _row(write_message(message), now, held_until, about)
    fresh = _insert(db, values)
    if fresh is not None:
        _remember_place(db, fresh, key)
        return fresh
    # The newest event is answerable for it: its retry sends it, and it is not over before the message is right.
    changes = {name: values[name] for name in ("event_id", "delivery_id", *_ABOUT)}
    return change_message(db, key, message, now=now, changes=changes, stays_folded=stays_folded)


def change_message(
    db: Transaction | Connection,
    key: str,
    message: Mapping[str, Any],
    *,
    now: float,
    changes: Mapping[str, Any] | None = None,
    stays_folded: bool = False,
) -> int | None:
    """Say how a message that there is must read now, as `show` does. Give its id, or None if it reads so."""
    row = db.execute(_KNOWN, {"its_key": key}).one()
    if read_message(row.message) == message:
        return None
    values = {**(changes or {}), "message": write_message(message, for_us_only=True)}
    if row.folded_into is not None and stays_folded:
        db.execute(_change(row.id), values)
        return None
    if row.state in _OVER:
        values |= {"state": EffectState.PLANNED, "due_at": now, "failures": 0, "first_attempt_at": None}
        values |= {"finished_at": None, "folded_into": None}
    db.execute(_change(row.id).values(revision=effects.c.revision + 1), values)
    return int(row.id)


def put_in_order(db: Transaction | Connection, keys: Sequence[str]) -> None:
    """Let those messages of these that were never tried go out in this order, as soon as the last of them may."""
    untried = (effects.c.state == EffectState.PLANNED, effects.c.attempts == 0, effects.c.folded_into.is_(None))
    its = select(effects.c.key, effects.c.id, effects.c.due_at).where(effects.c.key.in_(keys), *untried)
    waiting = {row.key: row for row in db.execute(its)}
    if len(waiting) < 2:  # noqa: PLR2004  # one is in order
        return
    last = max(row.due_at for row in waiting.values())
    for place, key in enumerate(key for key in keys if key in waiting):
        its_time = {"due_at": last + place * STEP_S}
        db.execute(update(effects).where(effects.c.id == waiting[key].id, *untried), its_time)


STEP_S = 0.001
# Between messages that have an order: the line goes by when something is due.

_ABOUT = ("alike", "fold_at", "amount", "currency", "customer", "reason")
_OVER = (EffectState.SENT, EffectState.KEPT, EffectState.DEAD)

# Locked, so that a sender that has just finished with it is seen.
_KNOWN = (
    select(effects.c.id, effects.c.state, effects.c.message, effects.c.folded_into)
    .where(effects.c.key == bindparam("its_key"))
    .with_for_update()
)


def _change(effect_id: int) -> Any:  # noqa: ANN401  # an Update, whose type says nothing
    return update(effects).where(effects.c.id == effect_id)


def _row(written: str, now: float, held_until: float | None, about: About) -> dict[str, Any]:
    held = held_until if held_until is not None and held_until > now else None
    return {
        "message": written,
        "state": EffectState.PLANNED.value,
        "planned_at": now,
        "due_at": now if held is None else held,
        "held_until": held,
        # The version before this knows nothing of holding: its sweeper makes due what waits and never failed.
        "failures": 0 if held is None else 1,
        "alike": about.alike,
        "fold_at": about.fold_at,
        "amount": about.amount,
        "currency": about.currency,
        "customer": _short(about.customer),
        "reason": _short(about.reason),
    }


def _short(text: str | None) -> str | None:
    # Strangers choose their names, and PostgreSQL takes no text with a NUL in it.
    return None if text is None else text.replace("\0", "")[:MAX_ABOUT_CHARS]


def _insert(db: Transaction | Connection, row: Mapping[str, Any]) -> int | None:
    # What waits is found by its channel (`ledger.line`), so the channel must be known.
    run(db, _NEW_CHANNEL, {"name": row["channel"]})
    return run(db, _NEW, row).new_id


_NEW = InsertGivingIds(effects, known_by="key")
_NEW_CHANNEL = insert_unless_known(channels)
_PAST = prepare_with_lists(lambda among: select(past_effects.c.key).where(among(past_effects.c.key, "its_keys")))
_PLANS = Kind(_write_plans, effects, channels, past_effects)


def _remember_place(db: Transaction | Connection, effect_id: int, key: str) -> None:
    """Let the message of a case whose events were pruned meanwhile be changed where it is."""
    place = db.execute(select(cases.c.channel_id, cases.c.ts).where(cases.c.key == key)).first()
    if place is not None and place.ts is not None:
        db.execute(_change(effect_id), {"channel_id": place.channel_id, "ts": place.ts})


def mark_sent(
    db: Connection, effect: Effect, *, token: str, channel_id: str, ts: str, now: float, repeats: bool = False
) -> bool:
    """Record that Slack has it. Say whether the claim still held.

    A message that was to read otherwise meanwhile is due again. What was folded into it is sent with it.
    """
    if ts:  # what only one person saw says nothing of where it is
        _keep_channel(db, effect.channel, {"channel_id": channel_id})
    current = effects.c.revision == effect.revision
    values = {
        "due_at": now,
        "finished_at": case((current, now), else_=None),
        "last_error": None,
        "may_repeat": effect.may_repeat or repeats or None,
    }
    if ts:
        values |= {"channel_id": channel_id, "ts": ts}
        db.execute(update(cases).where(cases.c.key == effect.key).values(channel_id=channel_id, ts=ts))
    state = case((current, EffectState.SENT.value), else_=EffectState.PLANNED.value)
    held = _settle(db, effect, token, state, values)
    if held and "storm" in effect.message:
        _settle_folded(db, effect, {"state": EffectState.SENT, "finished_at": now, "last_error": None})
    return held


def mark_folded(db: Connection, effect: Effect, *, token: str, into: int, now: float) -> bool:
    """Record that another message tells of it."""
    values = {"folded_into": into, "finished_at": now, "last_error": None}
    return _settle(db, effect, token, EffectState.SENT, values)


def mark_gone(db: Connection, effect: Effect, *, token: str, now: float) -> bool:
    """Record that the message to change is not there any more: it is posted anew."""
    values = {"due_at": now, "channel_id": None, "ts": None, "last_error": "the message was deleted in Slack"}
    db.execute(update(cases).where(cases.c.key == effect.key).values(channel_id=None, ts=None))
    return _settle(db, effect, token, EffectState.PLANNED, values)


def _settle_folded(db: Connection, effect: Effect, values: Mapping[str, Any]) -> None:
    db.execute(update(effects).where(effects.c.folded_into == effect.id, DUE).values(**values))


def mark_kept(db: Connection, effect: Effect, *, token: str, now: float) -> bool:
    """Record that it was shown on the console, as there is no Slack to send it to."""
    current = effects.c.revision == effect.revision
    state = case((current, EffectState.KEPT.value), else_=EffectState.PLANNED.value)
    return _settle(db, effect, token, state, {"due_at": now, "finished_at": now, "last_error": None})


def mark_ambiguous(db: Connection, effect: Effect, *, token: str, due_at: float, error: str) -> bool:
    """Record that it was sent and the answer was lost."""
    values = {"due_at": due_at, "lost_answers": effects.c.lost_answers + 1, "failures": effects.c.failures + 1}
    return _settle(db, effect, token, EffectState.AMBIGUOUS, values | {"last_error": short(error)})


def mark_failed(db: Connection, effect: Effect, *, token: str, due_at: float, error: str) -> bool:
    """Record that it was refused, and may be tried again."""
    values = {"due_at": due_at, "failures": effects.c.failures + 1, "last_error": short(error)}
    return _settle(db, effect, token, _again(), values)


def mark_dead(db: Connection, effect: Effect, *, token: str, error: str, now: float) -> bool:
    """Record that trying again cannot help, or has not helped for three days."""
    values = {"finished_at": now, "failures": effects.c.failures + 1, "last_error": short(error)}
    held = _settle(db, effect, token, EffectState.DEAD, values)
    if held and "storm" in effect.message:
        _settle_folded(db, effect, {"state": EffectState.DEAD, "finished_at": now, "last_error": short(error)})
    return held


def pause_channel(db: Connection, effect: Effect, *, token: str, now: float, pause_s: float) -> bool:
    """Put an effect back that Slack was too busy for, uncounted, and let its whole channel wait."""
    until = now + pause_s
    _keep_channel(db, effect.channel, {"paused_until": until, "pause_s": pause_s})
    values = {"due_at": until, "attempts": effects.c.attempts - 1, "last_error": "Slack asked to wait (429)"}
    return _settle(db, effect, token, _again(), values)


def _keep_channel(db: Connection, name: str, values: Mapping[str, Any]) -> None:
    db.execute(insert_or_ignore(db, channels).values(name=name))
    db.execute(update(channels).where(channels.c.name == name).values(values))


def _again() -> Any:  # noqa: ANN401  # an SQL expression of no public type
    # Once an answer was lost, every later try looks for the message first.
    return case((effects.c.lost_answers > 0, EffectState.AMBIGUOUS), else_=EffectState.PLANNED)


def _settle(db: Connection, effect: Effect, token: str, state: Any, values: Mapping[str, Any]) -> bool:  # noqa: ANN401
    statement = (
        update(effects)
        .where(effects.c.id == effect.id, SENDING, effects.c.token == token)
        .values(state=state, token=None, **values)
        .returning(effects.c.id)
    )
    return db.execute(statement).first() is not None


def channel_id(db: Connection, channel: str) -> str | None:
    """Give Slack's id of a channel that was posted to before."""
    found: str | None = db.execute(select(channels.c.channel_id).where(channels.c.name == channel)).scalar()
    return found


def beat(db: Connection, tokens: Collection[str]) -> None:
    """Say that the worker behind these claims lives."""
    mine = select(effects.c.id).where(SENDING, effects.c.token.in_(tokens))
    db.execute(update(effects).where(effects.c.id.in_(free(mine))).values(beat=effects.c.beat + 1))
