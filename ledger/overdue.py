"""What the sweeper looks for, by state: deliveries to announce, claims whose worker is gone, effects to send.

Nothing here trusts the broker, and nothing looks for "ids greater than the last one seen": a row that was
committed late would be skipped for ever.
"""

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, case, func, insert, select, tuple_, update

from ledger.event import DeliveryState, EffectState, Trigger
from ledger.line import LEASE_S, is_due
from ledger.prepared import Prepared
from ledger.schedule import MAX_CRASHES, WINDOW_S, Schedule
from ledger.store import free
from ledger.tables import DUE, QUEUED, RUNNING, SENDING, WAITING, attempts, channels, deliveries, effects

HIGH_WATER = 10_000
# The most deliveries that may be announced and not yet claimed in one queue. The broker stays small; the backlog
# stays in SQL, where it is safe and can be seen.

FIRST_OVERDUE_S = 10.0
LAST_OVERDUE_S = 300.0
# An announced delivery that nobody claims is announced again after 10 s, 20 s, 40 s … 5 minutes.

DOUBLINGS = 5
SPREAD_S = 5.0
# A handler takes milliseconds: so many seconds keep even hundreds of them apart.

CLOCKS_DIFFER_S = 60.0
LONGEST_PAUSE_S = 3_600.0
# What `workers.post` waits at most because Slack asked to.

SWEEP_LIMIT = 1_000
# Rows a transaction: other writers get their turn in between.


@dataclass(frozen=True, slots=True)
class Doorbell:
    """A delivery to announce. `alone`: it was running when a worker died, so it travels without company."""

    delivery_id: int
    queue: str
    alone: bool


@dataclass(frozen=True, slots=True)
class Held:
    """A claim as the sweeper saw it: whose it is, and how often that worker has said that it lives."""

    id: int
    token: str
    beat: int


def count_queued(db: Connection) -> dict[str, int]:
    """Count what is announced and not yet claimed, by queue."""
    return dict(_COUNT_QUEUED.execute(db, {}))


_COUNT_QUEUED = Prepared(select(deliveries.c.queue, func.count()).where(QUEUED).group_by(deliveries.c.queue))


def announce_due(db: Connection, queues: Iterable[str], handlers: Collection[str], now: float) -> list[Doorbell]:
    """Mark what is due as queued, up to the high-water mark of its queue. Ring after the commit."""
    queued = count_queued(db)
    rung: list[Doorbell] = []
    for queue in queues:
        room = min(HIGH_WATER - queued.get(queue, 0), SWEEP_LIMIT)
        if room > 0:
            mine = (deliveries.c.queue == queue, deliveries.c.handler.in_(handlers))
            due = _ids(WAITING, deliveries.c.due_at <= now, *mine).order_by(deliveries.c.due_at)
            rung += _announce(db, due.limit(room), now)
    return rung


def announce_again(db: Connection, handlers: Collection[str], now: float) -> list[Doorbell]:
    """Find what was announced too long ago and never claimed: a broker lost it, or is slower than it should be."""
    overdue = _ids(QUEUED, deliveries.c.overdue_at <= now, deliveries.c.handler.in_(handlers))
    return _announce(db, overdue.order_by(deliveries.c.overdue_at).limit(SWEEP_LIMIT), now)


def set_aside(db: Connection, handlers: Collection[str], now: float) -> list[int]:
    """Let announced deliveries wait in SQL that no worker of this version can run, until one that can is there.

    They would count as waiting in their queue for ever, and there is only so much room in it.
    """
    strange = _ids(QUEUED, deliveries.c.overdue_at <= now, deliveries.c.handler.not_in(handlers))
    statement = (
        update(deliveries)
        .where(deliveries.c.id.in_(free(strange)))
        .values(state=DeliveryState.PENDING)
        .returning(deliveries.c.id)
    )
    return list(db.execute(statement).scalars())


_UNHELD = and_(DUE, effects.c.held_until.is_(None))
# What waits for the end of quiet hours, or of a snooze, waits on purpose.


def correct_clocks(db: Connection, now: float) -> None:
    """Make due what only waits because the clock was far ahead when it was written."""
    far, soon = now + WINDOW_S, now + CLOCKS_DIFFER_S
    for table, column, where in (
        (deliveries, deliveries.c.due_at, and_(WAITING, deliveries.c.due_at > far)),
        (effects, effects.c.due_at, and_(DUE, effects.c.due_at > far)),
        # What was never tried is due at once; where Slack asked to wait, its channel waits.
        (deliveries, deliveries.c.due_at, and_(WAITING, deliveries.c.failures == 0, deliveries.c.due_at > soon)),
        (effects, effects.c.due_at, and_(_UNHELD, effects.c.failures == 0, effects.c.due_at > soon)),
        (deliveries, deliveries.c.overdue_at, and_(QUEUED, deliveries.c.overdue_at > soon + LAST_OVERDUE_S)),
    ):
        late = free(select(table.c.id).where(where))
        db.execute(update(table).where(table.c.id.in_(late)).values({column: now}))
    too_long = channels.c.paused_until > soon + func.coalesce(channels.c.pause_s, LONGEST_PAUSE_S)
    db.execute(update(channels).where(too_long).values(paused_until=now))
    db.execute(update(channels).where(channels.c.next_at > soon + LEASE_S).values(next_at=now))


def _ids(*conditions: Any) -> Select[int]:  # noqa: ANN401  # SQLAlchemy's conditions have no common public type
    return select(deliveries.c.id).where(*conditions)


def _announce(db: Connection, ids: Select[int], now: float) -> list[Doorbell]:
    statement = (
        update(deliveries)
        .where(deliveries.c.id.in_(free(ids)))
        .values(
            state=DeliveryState.QUEUED,
            announcements=deliveries.c.announcements + 1,
            overdue_at=now + _overdue_after_s(),
        )
        .returning(deliveries.c.id, deliveries.c.queue, deliveries.c.crashes)
    )
    return [Doorbell(each, queue, crashes > 0) for each, queue, crashes in sorted(db.execute(statement))]


def _overdue_after_s() -> Any:  # noqa: ANN401
    steps = [(deliveries.c.announcements <= n, FIRST_OVERDUE_S * 2**n) for n in range(DOUBLINGS)]
    return case(*steps, else_=LAST_OVERDUE_S)


def running(db: Connection) -> list[Held]:
    """List the deliveries that workers hold."""
    rows = db.execute(select(deliveries.c.id, deliveries.c.token, deliveries.c.beat).where(RUNNING))
    return [Held(*row) for row in rows]


def sending(db: Connection) -> list[Held]:
    """List the effects that workers hold."""
    rows = db.execute(select(effects.c.id, effects.c.token, effects.c.beat).where(SENDING))
    return [Held(*row) for row in rows]


def free_deliveries(db: Connection, abandoned: Sequence[Held], now: float) -> dict[str, list[int]]:
    """Take deliveries from a worker that is gone; each counts one crash, and at three it is dead.

    Returns:
        The ids that were freed, by their new state.

    """
    crashed = deliveries.c.crashes + 1
    poison = crashed >= MAX_CRASHES
    statement = (
        update(deliveries)
        .where(deliveries.c.id.in_(free(_ids(_unmoved(deliveries, abandoned), RUNNING))))
        .values(
            state=case((poison, DeliveryState.DEAD), else_=DeliveryState.PENDING),
            crashes=crashed,
            token=None,
            due_at=now,
            finished_at=case((poison, now), else_=None),
            last_error=case(
                (poison, f"the worker died {MAX_CRASHES} times while it ran this"),
                else_="the worker died while it ran this",
            ),
        )
        .returning(
            deliveries.c.id,
            deliveries.c.state,
            deliveries.c.attempts,
            deliveries.c.trigger,
            deliveries.c.started_at,
            deliveries.c.last_error,
        )
    )
    freed: dict[str, list[int]] = defaultdict(list)
    records = []
    for delivery_id, state, number, trigger, started_at, error in sorted(db.execute(statement), key=lambda row: row[0]):
        freed[state].append(delivery_id)
        records.append(
            {
                "delivery_id": delivery_id,
                "number": number,
                "trigger": trigger or Trigger.INITIAL,
                "outcome": "crashed",
                "started_at": started_at,
                "finished_at": now,
                "error": error,
            },
        )
    if records:
        db.execute(insert(attempts), records)
    _spread(db, freed.get(DeliveryState.PENDING, []), now)
    return freed


def _spread(db: Connection, ids: Sequence[int], now: float) -> None:
    """Let what died together not run together again: one of them may be the cause, and the others would share its end.

    To travel alone is not enough: the eight threads of a worker run eight messages.
    """
    if len(ids) > 1:
        moments = [{"its_id": each, "its_due_at": now + random.uniform(0, SPREAD_S)} for each in ids]  # noqa: S311
        db.execute(_DUE_LATER, moments)


_DUE_LATER = update(deliveries).where(deliveries.c.id == bindparam("its_id")).values(due_at=bindparam("its_due_at"))


def free_effects(db: Connection, abandoned: Sequence[Held], now: float) -> dict[str, list[int]]:
    """Take effects from a worker that died while it called Slack: whether Slack heard it is not known.

    It counts as a failure: an effect that kills its worker is not sent for ever.

    Returns:
        The ids that were freed, by their new state.

    """
    columns = (effects.c.id, effects.c.failures, effects.c.first_attempt_at, effects.c.ts)
    lost = select(*columns).where(_unmoved(effects, abandoned), SENDING)
    freed: dict[str, list[int]] = defaultdict(list)
    for effect_id, failures, first_attempt_at, ts in db.execute(free(lost)).all():
        due_at = Schedule(failures, first_attempt_at).next_due(now)
        # A change of a message that is there can be sent twice and nobody sees it.
        unknown = EffectState.AMBIGUOUS if ts is None else EffectState.PLANNED
        state = EffectState.DEAD if due_at is None else unknown
        db.execute(
            update(effects)
            .where(effects.c.id == effect_id)
            .values(
                state=state,
                lost_answers=effects.c.lost_answers + int(ts is None),
                failures=effects.c.failures + 1,
                token=None,
                due_at=now if due_at is None else due_at,
                finished_at=now if due_at is None else None,
                last_error="the worker died while it was sending",
            ),
        )
        if due_at is None:  # and with it whatever it would have told of
            folded = update(effects).where(effects.c.folded_into == effect_id, DUE)
            db.execute(folded.values(state=state, finished_at=now, last_error="the message that tells of it is dead"))
        freed[state].append(effect_id)
    return freed


def _unmoved(table: Any, abandoned: Sequence[Held]) -> Any:  # noqa: ANN401
    # The beat is part of the condition: a worker that came back between the look and the deed keeps its claim.
    seen = [(each.id, each.token, each.beat) for each in abandoned]
    return tuple_(table.c.id, table.c.token, table.c.beat).in_(seen)


def effects_are_due(db: Connection, now: float) -> bool:
    """Say whether there is an effect to send."""
    return is_due(db, now)


def deliveries_are_due(db: Connection, handlers: Collection[str], now: float) -> bool:
    """Say whether there is a delivery to announce: a look costs no lock, and mostly there is none."""
    waiting = _ids(WAITING, deliveries.c.due_at <= now, deliveries.c.handler.in_(handlers))
    overdue = _ids(QUEUED, deliveries.c.overdue_at <= now, deliveries.c.handler.in_(handlers))
    return any(db.execute(look.limit(1)).first() is not None for look in (waiting, overdue))
