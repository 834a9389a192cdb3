"""Run a message's deliveries: claim them, run their handlers, commit many together; a failure is undone alone."""

import math
import secrets
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TypeGuard

import structlog
from sqlalchemy import Connection

from config.rules import Rules
from handlers.context import Channels, Context, usual_rules
from handlers.errors import GiveUp, RetryLater
from handlers.router import Router
from ledger import claims
from ledger.claims import Claimed, Outcome, Taken
from ledger.errors import LedgerUnavailable
from ledger.event import DeliveryState, Event
from ledger.gathered import Gathered
from ledger.schedule import MAX_CRASHES
from ledger.store import Ledger, Transaction, check_alive, check_whole, savepoint
from workers.report import Report, Span
from workers.watch import RanTooLong, Watch

HANDLER_LIMIT_S = 10.0
# Handlers write to our own database and call nobody: milliseconds. While one hangs, SQLite has no other writer.

INSIST_S = 60.0
# How long a worker tries to give back or to settle what it holds, before it leaves that to the sweeper.

MAX_TOGETHER = 64
# Deliveries of a message that are claimed at once: so many count a crash when their worker dies.

TURN_S = 0.05
# What one transaction may take, beyond its first delivery, with SQLite: all others who write wait meanwhile.

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
        report: Report,
        handler_limit_s: float = HANDLER_LIMIT_S,
        turn_s: float = TURN_S,
        rules: Rules | None = None,
        allowed_users: frozenset[str] = frozenset(),
        asks_stripe: frozenset[bool] = frozenset(),
    ) -> None:
        """Take what is needed; `ring_effects` is called after a commit that planned effects."""
        self._asks_stripe = asks_stripe
        self._rules = rules or usual_rules()
        self._allowed_users = allowed_users
        self._ledger = ledger
        self._router = router
        self._channels = channels
        self._watch = watch
        self._ring_effects = ring_effects
        self._report = report
        self._handler_limit_s = handler_limit_s
        self._turn_s = turn_s if ledger.in_turns else math.inf

    def deliver(self, ids: object) -> None:
        """Run these deliveries, or as many of them as are still to be run."""
        if not are_ids(ids):
            log.warning("message ignored", reason="it does not hold a list of delivery ids")
            return
        for start in range(0, len(ids), MAX_TOGETHER):
            if not self._claim_and_run(ids[start : start + MAX_TOGETHER]):
                break

    def _claim_and_run(self, ids: Sequence[int]) -> bool:
        """Run these. Say whether the ledger is there for others."""
        token = secrets.token_hex(16)
        with self._watch.over(token, claims.beat):
            try:
                left: Sequence[Taken] = self._claim(ids, token)
            except LedgerUnavailable as error:
                log.warning("nothing claimed", error=str(error), left_to="sweeper")
                return False
            while left:
                left = self._run_some(left, token)
        return True

    def _claim(self, ids: Sequence[int], token: str) -> list[Taken]:
        with self._ledger.write() as db:
            return claims.claim(db, ids, handlers=self._router.by_name.keys(), token=token, now=time.time())

    def _run_some(self, taken: Sequence[Taken], token: str) -> Sequence[Taken]:
        """Run the first of these, as many as one transaction takes. Give what is left of them to run."""
        run = _Run()
        try:
            outcomes = self._run_all(taken, token, run)
        except LedgerUnavailable as error:
            log.warning("deliveries given back", error=str(error), deliveries=len(taken))
            self._ledger.insist(lambda db: claims.release(db, token, now=time.time()), for_s=INSIST_S)
            return ()  # the ledger is there again, for the next ones too
        except RanTooLong:
            # Nothing of this transaction was kept. Its neighbours did nothing wrong.
            blamed = self._ledger.insist(lambda db: _blame(db, run.current, token), for_s=INSIST_S)
            if run.current is not None and blamed is not None:
                self._report.delivery(run.current, blamed, Span(run.began_at, time.time()))
            return ()
        self._report.message([(run.claimed[each.delivery.id], each, run.ran[each.delivery.id]) for each in outcomes])
        if any(each.planned for each in run.contexts):
            self._ring_effects()
        return run.left

    def _run_all(self, taken: Sequence[Taken], token: str, run: "_Run") -> list[Outcome]:
        """Run them without savepoints, as nearly all succeed; if one does not, undo it all and run each in its own.

        What is undone has not happened: handlers write in the ledger and nowhere else. One that is alone is not run
        twice for nothing.
        """
        if len(taken) > 1:
            try:
                return self._run_in_one(taken, token, run, apart=False)
            except _OneFailed:
                pass
            except RanTooLong:
                if run.current is not None:  # and not only what was read ahead for all of them
                    raise
        return self._run_in_one(taken, token, run, apart=True)

    def _run_in_one(self, taken: Sequence[Taken], token: str, run: "_Run", *, apart: bool) -> list[Outcome]:
        """Run them in one transaction, as many as there is time for: with SQLite, nobody else can write meanwhile."""
        with self._ledger.write() as db:
            until = time.monotonic() + self._turn_s
            held = claims.still_held(db, token)
            mine = [each for each in taken if each.id in held]
            claimed = claims.load(db, mine)
            run.begin(claimed, apart=apart)
            outcomes: list[Outcome] = []
            with self._watch.limit(self._handler_limit_s) as begin_anew:
                if not apart:
                    self._look_ahead(db, run)
                for each in claimed:
                    outcomes.append(self._run_timed(db, each, run, begin_anew))
                    if time.monotonic() > until:
                        break
            if not apart:
                with _failing_together(db):
                    run.gathered.write(db)
            claims.settle(db, outcomes, token=token, now=time.time())
            run.left = mine[len(outcomes) :]
        return outcomes

    def _look_ahead(self, db: Connection, run: "_Run") -> None:
        events_by_handler: defaultdict[str, list[Event]] = defaultdict(list)
        for claimed in run.claimed.values():
            events_by_handler[claimed.delivery.handler].append(claimed.event)
        for name, events in events_by_handler.items():
            if ahead := self._router.by_name[name].ahead:
                with _failing_together(db):
                    ahead(events, Transaction(db, run.gathered))

    def _run_timed(self, db: Connection, claimed: Claimed, run: "_Run", begin_anew: Callable[[], None]) -> Outcome:
        begin_anew()
        run.current, run.began_at = claimed, time.time()
        outcome = self._run_one(db, claimed, run)
        run.ran[claimed.delivery.id] = Span(run.began_at, time.time())
        return outcome

    def _run_one(self, db: Connection, claimed: Claimed, run: "_Run") -> Outcome:
        now = run.began_at
        context = Context(
            db=Transaction(db, run.gathered),
            channels=self._channels,
            delivery_id=claimed.delivery.id,
            now=now,
            rules=self._rules,
            allowed_users=self._allowed_users,
            asks_stripe=self._asks_stripe,
            again_for=claimed.delivery.replay_id if claimed.delivery.again else None,
        )
        handler = self._router.by_name[claimed.delivery.handler]
        try:
            with savepoint(db) if run.apart else _TOGETHER:
                handler.run(claimed.event, context)
                if run.apart:
                    run.gathered.write(db)
                check_whole(db)
        except Exception as error:  # whatever a handler does is its own failure only
            if _was_interrupted(error):
                raise RanTooLong from error
            check_alive(db, error)
            if not run.apart:
                raise _OneFailed from error
            run.gathered.forget()
            return failed(claimed.delivery, error, now)
        run.contexts.append(context)
        return Outcome(delivery=claimed.delivery, state=DeliveryState.DONE)


_TOGETHER = nullcontext()


class _OneFailed(Exception):
    """One of a message's deliveries failed, and with it the transaction of all."""


@contextmanager
def _failing_together(db: Connection) -> Iterator[None]:
    """Do something for all of a message's deliveries: what fails there may be the fault of one of them."""
    try:
        yield
        check_whole(db)
    except Exception as error:
        if _was_interrupted(error):
            raise RanTooLong from error
        check_alive(db, error)
        raise _OneFailed from error


class _Run:
    """What is known of a message's run while it goes on."""

    def __init__(self) -> None:
        self.begin((), apart=True)

    def begin(self, claimed: Sequence[Claimed], *, apart: bool) -> None:
        """Begin, or begin again: what went before was undone."""
        self.apart = apart
        self.gathered = Gathered()
        self.current: Claimed | None = None
        self.left: Sequence[Taken] = ()  # for the next transaction
        self.began_at = 0.0  # Unix seconds; the current one
        self.claimed = {each.delivery.id: each for each in claimed}
        self.contexts: list[Context] = []  # of those that succeeded
        self.ran: dict[int, Span] = {}  # by delivery


def are_ids(value: object) -> TypeGuard[list[int]]:
    """Say whether a message holds what it should: anybody who can reach the broker can make one up."""
    return (
        isinstance(value, list)
        and len(value) <= MAX_IDS
        and all(type(each) is int and 0 < each <= MAX_ID for each in value)
    )


def _was_interrupted(error: BaseException | None) -> bool:
    """Say whether an error only followed from the interrupt, as the failure of a rollback on a lost connection."""
    while error is not None and not isinstance(error, RanTooLong):
        error = error.__context__
    return error is not None


def failed(delivery: Taken, error: Exception, now: float) -> Outcome:
    """Say what becomes of a delivery whose attempt ended with this error."""
    text = str(error) or type(error).__name__
    if isinstance(error, GiveUp):
        return Outcome(delivery=delivery, state=DeliveryState.DEAD, error=text)
    if isinstance(error, RetryLater):
        return _retried(delivery, text, delivery.schedule.next_due(now, after_s=error.after_s))
    return _retried(delivery, f"{type(error).__name__}: {text} ({_where(error)})", delivery.schedule.next_due(now))


def _retried(delivery: Taken, error: str, due_at: float | None, *, crashed: bool = False) -> Outcome:
    state = DeliveryState.DEAD if due_at is None else DeliveryState.FAILED
    return Outcome(delivery=delivery, state=state, error=error, due_at=due_at, crashed=crashed)


def _blame(db: Connection, culprit: Claimed | None, token: str) -> Outcome | None:
    """Settle the delivery that ran too long; it held up every other writer, which counts like a crash."""
    now = time.time()
    outcome = None
    if culprit is not None and culprit.delivery.id in claims.still_held(db, token):
        delivery = culprit.delivery
        poison = delivery.crashes + 1 >= MAX_CRASHES
        error = f"ran too long {MAX_CRASHES} times" if poison else "ran too long"
        outcome = _retried(delivery, error, None if poison else delivery.schedule.next_due(now), crashed=True)
        claims.settle(db, [outcome], token=token, now=now)
    claims.release(db, token, now=now)
    return outcome


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
