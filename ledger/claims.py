"""Claims on deliveries: how a worker makes sure that what it runs is its own, and records how that went.

A claim is a token on the rows. Every later step asks for the token again ("fencing"), so that a worker that was
taken for dead and comes back, a doubled message or a forged one changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from ledger.event import DeliveryState, Event, Trigger
from ledger.schedule import Schedule
from ledger.tables import RUNNING, attempts, deliveries, events

MAX_ERROR_CHARS = 2_000

CLAIMABLE = (DeliveryState.QUEUED, DeliveryState.PENDING, DeliveryState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery that this worker holds, with all that it needs to run it."""

    id: int
    event: Event
    handler: str
    attempt: int  # 1 is the first
    trigger: str
    failures: int  # since the schedule began
    first_attempt_at: float  # Unix seconds
    crashes: int
    started_at: float  # Unix seconds

    @property
    def schedule(self) -> Schedule:
        """Where its retries stand."""
        return Schedule(self.failures, self.first_attempt_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt went."""

    delivery: Claimed
    state: DeliveryState  # done, failed or dead
    error: str | None = None
    due_at: float | None = None  # Unix seconds; of the next attempt, where there is one
    crashed: bool = False  # it counts like the death of its worker


def claim(db: Connection, ids: Sequence[int], *, handlers: Collection[str], token: str, now: float) -> list[Claimed]:
    """Take what may be run of these deliveries.

    Left alone: what somebody else runs, what is over, what is not due, what needs a handler that this worker does
    not know (a newer worker does), and in company, what was running when a worker died.
    """
    statement = (
        update(deliveries)
        .where(
            deliveries.c.id.in_(ids),
            deliveries.c.state.in_(CLAIMABLE),
            deliveries.c.due_at <= now,
            deliveries.c.handler.in_(handlers),
        )
        .values(
            state=DeliveryState.RUNNING,
            token=token,
            started_at=now,
            first_attempt_at=func.coalesce(deliveries.c.first_attempt_at, now),
            attempts=deliveries.c.attempts + 1,
        )
        .returning(
            deliveries.c.id,
            deliveries.c.event_id,
            deliveries.c.handler,
            deliveries.c.attempts,
            deliveries.c.trigger,
            deliveries.c.failures,
            deliveries.c.first_attempt_at,
            deliveries.c.crashes,
        )
    )
    if len(ids) > 1:
        statement = statement.where(deliveries.c.crashes == 0)
    rows = db.execute(statement).all()
    loaded = _load(db, {row.event_id for row in rows})
    return [
        Claimed(
            id=row.id,
            event=loaded[row.event_id],
            handler=row.handler,
            attempt=row.attempts,
            trigger=row.trigger,
            failures=row.failures,
            first_attempt_at=row.first_attempt_at,
            crashes=row.crashes,
            started_at=now,
        )
        for row in sorted(rows, key=lambda row: row.id)
    ]


def _load(db: Connection, event_ids: Collection[int]) -> dict[int, Event]:
    statement = select(
        events.c.id,
        events.c.source,
        events.c.external_id,
        events.c.type,
        events.c.account,
        events.c.livemode,
        events.c.received_at,
        events.c.content_type,
        events.c.body,
    ).where(events.c.id.in_(event_ids))
    return {row["id"]: Event(**row) for row in db.execute(statement).mappings()}


def still_held(db: Connection, token: str) -> set[int]:
    """Say which deliveries this token still holds, and keep them so until the end of the transaction."""
    statement = select(deliveries.c.id).where(RUNNING, deliveries.c.token == token).with_for_update()
    return set(db.execute(statement).scalars().all())


def settle(db: Connection, outcomes: Sequence[Outcome], *, token: str, now: float) -> None:
    """Record how the attempts went. Call `still_held` first, in the same transaction."""
    if not outcomes:
        return
    done = [outcome.delivery.id for outcome in outcomes if outcome.state == DeliveryState.DONE]
    if done:
        db.execute(
            update(deliveries)
            .where(deliveries.c.id.in_(done), RUNNING, deliveries.c.token == token)
            .values(state=DeliveryState.DONE, token=None, finished_at=now, last_error=None),
        )
    other = [_row(outcome, token, now) for outcome in outcomes if outcome.state != DeliveryState.DONE]
    if other:
        db.execute(_SETTLE, other)
    db.execute(insert(attempts), [_attempt(outcome, now) for outcome in outcomes])


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
        "its_error": _short(outcome.error),
    }


def _attempt(outcome: Outcome, now: float) -> dict[str, Any]:
    return {
        "delivery_id": outcome.delivery.id,
        "number": outcome.delivery.attempt,
        "trigger": outcome.delivery.trigger,
        "outcome": "crashed" if outcome.crashed else outcome.state,
        "started_at": outcome.delivery.started_at,
        "finished_at": now,
        "error": _short(outcome.error),
    }


def _short(error: str | None) -> str | None:
    return error[:MAX_ERROR_CHARS].replace("\0", "") if error else None


def release(db: Connection, token: str, *, now: float) -> list[int]:
    """Give back what was claimed and not run: as if it had never been taken."""
    statement = (
        update(deliveries)
        .where(RUNNING, deliveries.c.token == token)
        .values(state=DeliveryState.PENDING, token=None, due_at=now, attempts=deliveries.c.attempts - 1)
        .returning(deliveries.c.id)
    )
    return list(db.execute(statement).scalars().all())


def beat(db: Connection, tokens: Collection[str]) -> None:
    """Say that the worker behind these claims lives."""
    db.execute(update(deliveries).where(RUNNING, deliveries.c.token.in_(tokens)).values(beat=deliveries.c.beat + 1))
