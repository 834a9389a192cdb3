"""What a person may change: the same for the commands and for the HTTP API, and each in the audit log."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from ledger import again, audit, dismissals, replays, views
from ledger.addresses import split
from ledger.again import NOTHING, RETRIABLE, Again
from ledger.audit import By
from ledger.dismissals import DISMISSABLE
from ledger.replays import Found, Step
from ledger.views.audit import list_audit


def retry(db: Connection, names: Sequence[str], *, by: By, now: float, states: Collection[str] | None = None) -> Again:
    """Run failed or dead deliveries again now, and send their dead effects again.

    Args:
        db: where.
        names: ids of deliveries; or providers' ids of events, for all of an event's.
        by: who.
        now: Unix seconds.
        states: of deliveries that are named by id, only those in one of these; None: failed or dead.

    Raises:
        ledger.addresses.Unknown: one of them does not exist. Nothing is retried.

    """
    ids, event_ids = split(db, names)
    known = RETRIABLE if states is None else [each for each in RETRIABLE if each in states]
    parts = (again.retry_deliveries(db, ids, now, states=known), again.retry_events(db, event_ids, now))
    done = sum(parts, NOTHING)
    if done.deliveries or done.effects:
        audit.record(db, by, "retry", now=now, deliveries=done.deliveries, effects=done.effects)
    return done


def dismiss(
    db: Connection,
    names: Sequence[str],
    *,
    by: By,
    reason: str,
    now: float,
    states: Collection[str] | None = None,
) -> list[int]:
    """Say that deliveries do not matter any more. Give the ids of those that it changed something for.

    Args:
        db: where.
        names: ids of deliveries; or providers' ids of events, for all of an event's.
        by: who.
        reason: why.
        now: Unix seconds.
        states: only deliveries in one of these; None: whatever is not over and does not run.

    Raises:
        ledger.addresses.Unknown: one of them does not exist. Nothing is dismissed.

    """
    ids, event_ids = split(db, names)
    chosen = ids | views.delivery_ids_of(db, event_ids)
    known = DISMISSABLE if states is None else [each for each in DISMISSABLE if each in states]
    done = dismissals.dismiss(db, chosen, who=by.who, reason=reason, now=now, states=known)
    if done:
        why = By(who=by.who, via=by.via, reason=reason)
        audit.record(db, why, "dismiss", now=now, deliveries=done)
    return done


def start_replay(
    db: Connection, found: Found, *, chosen: Mapping[str, Any], state: str | None, again: bool, by: By, now: float
) -> int:
    """Write a replay down, before anything of it is done. Give its id.

    Args:
        db: where.
        found: what to run.
        chosen: what was asked for, to be shown later.
        state: the only one that a delivery may be in when its turn comes; None: any in which it is over or failed.
        again: do effects again that are recorded already.
        by: who.
        now: Unix seconds.

    """
    replay_id = replays.create(
        db, found.items, who=by.who, reason=by.reason, chosen=chosen, state=state, again=again, now=now
    )
    audit.record(db, by, "replay", now=now, replay=replay_id, deliveries=len(found.items), chosen=dict(chosen))
    return replay_id


def advance(db: Connection, replay_id: int, *, by: By, limit: int, now: float) -> Step:
    """Set the next items of a replay going. Whoever goes on with one, other than at once, is in the audit log too.

    Args:
        db: where.
        replay_id: which.
        by: who.
        limit: at most so many items.
        now: Unix seconds.

    Raises:
        LookupError: there is no such replay.

    """
    step = replays.advance(db, replay_id, limit=limit, now=now)
    if (step.started or step.left_alone) and not _is_at_it(db, by, replay_id):
        audit.record(db, by, "replay.resume", now=now, replay=replay_id)
    return step


def _is_at_it(db: Connection, by: By, replay_id: int) -> bool:
    """Whether the newest entry says that they began or resumed it: a replay has thousands of steps."""
    return any(
        entry["action"] in ("replay", "replay.resume")
        and (entry["who"], entry["via"], entry["detail"]["replay"]) == (by.who, by.via, replay_id)
        for entry in list_audit(db, limit=1)
    )
