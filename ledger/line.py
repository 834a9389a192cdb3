"""The line that messages wait in, one for each channel: one on its way at a time, a second's rest, storms folded.

Slack takes about one message a second for each channel, and shows no more of a burst ("Rate limits"). The line is kept
in the ledger, so it is one line however many processes send.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, insert, or_, select, update

from ledger.effects import Effect, Place, read_message, write_message
from ledger.event import EffectState
from ledger.store import free, insert_or_ignore
from ledger.tables import LINE, cases, channels, effects, events, storms

REST_S = 1.0
# Between the end of one call and the beginning of the next one to the same channel.

LEASE_S = 25.0
# How long a channel belongs to a sender that never comes back. Longer than `workers.send` lets a call take.

STORM_QUIET_S = 300.0
STORM_LONGEST_S = 1_800.0
# After so much quiet, or so long, what comes next is told anew, further down in the channel.

TRICKLE_S = 600.0
TRICKLE_AMONG = 300
# What comes one by one, but so many times in ten minutes, is a storm as well; looked for among the newest effects.

RETELL_S = 5.0
# How often the message of a storm is brought up to date. chat.update is for about fifty calls a minute.

ASIDE_S = 2 * 86_400.0
# What was folded is told with something else. A worker of the version before this knows nothing of that: it looks at
# when something is due, and its sweeper corrects what is due in more than a minute and never failed, or in three days.

LIST = "/list"
# The end of the key of a storm's second message, the list in its thread.

_GIVEN_UP = (EffectState.DEAD, EffectState.KEPT)

TRIES = 20
# What needs no call of its own is settled in passing, so many at a time.

_roots = effects.alias("roots")


def claim_next(db: Connection, *, token: str, now: float, in_line: bool = True) -> Effect | None:
    """Take the effect that has been due longest, of a channel that is free, if there is one.

    Not `in_line`, channels are not waited for and nothing is folded: for a console.
    """
    if not in_line:
        return _claim(db, select(effects.c.id).where(*_due(now)).order_by(*_ORDER).limit(1), token, now)
    for _ in range(TRIES):
        # Another sender may be about to take the first of them: then the next one is ours.
        waiting = _waiting(db, _firsts(db, now))
        first = next((each for each in waiting if _take_channel(db, each.channel, now)), None)
        if first is None:
            return None
        if _settled_in_passing(db, first, now):
            leave(db, first.channel, now - REST_S)
            continue
        if _folds(db, first, now):
            leave(db, first.channel, now)
            return None
        claimed = _claim(db, select(effects.c.id).where(effects.c.id == first.id, LINE), token, now)
        if claimed is None:
            leave(db, first.channel, now - REST_S)
        return claimed
    return None


def is_due(db: Connection, now: float) -> bool:
    """Say whether there is an effect to send, in a channel that is free."""
    return bool(_firsts(db, now))


def _firsts(db: Connection, now: float) -> list[int]:
    """Find the first in the line of each channel that is free."""
    its_first = (
        select(effects.c.id)
        .where(*_due(now), effects.c.channel == channels.c.name, _ready())
        .order_by(*_ORDER)
        .limit(1)
        .correlate(channels)
        .scalar_subquery()
    )
    return [each for each in db.execute(select(its_first).where(*_free(now))).scalars() if each is not None]


def _waiting(db: Connection, ids: list[int]) -> list[Any]:
    if not ids:
        return []
    # In a statement of its own: in one with the other, PostgreSQL may join them by reading all effects.
    columns = (effects.c.id, effects.c.channel, effects.c.parent, effects.c.alike, effects.c.fold_at, effects.c.ts)
    statement = select(*columns, effects.c.lost_answers).where(effects.c.id.in_(ids)).order_by(*_ORDER)
    return list(db.execute(statement))


def free_in(db: Connection, now: float) -> float | None:
    """Say in how many seconds the first channel that somebody waits for is free; None if nobody waits."""
    waits = exists().where(*_due(now), effects.c.channel == channels.c.name)
    next_at = select(func.min(channels.c.next_at)).where(channels.c.paused_until <= now, waits)
    first: float | None = db.execute(next_at).scalar()
    return None if first is None else max(0.0, first - now)


def leave(db: Connection, channel: str, now: float) -> None:
    """Give a channel free, after a rest. It may be known under its name and under its id."""
    its_id = select(channels.c.channel_id).where(channels.c.name == channel).scalar_subquery()
    same = or_(channels.c.name == channel, channels.c.channel_id == its_id, channels.c.name == its_id)
    db.execute(update(channels).where(same).values(next_at=now + REST_S))


def list_folded(db: Connection, effect_id: int) -> list[dict[str, Any]]:
    """List what was folded into a message, in the order in which it was planned."""
    about = (effects.c.amount, effects.c.currency, effects.c.customer, effects.c.reason)
    columns = (effects.c.event_id, effects.c.state, *about)
    mine = select(*columns, effects.c.message).where(effects.c.folded_into == effect_id, effects.c.parent.is_(None))
    rows = db.execute(mine.order_by(effects.c.id)).mappings()
    return [
        {name: value for name, value in row.items() if name != "message"}
        | {"text": read_message(row["message"])["text"]}
        for row in rows
    ]


_ORDER = (effects.c.due_at, effects.c.id)


def _due(now: float) -> tuple[ColumnElement[bool], ...]:
    return (LINE, effects.c.due_at <= now)  # type: ignore[return-value]  # a text is a condition as well


def _free(now: float) -> tuple[ColumnElement[bool], ...]:
    return (channels.c.next_at <= now, channels.c.paused_until <= now)


def _ready() -> ColumnElement[bool]:
    """Say that a message for a thread has a thread: what it belongs to is there, or never will be."""
    unsettled = and_(
        _roots.c.key == effects.c.parent,
        _roots.c.ts.is_(None),
        _roots.c.folded_into.is_(None),
        _roots.c.state.not_in(_GIVEN_UP),
    )
    return or_(effects.c.parent.is_(None), ~exists().where(unsettled))


def _take_channel(db: Connection, name: str, now: float) -> bool:
    mine = select(channels.c.name).where(channels.c.name == name, *_free(now))
    statement = update(channels).where(channels.c.name.in_(free(mine))).values(next_at=now + LEASE_S)
    taken = db.execute(statement.returning(channels.c.channel_id)).first()
    if taken is None:
        return False
    if taken.channel_id is not None:  # the same channel under another name
        same = or_(channels.c.channel_id == taken.channel_id, channels.c.name == taken.channel_id)
        db.execute(update(channels).where(same).values(next_at=now + LEASE_S))
    return True


def _claim(db: Connection, which: Select[Any], token: str, now: float) -> Effect | None:
    its_event = select(events.c.traceparent).where(events.c.id == effects.c.event_id)
    statement = (
        update(effects)
        .where(effects.c.id.in_(free(which)))
        .values(
            state=EffectState.SENDING,
            token=token,
            started_at=now,
            first_attempt_at=func.coalesce(effects.c.first_attempt_at, now),
            attempts=effects.c.attempts + 1,
        )
        .returning(effects, its_event.correlate(effects).scalar_subquery().label("traceparent"))
    )
    row = db.execute(statement).first()
    return None if row is None else _effect(db, row)


def _effect(db: Connection, row: Row[Any]) -> Effect:
    return Effect(
        id=row.id,
        event_id=row.event_id,
        key=row.key,
        channel=row.channel,
        message=read_message(row.message),
        planned_at=row.planned_at,
        attempts=row.attempts,
        failures=row.failures,
        first_attempt_at=row.first_attempt_at,
        lost_answers=row.lost_answers,
        traceparent=row.traceparent,
        revision=row.revision,
        place=Place(row.channel_id, row.ts) if row.ts else None,
        parent=row.parent,
        thread=_place_of(db, row.parent) if row.parent else None,
        may_repeat=bool(row.may_repeat),
    )


def _place_of(db: Connection, key: str) -> Place | None:
    for table in (effects, cases):  # a case outlives its events
        row = db.execute(select(table.c.channel_id, table.c.ts).where(table.c.key == key)).first()
        if row is not None and row.ts is not None:
            return Place(row.channel_id, row.ts)
    return None


def _settled_in_passing(db: Connection, first: Row[Any], now: float) -> bool:
    """Let what belongs to a message that was folded, or is dead, be what that message is."""
    if first.parent is None:
        return False
    columns = (effects.c.state, effects.c.ts, effects.c.folded_into)
    root = db.execute(select(*columns).where(effects.c.key == first.parent)).first()
    values: dict[str, Any] = {"finished_at": now}
    if root is not None and root.folded_into is not None:
        values |= {"folded_into": root.folded_into, "state": EffectState.SENT}
    elif root is not None and root.state == EffectState.DEAD and root.ts is None:
        values |= {"state": EffectState.DEAD, "last_error": "the message that it belongs to is dead"}
    else:
        return False
    db.execute(update(effects).where(effects.c.id == first.id).values(**values))
    return True


def _folds(db: Connection, first: Row[Any], now: float) -> bool:
    """Fold what is like this one and waits, if there is much of it or a storm goes on. Say whether it was."""
    if first.alike is None or first.ts is not None or first.lost_answers:
        return False
    storm = _storm(db, first, now)
    if storm is None:
        if first.fold_at is None or not (_waits_much(db, first, now) or _trickles(db, first, now)):
            return False
        storm = _begin(db, first, now)
    return _absorb(db, first, storm, now)


def _waits_much(db: Connection, first: Row[Any], now: float) -> bool:
    return bool(len(_alike(db, first, now, limit=first.fold_at)) >= first.fold_at)


def _trickles(db: Connection, first: Row[Any], now: float) -> bool:
    """Say whether much like it was told one by one. A case is not of this kind: it has a message to be worked with."""
    columns = (
        effects.c.key,
        effects.c.channel,
        effects.c.alike,
        effects.c.ts,
        effects.c.folded_into,
        effects.c.planned_at,
    )
    newest = select(*columns).order_by(effects.c.id.desc()).limit(TRICKLE_AMONG).subquery()
    told = select(func.count()).where(
        newest.c.channel == first.channel,
        newest.c.alike == first.alike,
        newest.c.folded_into.is_(None),
        newest.c.ts.is_not(None),
        newest.c.planned_at >= now - TRICKLE_S,
        ~exists().where(cases.c.key == newest.c.key),
    )
    return bool(db.execute(told).scalar_one() >= first.fold_at)


def _alike(db: Connection, first: Row[Any], now: float, *, limit: int | None = None) -> list[int]:
    untold = (effects.c.ts.is_(None), effects.c.lost_answers == 0)
    mine = select(effects.c.id).where(*_due(now), effects.c.channel == first.channel, effects.c.alike == first.alike)
    return list(db.execute(free(mine.where(*untold).limit(limit))).scalars())


def _storm(db: Connection, first: Row[Any], now: float) -> int | None:
    """Give the message of the storm that goes on; one that is dead, or was dismissed, tells of nothing any more."""
    statement = select(storms.c.effect_id).where(
        exists().where(effects.c.id == storms.c.effect_id, effects.c.state.not_in(_GIVEN_UP)),
        storms.c.channel == first.channel,
        storms.c.alike == first.alike,
        storms.c.last_at >= now - STORM_QUIET_S,
        storms.c.began_at >= now - STORM_LONGEST_S,
    )
    found: int | None = db.execute(statement).scalar()
    return found


def _begin(db: Connection, first: Row[Any], now: float) -> int:
    """Plan the message of a new storm, and the list in its thread."""
    its = db.execute(select(effects.c.event_id, effects.c.delivery_id).where(effects.c.id == first.id)).one()
    key = f"storm/{first.id}/{now:.3f}"  # what was told in vain in one storm may be told in the next
    shared = {
        "event_id": its.event_id,
        "delivery_id": its.delivery_id,
        "channel": first.channel,
        "message": write_message({"text": "", "blocks": [], "storm": first.alike}, for_us_only=True),
        "state": EffectState.PLANNED,
        "planned_at": now,
        "due_at": now,
    }
    effect_id: int = db.execute(insert(effects).returning(effects.c.id), {**shared, "key": key}).scalar_one()
    db.execute(insert(effects), {**shared, "key": key + LIST, "parent": key})
    which = {"channel": first.channel, "alike": first.alike}
    values = {"effect_id": effect_id, "began_at": now, "last_at": now}
    db.execute(insert_or_ignore(db, storms), {**which, **values})
    db.execute(update(storms).where(_is(which)).values(**values))
    return effect_id


def _absorb(db: Connection, first: Row[Any], storm: int, now: float) -> bool:
    ids = _alike(db, first, now)
    if not ids:
        return False
    for some in _parts(ids):
        folded = {"folded_into": storm, "due_at": now + ASIDE_S, "failures": 1}
        db.execute(update(effects).where(effects.c.id.in_(some)).values(**folded))
        keys = select(effects.c.key).where(effects.c.id.in_(some))
        theirs = select(effects.c.id).where(LINE, effects.c.parent.in_(keys))
        db.execute(update(effects).where(effects.c.id.in_(theirs)).values(**folded))
    db.execute(update(storms).where(_is({"channel": first.channel, "alike": first.alike})).values(last_at=now))
    key = db.execute(select(effects.c.key).where(effects.c.id == storm)).scalar_one()
    _retell(db, effects.c.key.in_([key, key + LIST]), now)
    return True


def _retell(db: Connection, which: ColumnElement[bool], now: float) -> None:
    """Have messages sent again as they read now; not so often that it would be too often for Slack."""
    over = effects.c.state.in_([EffectState.SENT, EffectState.DEAD])
    again = {"state": EffectState.PLANNED, "failures": 0, "first_attempt_at": None, "finished_at": None}
    db.execute(update(effects).where(which).values(revision=effects.c.revision + 1))
    db.execute(update(effects).where(which, over).values(**again, due_at=now + RETELL_S))


def _is(which: dict[str, Any]) -> ColumnElement[bool]:
    return and_(*(storms.c[name] == value for name, value in which.items()))


def _parts(ids: list[int], size: int = 5_000) -> Iterator[list[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
