"""Retention: old events lose their payload and later go altogether, if all that was owed for them is over.

An event that waits, runs, failed or is dead keeps everything, however old it is. The book of payments is no part of
this, and neither are the business keys of effects: those stay in `past_effects`, for ever.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Event as Flag

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, select, true, tuple_, update

from ledger import audit
from ledger.audit import By
from ledger.errors import LedgerUnavailable
from ledger.event import DeliveryState, EffectState
from ledger.pieces import forget_nobodys, let_go_bodies
from ledger.shown import rfc3339
from ledger.store import Ledger, free, insert_or_ignore
from ledger.tables import attempts, cases, deliveries, dismissals, effects, events, large_bodies, past_effects

PAGE = 2_000
# Events a look. Looking takes no lock.

MIN_BATCH = 50
FIRST_BATCH = 100
MAX_BATCH = 1_000
MAX_BATCH_BYTES = 8 * 1024 * 1024
TARGET_S = 0.05
# Events a transaction: as many as take about so long, because nobody else can write to SQLite meanwhile.

REST = 3
# Times what a batch took, the ledger belongs to others before the next one.

INSIST_S = 30.0
# How long a batch is tried while the ledger is away or somebody else locks it.

NO_PAYLOAD = {"body": b"", "headers": "{}"}

Position = tuple[float, int]  # received_at, id
Deed = Callable[[Connection, Sequence[int]], int]


def _none(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return ~exists().where(*conditions)


# What is not surely over is not: a state that this version does not know keeps its event.
OVER = and_(
    _none(
        deliveries.c.event_id == events.c.id,
        deliveries.c.state.not_in([DeliveryState.DONE, DeliveryState.DISMISSED]),
    ),
    _none(
        effects.c.event_id == events.c.id,
        effects.c.state.not_in([EffectState.SENT, EffectState.KEPT]),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """Of what age things go. Times are Unix seconds; the payload goes first, or together with the event."""

    payload_before: float
    identity_before: float


@dataclass(slots=True, kw_only=True)
class Pruned:
    """How many events lost what, and how many of that age are unfinished and keep all."""

    deleted: int = 0
    emptied: int = 0
    unfinished: int = 0


@dataclass(frozen=True, slots=True)
class _Seen:
    """An event of that age, as a look without a lock found it."""

    id: int
    received_at: float
    payload_bytes: int
    has_payload: bool
    over: bool


def preview(ledger: Ledger, ages: Ages) -> Pruned:
    """Count what `prune` would do now."""
    found = Pruned()
    for page in _pages(ledger, before=ages.payload_before):
        for each in page:
            if not each.over:
                found.unfinished += 1
            elif each.received_at < ages.identity_before:
                found.deleted += 1
            elif each.has_payload:
                found.emptied += 1
    return found


def prune(
    ledger: Ledger, ages: Ages, *, by: By, stopping: Flag, said: Callable[[Pruned], None] = lambda _: None
) -> Pruned:
    """Delete what is old enough for that, then empty what is old enough for that: oldest first, batch by batch.

    It may be interrupted between any two batches, and any number of it may run at once, beside the service. The audit
    log says with the first batch who began, and at the end how much went.

    Args:
        ledger: where.
        ages: see there.
        by: who.
        stopping: set to end after the batch that runs.
        said: told how far it is, after each batch.

    Raises:
        LedgerUnavailable: it was away for half a minute. What was done until then stays done.

    """
    done = Pruned()
    for _ in _steps(ledger, ages, done, by=by, stopping=stopping):
        said(done)
    _forget_quiet(ledger, before=ages.identity_before, stopping=stopping)
    if done.deleted or done.emptied:
        what = {"events_deleted": done.deleted, "payloads_emptied": done.emptied}
        ledger.insist(lambda db: audit.record(db, by, "prune", now=time.time(), **what), for_s=INSIST_S)
    return done


def _steps(ledger: Ledger, ages: Ages, done: Pruned, *, by: By, stopping: Flag) -> Iterator[None]:
    """Do it batch by batch, and add up what was done."""
    pace = _Pace()
    deeds: tuple[tuple[Deed, float], ...] = (
        (delete_events, ages.identity_before),
        (empty_payloads, ages.payload_before),
    )
    begin: Callable[[Connection], None] | None = _beginning(ages, by)
    for deed, before in deeds:
        for ids in _batches(ledger, pace, before=before, payloads_only=deed is empty_payloads):
            if stopping.is_set():
                return
            count = pace.take(ledger, deed, ids, stopping, begin=begin)
            begin = None
            _forget_bodies(ledger, stopping)
            if deed is delete_events:
                done.deleted += count
            else:
                done.emptied += count
            yield


def _beginning(ages: Ages, by: By) -> Callable[[Connection], None]:
    """Give what the first batch writes down, in its transaction: whoever is killed later has been seen."""
    what = {"identity_before": rfc3339(ages.identity_before), "payload_before": rfc3339(ages.payload_before)}
    return lambda db: audit.record(db, by, "prune.begin", now=time.time(), **what)


def _forget_quiet(ledger: Ledger, *, before: float, stopping: Flag) -> None:
    """Delete what could have become a case and never did: an invoice that was simply paid leaves such a row."""
    quiet = select(cases.c.key).where(cases.c.state == "quiet", cases.c.changed_at < before).limit(MAX_BATCH)

    def forget(db: Connection) -> int:
        keys = list(db.execute(free(quiet)).scalars())
        db.execute(delete(cases).where(cases.c.key.in_(keys)))
        return len(keys)

    while not stopping.is_set() and ledger.insist(forget, for_s=INSIST_S):
        stopping.wait(TARGET_S)


def _forget_bodies(ledger: Ledger, stopping: Flag) -> None:
    """Delete the large bodies that were let go, piece by piece. What cannot be deleted now, the sweeper deletes."""
    with suppress(LedgerUnavailable):
        while not stopping.is_set() and forget_nobodys(ledger, now=time.time()):
            pass


def empty_payloads(db: Connection, ids: Sequence[int]) -> int:
    """Empty body and headers of those of these events that are over. Say how many that were."""
    mine = select(events.c.id).where(events.c.id.in_(_held(db, ids)), events.c.payload_pruned_at.is_(None), OVER)
    over = list(db.execute(mine).scalars())
    let_go_bodies(db, over)
    emptied = update(events).where(events.c.id.in_(over)).values(**NO_PAYLOAD, payload_pruned_at=time.time())
    return db.execute(emptied).rowcount


def delete_events(db: Connection, ids: Sequence[int]) -> int:
    """Delete those of these events that are over, with all that belongs to them. Say how many that were."""
    mine = list(db.execute(select(events.c.id).where(events.c.id.in_(_held(db, ids)), OVER)).scalars())
    theirs = select(deliveries.c.id).where(deliveries.c.event_id.in_(mine))
    _keep_keys(db, mine)
    db.execute(delete(effects).where(effects.c.event_id.in_(mine)))
    db.execute(delete(attempts).where(attempts.c.delivery_id.in_(theirs)))
    db.execute(delete(dismissals).where(dismissals.c.delivery_id.in_(theirs)))
    db.execute(delete(deliveries).where(deliveries.c.event_id.in_(mine)))
    let_go_bodies(db, mine)
    return db.execute(delete(events).where(events.c.id.in_(mine))).rowcount


def _held(db: Connection, ids: Sequence[int]) -> list[int]:
    """Lock these events until the end of the transaction, but for those that somebody is at.

    Whoever takes up again what is over (`ledger.again`) locks the event first, so it is either seen by the next
    statement or comes too late. On PostgreSQL a condition alone would judge by what was committed when its
    statement began.
    """
    statement = select(events.c.id).where(events.c.id.in_(ids)).order_by(events.c.id)
    return list(db.execute(statement.with_for_update(skip_locked=True)).scalars())


def _keep_keys(db: Connection, ids: Sequence[int]) -> None:
    finished_at = func.coalesce(effects.c.finished_at, effects.c.planned_at)
    keys = select(effects.c.key, finished_at).where(effects.c.event_id.in_(ids))
    db.execute(insert_or_ignore(db, past_effects).from_select(["key", "finished_at"], keys))


class _Pace:
    """How many events a transaction takes, learnt from how long the last one took."""

    def __init__(self) -> None:
        self.size = FIRST_BATCH

    def take(
        self,
        ledger: Ledger,
        deed: Deed,
        ids: Sequence[int],
        stopping: Flag,
        *,
        begin: Callable[[Connection], None] | None,
    ) -> int:
        """Do it in one transaction, with what comes first in the first of them, and rest after it."""
        took_s = 0.0

        def timed(db: Connection) -> int:
            nonlocal took_s
            began = time.monotonic()
            if begin is not None:
                begin(db)
            count = deed(db, ids)
            took_s = time.monotonic() - began
            return count

        count = ledger.insist(timed, for_s=INSIST_S)
        fitting = int(len(ids) * TARGET_S / max(took_s, 0.001))
        self.size = max(MIN_BATCH, min(fitting, 2 * self.size, MAX_BATCH))
        stopping.wait(REST * took_s)
        return count


def _batches(ledger: Ledger, pace: _Pace, *, before: float, payloads_only: bool) -> Iterator[list[int]]:
    for page in _pages(ledger, before=before):
        batch: list[int] = []
        size = 0
        for each in page:
            if each.over and (each.has_payload or not payloads_only):
                batch.append(each.id)
                size += each.payload_bytes
            if len(batch) >= pace.size or size >= MAX_BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


def _pages(ledger: Ledger, *, before: float) -> Iterator[list[_Seen]]:
    """Go through the events received before a time, oldest first."""
    after: Position | None = None
    while True:
        with ledger.read() as db:
            page = _page(db, before=before, after=after)
        if not page:
            return
        yield page
        after = (page[-1].received_at, page[-1].id)


def _page(db: Connection, *, before: float, after: Position | None) -> list[_Seen]:
    further: ColumnElement[bool] = true()
    if after is not None:
        # The first condition is for the index on received_at, the second one for events of the same moment.
        further = and_(events.c.received_at >= after[0], tuple_(events.c.received_at, events.c.id) > after)
    size = func.coalesce(large_bodies.c.size, func.length(events.c.body))
    columns = (events.c.id, events.c.received_at, size, events.c.payload_pruned_at.is_(None))
    statement = select(*columns).outerjoin(large_bodies).where(events.c.received_at < before, further)
    rows = db.execute(statement.order_by(events.c.received_at, events.c.id).limit(PAGE)).all()
    if not rows:
        return []
    # Asked in a query of its own: as a column, PostgreSQL would answer it by reading all deliveries for each page.
    over = set(db.execute(select(events.c.id).where(events.c.id.in_([row.id for row in rows]), OVER)).scalars())
    return [
        _Seen(number, received_at, size, has_payload, number in over) for number, received_at, size, has_payload in rows
    ]
