"""Large bodies, kept in pieces: one row of 25 MB would keep everybody else from writing for a third of a second.

A body is written before its event, piece by piece, each in a transaction of its own, so that others get their turn in
between. The transaction of the event takes it. What no event has taken is nobody's: it goes after a while, and what an
event has let go at once; also piece by piece.
"""

import time
from collections.abc import Collection, Iterator

from sqlalchemy import Connection, delete, insert, select, update

from ledger.errors import LedgerUnavailable
from ledger.store import Ledger
from ledger.tables import body_pieces, large_bodies

LARGE_BYTES = 1024 * 1024
# A body above this is kept in pieces. To write so much in one row takes some 15 ms; Stripe and Slack never send more.

PIECE_BYTES = 256 * 1024
# Takes 1 to 2 ms, fsync and all: as long as a commit of small events.

REST = 1
# Times what a piece took, the ledger belongs to others before the next one: a lock goes to whoever asks first, and that
# would always be the thread that has just let it go. Less when the time is short: GitHub does not send
# again by itself what was refused.

NOBODYS_AFTER_S = 3_600.0
# Far longer than any event waits to be committed.

FORGOTTEN_AT_ONCE = 8
# Bodies a look of the sweeper's.

LET_GO = 0.0
# When a body that goes was begun: no event may take it any more, for some of it is gone.

DELETED_AT_ONCE = 16
# Pieces a transaction: 4 MB, which takes 10 ms. 25 MB take 100.


class BodyGone(Exception):
    """The pieces of a body are not there any more: its event came an hour late, or a clock jumped."""


def write_body(ledger: Ledger, body: bytes, *, until: float, rest: float = REST) -> int:
    """Make a body durable that belongs to no event yet; give its id.

    Args:
        ledger: where.
        body: what.
        until: give up then (monotonic seconds), and delete what is written by then.
        rest: see REST; less when the time is short.

    Raises:
        LedgerUnavailable: it cannot be written, or not in time.

    """
    body_id = 0
    pieces = list(_cut(body))
    for number, piece in enumerate(pieces):
        began = time.monotonic()
        if began > until:
            if body_id:  # the sender will come again, with all of it
                forget_body(ledger, body_id)
            raise LedgerUnavailable("a large body took too long to write")
        with ledger.write() as db:
            body_id = body_id or _begin(db, len(body))
            db.execute(insert(body_pieces), {"body_id": body_id, "number": number, "content": piece})
        time.sleep(_rest_s(time.monotonic() - began, until - time.monotonic(), len(pieces) - number - 1, rest))
    return body_id


def _rest_s(took_s: float, left_s: float, left: int, rest: float) -> float:
    """Say how long to rest after a piece that took so long, so that those that are left take half of the time left."""
    return max(0.0, min(rest * took_s, left_s / left / 2 - took_s)) if left else 0.0


def _cut(body: bytes) -> Iterator[memoryview]:
    whole = memoryview(body)
    return (whole[start : start + PIECE_BYTES] for start in range(0, len(body), PIECE_BYTES))


def _begin(db: Connection, size: int) -> int:
    values = {"begun_at": time.time(), "size": size}
    body_id: int = db.execute(insert(large_bodies).returning(large_bodies.c.id), values).scalar_one()
    return body_id


def take_body(db: Connection, body_id: int, event_id: int) -> None:
    """Give a body to its event, in the transaction of the event. Raises BodyGone."""
    nobodys = large_bodies.c.event_id.is_(None), large_bodies.c.begun_at > LET_GO
    mine = update(large_bodies).where(large_bodies.c.id == body_id, *nobodys)
    if db.execute(mine.values(event_id=event_id)).rowcount != 1:
        raise BodyGone


def let_go_bodies(db: Connection, event_ids: Collection[int]) -> None:
    """Make nobody's what these events have in pieces: `forget_nobodys` deletes it."""
    theirs = update(large_bodies).where(large_bodies.c.event_id.in_(event_ids))
    db.execute(theirs.values(event_id=None, begun_at=LET_GO))


def forget_nobodys(ledger: Ledger, *, now: float) -> int:
    """Delete some of the bodies that were let go, or whose event never came, because its process died. Say how many.

    Raises:
        LedgerUnavailable: some are left for the next time.

    """
    nobodys = large_bodies.c.event_id.is_(None), large_bodies.c.begun_at < now - NOBODYS_AFTER_S
    with ledger.read() as db:
        ids = list(db.execute(select(large_bodies.c.id).where(*nobodys).limit(FORGOTTEN_AT_ONCE)).scalars())
    for body_id in ids:
        forget_body(ledger, body_id)
    return len(ids)


def forget_body(ledger: Ledger, body_id: int) -> None:
    """Delete a body unless an event has taken it. What is left when it is interrupted, the sweeper deletes.

    Raises:
        LedgerUnavailable: not all of it is deleted.

    """
    mine = update(large_bodies).where(large_bodies.c.id == body_id, large_bodies.c.event_id.is_(None))
    with ledger.write() as db:
        is_mine = db.execute(mine.values(begun_at=LET_GO)).rowcount == 1
    while is_mine:
        began = time.monotonic()
        with ledger.write() as db:
            is_mine = _delete_some(db, body_id)
        time.sleep(REST * (time.monotonic() - began))


def _delete_some(db: Connection, body_id: int) -> bool:
    """Delete some pieces of a body, or in the end the body; say whether something of it is left."""
    its = select(large_bodies.c.id).where(large_bodies.c.id == body_id)
    if db.execute(its.with_for_update()).first() is None:  # somebody else has been at it as well
        return False
    some = select(body_pieces.c.number).where(body_pieces.c.body_id == body_id).limit(DELETED_AT_ONCE)
    if db.execute(delete(body_pieces).where(body_pieces.c.body_id == body_id, body_pieces.c.number.in_(some))).rowcount:
        return True
    db.execute(delete(large_bodies).where(large_bodies.c.id == body_id))
    return False
