"""Effects: what is done to the outside, at most one each business key.

planned → sending → sent, or back to planned with a due time, or ambiguous (the answer was lost: look before
sending again), or dead; kept where there is nobody to send it to.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, delete, exists, func, select, update

from ledger.claims import short
from ledger.event import EffectState
from ledger.schedule import Schedule
from ledger.store import Transaction, free, insert_or_ignore
from ledger.tables import DUE, SENDING, channels, effects, events, past_effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An effect that this worker is about to work on."""

    id: int
    event_id: int
    key: str
    channel: str
    message: Mapping[str, Any]  # text, blocks
    planned_at: float  # Unix seconds
    attempts: int
    failures: int  # since the schedule began
    first_attempt_at: float  # Unix seconds
    lost_answers: int  # how often it may have been sent already
    traceparent: str | None = None  # of the request that it comes of (W3C Trace Context)

    @property
    def schedule(self) -> Schedule:
        """Where its retries stand."""
        return Schedule(self.failures, self.first_attempt_at)


def plan(
    db: Transaction | Connection,
    *,
    event_id: int,
    delivery_id: int,
    key: str,
    channel: str,
    message: Mapping[str, Any],
    now: float,
) -> int | None:
    """Plan an effect, unless there is one under this key, or ever was. Give its id, or None."""
    row = {
        "event_id": event_id,
        "delivery_id": delivery_id,
        "key": key,
        "channel": channel,
        "message": json.dumps(message),
        "state": EffectState.PLANNED,
        "planned_at": now,
        "due_at": now,
    }
    result: int | None = db.execute(insert_or_ignore(db, effects, effects.c.id), row).scalar()
    return None if result is None or _is_past(db, result, key) else result


_PAST = select(past_effects.c.key).where(past_effects.c.key == bindparam("its_key"))


def _is_past(db: Transaction | Connection, effect_id: int, key: str) -> bool:
    """Say whether it was done for an event that was pruned since, and take back the plan to do it again.

    Looked up after the insert, which waits for a prune that has the key in hand at this moment.
    """
    if db.execute(_PAST, {"its_key": key}).first() is None:
        return False
    db.execute(delete(effects).where(effects.c.id == effect_id))
    return True


def claim_next(db: Connection, *, token: str, now: float) -> Effect | None:
    """Take the effect that has been due longest, of a channel that does not pause, if there is one."""
    its_event = select(events.c.traceparent).where(events.c.id == effects.c.event_id)
    traceparent = its_event.correlate(effects).scalar_subquery()
    statement = (
        update(effects)
        .where(effects.c.id.in_(free(next_due(now))))
        .values(
            state=EffectState.SENDING,
            token=token,
            started_at=now,
            first_attempt_at=func.coalesce(effects.c.first_attempt_at, now),
            attempts=effects.c.attempts + 1,
        )
        .returning(
            effects.c.id,
            effects.c.event_id,
            effects.c.key,
            effects.c.channel,
            effects.c.message,
            effects.c.planned_at,
            effects.c.attempts,
            effects.c.failures,
            effects.c.first_attempt_at,
            effects.c.lost_answers,
            traceparent.label("traceparent"),
        )
    )
    row = db.execute(statement).mappings().first()
    return Effect(**{**row, "message": json.loads(row["message"])}) if row else None


def next_due(now: float) -> Select[int]:
    """Select the effect to send next."""
    paused = exists().where(channels.c.name == effects.c.channel, channels.c.paused_until > now)
    due = select(effects.c.id).where(DUE, effects.c.due_at <= now, ~paused)
    return due.order_by(effects.c.due_at, effects.c.id).limit(1)


def mark_sent(db: Connection, effect: Effect, *, token: str, channel_id: str, ts: str, now: float) -> bool:
    """Record that Slack has it. Say whether the claim still held."""
    _keep_channel(db, effect.channel, {"channel_id": channel_id})
    values = {"channel_id": channel_id, "ts": ts, "finished_at": now, "last_error": None}
    return _settle(db, effect, token, EffectState.SENT, values)


def mark_kept(db: Connection, effect: Effect, *, token: str, now: float) -> bool:
    """Record that it was shown on the console, as there is no Slack to send it to."""
    return _settle(db, effect, token, EffectState.KEPT, {"finished_at": now, "last_error": None})


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
    return _settle(db, effect, token, EffectState.DEAD, values)


def pause_channel(db: Connection, effect: Effect, *, token: str, until: float) -> bool:
    """Put an effect back that Slack was too busy for, uncounted, and let its whole channel wait (Unix seconds)."""
    _keep_channel(db, effect.channel, {"paused_until": until})
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
