"""Requests that were refused: kept for the developer who asks why, never at the cost of those that are not."""

import json
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import LedgerUnavailable
from ledger.store import Ledger
from ledger.tables import requests

KEPT = 10_000

FLUSH_INTERVAL_S = 0.5
MAX_PER_FLUSH = 50
# A hundred a second are kept; an attacker who sends more fills the count, not the disk.

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One refused request: all of it but its body."""

    received_at: float  # Unix seconds
    source: str
    path: str
    status: int
    reason: str
    headers: Mapping[str, str]
    body_size: int | None = None  # bytes; None: the body was not read
    body_sha256: str | None = None


class RejectionLog:
    """Writes rejections from a thread of its own, after the answer. Under a flood it drops some and says so."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: queue.Queue[Rejection] = queue.Queue(MAX_PER_FLUSH)
        self._dropped = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rejections", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        """Write what waits."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def note(self, rejection: Rejection) -> None:
        """Keep a rejection, soon. Never blocks and never raises."""
        try:
            self._waiting.put_nowait(rejection)
        except queue.Full:
            self._dropped += 1

    def _run(self) -> None:
        while not self._stopping.wait(FLUSH_INTERVAL_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        rows = []
        while not self._waiting.empty():
            rows.append(_row(self._waiting.get_nowait()))
        dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning("rejections not kept", reason="too many at once", count=dropped)
        if rows:
            try:
                with self._ledger.write() as db:
                    db.execute(insert(requests), rows)
            except (LedgerUnavailable, SQLAlchemyError) as error:  # nothing may end this thread
                log.warning("rejections not kept", reason=str(error), count=len(rows))


def _row(rejection: Rejection) -> dict[str, Any]:
    return {
        "received_at": rejection.received_at,
        "source": rejection.source,
        "path": rejection.path,
        "status": rejection.status,
        "reason": rejection.reason,
        "headers": json.dumps(dict(rejection.headers)),
        "body_size": rejection.body_size,
        "body_sha256": rejection.body_sha256,
    }


def prune(db: Connection) -> None:
    """Delete all but the newest KEPT rejections."""
    newest = select(func.max(requests.c.id)).scalar_subquery()
    db.execute(delete(requests).where(requests.c.id <= newest - KEPT))
