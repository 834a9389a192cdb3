"""Run a message's deliveries: claim them, run each handler under a savepoint, commit all of it together."""

import secrets
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TypeGuard

import structlog
from dramatiq.middleware import TimeLimitExceeded
from sqlalchemy import Connection

from handlers.context import Channels, Context
from handlers.errors import GiveUp, RetryLater
from handlers.router import Router
from ledger import claims
from ledger.claims import Claimed, Outcome
from ledger.errors import LedgerUnavailable
from ledger.event import DeliveryState
from ledger.schedule import MAX_CRASHES
from ledger.store import Ledger, check_alive
from workers.watch import Watch

MAX_IDS = 256
MAX_ID = 2**63 - 1

log = structlog.get_logger()


class Deliverer:
    """Runs deliveries for one worker process."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        router: Router,
        channels: Channels,
        watch: Watch,
        ring_effects: Callable[[], None],
    ) -> None:
        """Take what is needed; `ring_effects` is called after a commit that planned effects."""
        self._ledger = ledger
        self._router = router
        self._channels = channels
        self._watch = watch
        self._ring_effects = ring_effects

    def deliver(self, ids: object) -> None:
        """Run these deliveries, or as many of them as are still to be run."""
        if not _are_ids(ids):
            log.warning("message ignored", reason="it does not hold a list of delivery ids")
            return
        token = secrets.token_hex(16)
        try:
            claimed = self._claim(ids, token)
        except LedgerUnavailable as error:
            log.warning("nothing claimed", error=str(error), left_to="sweeper")
            return
        if claimed:
            with self._watch.over(token, claims.beat):
                self._run(claimed, token)

    def _claim(self, ids: Sequence[int], token: str) -> list[Claimed]:
        with self._ledger.write() as db:
            return claims.claim(db, ids, handlers=self._router.by_name.keys(), token=token, now=time.time())

    def _run(self, claimed: Sequence[Claimed], token: str) -> None:
        planned: list[int] = []
        try:
            with self._ledger.write() as db:
                held = claims.still_held(db, token)
                outcomes = [self._run_one(db, each, planned) for each in claimed if each.id in held]
                claims.settle(db, outcomes, token=token, now=time.time())
        except LedgerUnavailable as error:
            log.warning("deliveries given back", error=str(error), deliveries=len(claimed))
            self._give_back(token)
            return
        for outcome in outcomes:
            _log_outcome(outcome)
        if planned:
            self._ring_effects()

    def _run_one(self, db: Connection, claimed: Claimed, planned: list[int]) -> Outcome:
        now = time.time()
        context = Context(db=db, channels=self._channels, delivery_id=claimed.id, now=now)
        try:
            with db.begin_nested():
                self._router.by_name[claimed.handler].run(claimed.event, context)
        except (Exception, TimeLimitExceeded) as error:  # noqa: BLE001  # whatever a handler does is its own failure only
            check_alive(db)
            return _failed(claimed, error, now)
        planned += context.planned
        return Outcome(delivery=claimed, state=DeliveryState.DONE)

    def _give_back(self, token: str) -> None:
        try:
            with self._ledger.write() as db:
                claims.release(db, token, now=time.time())
        except LedgerUnavailable as error:
            log.warning("claim left behind", error=str(error), left_to="sweeper")


def _are_ids(value: object) -> TypeGuard[list[int]]:
    return (
        isinstance(value, list)
        and len(value) <= MAX_IDS
        and all(type(each) is int and 0 < each <= MAX_ID for each in value)
    )


def _failed(claimed: Claimed, error: BaseException, now: float) -> Outcome:
    text = str(error) or type(error).__name__
    if isinstance(error, GiveUp):
        return Outcome(delivery=claimed, state=DeliveryState.DEAD, error=text)
    if isinstance(error, TimeLimitExceeded):
        return _ran_too_long(claimed, now)
    after_s = error.after_s if isinstance(error, RetryLater) else None
    described = text if isinstance(error, RetryLater) else f"{type(error).__name__}: {text} ({_where(error)})"
    return _retried(claimed, described, now, after_s)


def _ran_too_long(claimed: Claimed, now: float) -> Outcome:
    # It held up every other writer; that is as bad as killing the worker, and counts the same.
    if claimed.crashes + 1 >= MAX_CRASHES:
        error = f"ran too long {MAX_CRASHES} times"
        return Outcome(delivery=claimed, state=DeliveryState.DEAD, error=error, crashed=True)
    due_at = claimed.schedule.next_due(now)
    return Outcome(delivery=claimed, state=DeliveryState.FAILED, error="ran too long", due_at=due_at, crashed=True)


def _retried(claimed: Claimed, error: str, now: float, after_s: float | None) -> Outcome:
    due_at = claimed.schedule.next_due(now, after_s=after_s)
    state = DeliveryState.DEAD if due_at is None else DeliveryState.FAILED
    return Outcome(delivery=claimed, state=state, error=error, due_at=due_at)


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"


def _log_outcome(outcome: Outcome) -> None:
    delivery = outcome.delivery
    known = {
        "source": delivery.event.source,
        "type": delivery.event.type,
        "external_id": delivery.event.external_id,
        "event_id": delivery.event.id,
        "delivery_id": delivery.id,
        "handler": delivery.handler,
        "attempt": delivery.attempt,
    }
    if outcome.state == DeliveryState.DONE:
        log.info("delivery done", **known)
    else:
        # The error's text may quote the body, so it is kept in the ledger and not written to the log.
        log.warning("delivery failed", **known, state=outcome.state, see=f"hookline events get {delivery.event.id}")
