"""Claims on deliveries: how a worker makes sure that what it runs is its own, and records how that went.

A claim is a token on the rows. Every later step asks for the token again ("fencing"), so that a worker that was
taken for dead and comes back, a doubled message or a forged one changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Executable,
    Float,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from ledger.event import DeliveryState, Event, Trigger
from ledger.prepared import Among, Prepared, as_list, prepare_with_lists
from ledger.rows import InsertMany
from ledger.schedule import Schedule
from ledger.store import free, in_turn
from ledger.tables import QUEUED, RUNNING, WAITING, attempts, deliveries, events
from ledger.views.body import read_body, sizes_of

MAX_ERROR_CHARS = 2_000

MAX_LOADED_BYTES = 8 * 1024 * 1024
# Of bodies a message: GitHub's may have 25 MiB each, and a worker has eight threads.

CLAIMABLE = or_(QUEUED, WAITING)


class Taken(NamedTuple):
    """A delivery that this worker holds."""

    id: int
    event_id: int
    handler: str
    attempt: int  # 1 is the first
    trigger: str
    failures: int  # since the schedule began
    first_attempt_at: float  # Unix seconds
    crashes: int
    started_at: float  # Unix seconds
    replay_id: int | None = None  # of the replay that set it going last
    again: bool | None = None  # that replay does recorded effects again

    @property
    def schedule(self) -> Schedule:
        """Where its retries stand."""
        return Schedule(self.failures, self.first_attempt_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery that this worker holds, with all that it needs to run it."""

    delivery: Taken
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt went."""

    delivery: Taken
    state: DeliveryState  # done, failed or dead
    error: str | None = None
    due_at: float | None = None  # Unix seconds; of the next attempt, where there is one
    crashed: bool = False  # it counts like the death of its worker


_TAKEN = Taken._fields
_COLUMNS = {"attempt": "attempts"}  # where a column is called otherwise
_EVENT = tuple(field.name for field in fields(Event) if field.init)
# By place and not by name: a row's names cost as much as its values.

# Statements are made once: to put one together takes several times as long as to run it.


def _claim(*conditions: ColumnElement[bool]) -> Prepared:
    now: BindParameter[float] = bindparam("its_now", type_=Float)
    # What was announced is due, whatever the clock says: the clocks of two machines are never the same.
    due = or_(QUEUED, deliveries.c.due_at <= now)

    def statement(among: Among) -> Executable:
        mine = select(deliveries.c.id).where(
            among(deliveries.c.id, "its_ids"), CLAIMABLE, due, among(deliveries.c.handler, "its_handlers"), *conditions
        )
        return (
            update(deliveries)
            .where(deliveries.c.id.in_(free(mine)))
            .values(
                state=DeliveryState.RUNNING.value,
                token=bindparam("its_token"),
                started_at=now,
                first_attempt_at=func.coalesce(deliveries.c.first_attempt_at, now),
                attempts=deliveries.c.attempts + 1,
                announcements=0,
            )
            .returning(*(deliveries.c[_COLUMNS.get(name, name)] for name in _TAKEN))
        )

    return prepare_with_lists(statement)


_CLAIM_ALONE = _claim()
_CLAIM_IN_COMPANY = _claim(deliveries.c.crashes == 0)


def claim(db: Connection, ids: Sequence[int], *, handlers: Collection[str], token: str, now: float) -> list[Taken]:
    """Take what may be run of these deliveries.

    Left alone: what somebody else runs, what is over, what is not due, what needs a handler that this worker does
    not know (a newer worker does), and in company, what was running when a worker died.
    """
    statement = _CLAIM_IN_COMPANY if len(ids) > 1 else _CLAIM_ALONE
    its = {"its_ids": as_list(db, ids), "its_handlers": as_list(db, handlers), "its_token": token, "its_now": now}
    return [Taken._make((*known, _true_or_false(again))) for *known, again in sorted(statement.execute(db, its))]


def _true_or_false(value: int | None) -> bool | None:
    """Read what the driver of SQLite gives: it knows no true and false."""
    return None if value is None else bool(value)


_SIZES = prepare_with_lists(
    lambda among: select(events.c.id, func.length(events.c.body)).where(among(events.c.id, "its_ids"))
)
_LOAD = prepare_with_lists(
    lambda among: select(*(events.c[name] for name in _EVENT)).where(among(events.c.id, "its_ids"))
)


def load(db: Connection, taken: Sequence[Taken]) -> list[Claimed]:
    """Load the events of the first of these deliveries: at least one, and no more than MAX_LOADED_BYTES of bodies."""
    sizes: dict[int, int] = dict(_SIZES.execute(db, {"its_ids": as_list(db, (each.event_id for each in taken))}))
    if not all(sizes.values()):
        sizes |= sizes_of(db, [event_id for event_id, size in sizes.items() if not size])
    total = 0
    chosen: list[Taken] = []
    for each in taken:
        total += sizes[each.event_id]
        if chosen and total > MAX_LOADED_BYTES:
            break
        chosen.append(each)
    loaded = load_events(db, {each.event_id for each in chosen})
    return [Claimed(delivery=each, event=loaded[each.event_id]) for each in chosen]


def load_events(db: Connection, event_ids: Collection[int]) -> dict[int, Event]:
    """Load events as handlers see them, by id."""
    rows = _LOAD.execute(db, {"its_ids": as_list(db, event_ids)})
    events_by_id = {row[0]: _event(row) for row in rows}
    # The body of a large one is elsewhere.
    large = {id_: replace(event, body=read_body(db, id_)) for id_, event in events_by_id.items() if not event.body}
    return events_by_id | large


def _event(row: tuple[Any, ...]) -> Event:
    known = dict(zip(_EVENT, row, strict=True))
    known["livemode"] = _true_or_false(known["livemode"])
    return Event(**known)


_HELD = Prepared(in_turn(select(deliveries.c.id).where(RUNNING, deliveries.c.token == bindparam("its_token"))))


def still_held(db: Connection, token: str) -> set[int]:
    """Say which deliveries this token still holds, and keep them so until the end of the transaction."""
    return {row[0] for row in _HELD.execute(db, {"its_token": token})}


def settle(db: Connection, outcomes: Sequence[Outcome], *, token: str, now: float) -> None:
    """Record how the attempts went. Call `still_held` first, in the same transaction."""
    if not outcomes:
        return
    done = [outcome.delivery.id for outcome in outcomes if outcome.state == DeliveryState.DONE]
    if done:
        _DONE.execute(db, {"its_ids": as_list(db, done), "its_token": token, "its_end": now})
    other = [_row(outcome, token, now) for outcome in outcomes if outcome.state != DeliveryState.DONE]
    if other:
        db.execute(_SETTLE, other)
    _ATTEMPTS.write(db, [_attempt(outcome, now) for outcome in outcomes])


_DONE = prepare_with_lists(
    lambda among: (
        update(deliveries)
        .where(among(deliveries.c.id, "its_ids"), RUNNING, deliveries.c.token == bindparam("its_token"))
        .values(
            state=DeliveryState.DONE.value, token=None, finished_at=bindparam("its_end", type_=Float), last_error=None
        )
    )
)
_ATTEMPTS = InsertMany(attempts, ignore_known=False)
_SETTLE = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("its_id"), RUNNING, deliveries.c.token == bindparam("its_token"))
    .values(
        state=bindparam("its_state"),
        token=None,
        due_at=func.coalesce(bindparam("its_due_at"), deliveries.c.due_at),
        failures=deliveries.c.failures + 1,
        crashes=deliveries.c.crashes + bindparam("its_crashes"),
        trigger=Trigger.RETRY,
        finished_at=bindparam("its_end"),
        last_error=bindparam("its_error"),
    )
)


def _row(outcome: Outcome, token: str, now: float) -> dict[str, Any]:
    return {
        "its_id": outcome.delivery.id,
        "its_token": token,
        "its_state": outcome.state,
        "its_due_at": outcome.due_at,
        "its_crashes": int(outcome.crashed),
        "its_end": now if outcome.state == DeliveryState.DEAD else None,
        "its_error": short(outcome.error),
    }


def _attempt(outcome: Outcome, now: float) -> dict[str, Any]:
    return {
        "delivery_id": outcome.delivery.id,
        "number": outcome.delivery.attempt,
        "trigger": outcome.delivery.trigger,
        "outcome": "crashed" if outcome.crashed else outcome.state.value,
        "started_at": outcome.delivery.started_at,
        "finished_at": now,
        "error": short(outcome.error),
    }


def short(error: str | None) -> str | None:
    """Make of an error's text what can be kept."""
    # An error may quote a body: NUL and half characters, which no database takes, are in some.
    return error[:MAX_ERROR_CHARS].replace("\0", "").encode("utf-8", "replace").decode() if error else None


def release(db: Connection, token: str, *, now: float, ids: Collection[int] | None = None) -> list[int]:
    """Give back what was claimed and not run (all of it, or `ids`): as if it had never been taken."""
    mine = deliveries.c.token == token if ids is None else and_(deliveries.c.token == token, deliveries.c.id.in_(ids))
    statement = (
        update(deliveries)
        .where(deliveries.c.id.in_(in_turn(select(deliveries.c.id).where(RUNNING, mine))))
        .values(state=DeliveryState.PENDING, token=None, due_at=now, attempts=deliveries.c.attempts - 1)
        .returning(deliveries.c.id)
    )
    return list(db.execute(statement).scalars().all())


def beat(db: Connection, tokens: Collection[str]) -> None:
    """Say that the worker behind these claims lives.

    Deliveries that are in hand, in a transaction that goes on, are passed over: nobody can take those away.
    """
    mine = select(deliveries.c.id).where(RUNNING, deliveries.c.token.in_(tokens))
    db.execute(update(deliveries).where(deliveries.c.id.in_(free(mine))).values(beat=deliveries.c.beat + 1))
