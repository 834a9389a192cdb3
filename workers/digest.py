"""Sends the digest: each day when it is due, once, however many look; late on the same day, and not for days past."""

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta

import structlog

from config.rules import Rules
from handlers.context import Channels, Context
from handlers.notifications import digest
from ledger import own
from ledger.store import Ledger, Transaction
from ledger.tally import has_events_before

INTERVAL_S = 15.0

log = structlog.get_logger()


class DigestRound:
    """One of those who look whether it is due."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        rules: Rules,
        channels: Channels,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what is needed: `clock` gives Unix seconds."""
        self._ledger = ledger
        self._rules = rules
        self._channels = channels
        self._clock = clock
        self._monotonic = monotonic
        self._next_at = monotonic()
        self._settled: date | None = None  # the day whose digest is planned already, by whomever

    def make(self) -> None:
        """Plan the digest if it is due, and nobody has.

        Raises:
            LedgerUnavailable: nothing was planned.

        """
        if not self._rules.digest.post or self._monotonic() < self._next_at:
            return
        self._next_at = self._monotonic() + INTERVAL_S
        now = self._clock()
        due = self._rules.digest.last_due(now)
        # What was due yesterday, and was missed, is nobody's news any more.
        if due.date() == datetime.fromtimestamp(now, due.tzinfo).date() != self._settled:
            self._plan(due, now)

    def _plan(self, due: datetime, now: float) -> None:
        day, zone = due.date() - timedelta(days=1), self._rules.digest.zone
        with self._ledger.read() as db:
            # A ledger that was not there on that day has nothing to say of it.
            if not has_events_before(db, digest.midnight(due.date(), zone)):
                return
            facts = digest.gather(db, day=day, zone=zone, due_at=due.timestamp(), now=now)
        with self._ledger.write() as db:
            mine = own.enter(
                db,
                key=f"digest/{due.date().isoformat()}/{zone.key}",
                type_=digest.TYPE,
                facts=facts,
                handler=digest.digest.name,
                queue=digest.digest.queue,
                now=now,
            )
            if mine.is_new:
                context = Context(
                    db=Transaction(db),
                    channels=self._channels,
                    delivery_id=mine.delivery_id,
                    now=now,
                    rules=self._rules,
                )
                digest.digest.run(mine.event, context)
        self._settled = due.date()
        if mine.is_new:
            log.info("digest planned", day=facts["day"], zone=zone.key, late_s=facts["late_s"])
