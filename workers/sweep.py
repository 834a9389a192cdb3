"""The sweeper: `python -m workers.sweep`. Finds by state what the doorbells missed, and rings again.

Any number may run. Everything it does is a conditional update, so that two of them only share the work.
"""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import structlog
from dramatiq import Broker

from config.broker import BROKER_ERRORS, is_reachable, make_broker
from config.database import make_engine
from config.errors import ConfigError
from config.logs import configure_logs
from config.metrics import Metrics, make_metrics
from config.rules import rules_of
from config.settings import load_settings
from handlers.context import Channels
from handlers.router import QUEUES, Router, load_router
from ledger import overdue
from ledger.announce import ring_alone, ring_deliveries, ring_effects
from ledger.errors import LedgerUnavailable
from ledger.gauges import Gauges
from ledger.migrate import check_migrated
from ledger.overdue import Doorbell, Held
from ledger.pieces import forget_nobodys
from ledger.rejections import prune
from ledger.store import Ledger
from workers.digest import DigestRound
from workers.metrics import serve_metrics
from workers.watchman import Watchman

INTERVAL_S = 1.0
JITTER_S = 0.2

LOST_AFTER_S = 30.0
# A claim whose beat has not moved for so long, on our own clock, has lost its worker.

BLIND_AFTER_S = 5.0
# Longer gaps between two looks of its own say nothing about workers, and are not held against them.

TIDY_INTERVAL_S = 60.0

LAST_PASS_S = 3
# Of a sweeper that was told to end, while the ledger or the broker hangs.

log = structlog.get_logger()


class Vigil:
    """How long each claim's beat has not moved, as far as this sweeper has seen it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since: dict[Held, float] = {}
        self._looked_at = monotonic()

    def abandoned(self, held: Iterable[Held]) -> list[Held]:
        """Take what is held now; give what has been held without a sign of life for LOST_AFTER_S."""
        now = self._monotonic()
        blind_s = max(0.0, now - self._looked_at - BLIND_AFTER_S)
        self._looked_at = now
        self._since = {claim: self._since.get(claim, now - blind_s) + blind_s for claim in held}
        return [claim for claim, since in self._since.items() if now - since >= LOST_AFTER_S]

    def start_again(self) -> None:
        """Forget what was seen: nobody could write, so nobody's beat could move."""
        self._since = {}


class Sweeper:
    """One pass after another over what is overdue."""

    def __init__(
        self,
        ledger: Ledger,
        broker: Broker,
        router: Router,
        *,
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
        rounds: Sequence[Callable[[], None]] = (),
    ) -> None:
        """Take what is needed.

        Args:
            ledger: where.
            broker: whom to ring.
            router: the handlers of this version.
            metrics: where it is counted.
            monotonic: the clock that lost claims are judged by.
            rounds: what else is done in each pass; each knows by itself when it is time.

        """
        self._ledger = ledger
        self._broker = broker
        self._handlers = router.by_name.keys()
        self._metrics = metrics
        self._deliveries = Vigil(monotonic)
        self._effects = Vigil(monotonic)
        self._tidied_at = float("-inf")
        self._rounds = rounds

    def sweep(self) -> bool:
        """Make one pass. Say whether there is more to do than fits in one."""
        try:
            self._free()
            self._tidy()
            self._make_rounds()
            return is_reachable(self._broker) and self._announce()
        except LedgerUnavailable as error:
            self._deliveries.start_again()
            self._effects.start_again()
            log.warning("sweep skipped", reason="the ledger does not answer", error=str(error))
        except BROKER_ERRORS as error:
            log.warning("sweep cut short", reason="the broker does not answer", error=type(error).__name__)
        return False

    def _free(self) -> None:
        with self._ledger.read() as db:
            running, sending = overdue.running(db), overdue.sending(db)
        lost, lost_effects = self._deliveries.abandoned(running), self._effects.abandoned(sending)
        if lost or lost_effects:
            with self._ledger.write() as db:
                freed = overdue.free_deliveries(db, lost, time.time())
                freed_effects = overdue.free_effects(db, lost_effects, time.time())
            for state, ids in freed.items():
                self._metrics.freed("deliveries", len(ids))
                log.warning("deliveries freed", reason="their worker is gone", state=state, deliveries=ids)
            for state, ids in freed_effects.items():
                self._metrics.freed("effects", len(ids))
                log.warning("effects freed", reason="their worker is gone", state=state, effects=ids)

    def _make_rounds(self) -> None:
        for each in self._rounds:
            try:
                each()
            except LedgerUnavailable:
                raise
            except Exception:
                # Whatever is wrong with a message about deliveries, the deliveries are announced.
                log.exception("round not made")

    def _announce(self) -> bool:
        now = time.time()
        with self._ledger.read() as db:
            effects_wait = overdue.effects_are_due(db, now - INTERVAL_S)
            deliveries_wait = overdue.deliveries_are_due(db, self._handlers, now)
        if effects_wait:
            ring_effects(self._broker)
        if not deliveries_wait:
            return False
        # Marked and committed first, rung after: a bell for a row that is not there yet would be for nothing.
        with self._ledger.write() as db:
            due = overdue.announce_due(db, QUEUES, self._handlers, now)
            again = overdue.announce_again(db, self._handlers, now)
        self._metrics.announced("due", len(due))
        self._metrics.announced("again", len(again))
        if again:
            log.info("announced again", deliveries=len(again))
        self._ring([*due, *again])
        return max(len(due), len(again)) >= overdue.SWEEP_LIMIT

    def _ring(self, doorbells: Sequence[Doorbell]) -> None:
        for queue in QUEUES:
            mine = [bell for bell in doorbells if bell.queue == queue]
            ring_deliveries(self._broker, queue, [bell.delivery_id for bell in mine if not bell.alone])
            for bell in mine:
                if bell.alone:
                    ring_alone(self._broker, queue, bell.delivery_id)

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied_at < TIDY_INTERVAL_S:
            return
        with self._ledger.write() as db:
            overdue.correct_clocks(db, time.time())
            aside = overdue.set_aside(db, self._handlers, time.time())
            prune(db)
        forgotten = forget_nobodys(self._ledger, now=time.time())
        self._tidied_at = time.monotonic()
        if forgotten:
            log.info("large bodies forgotten", reason="their events never came", bodies=forgotten)
        if aside:
            log.warning("deliveries set aside", reason="no handler of this version is for them", deliveries=len(aside))


def main() -> None:
    """Sweep until SIGTERM."""
    try:
        settings = load_settings(os.environ)
        configure_logs(development=settings.hookline_dev)
        rules_of(settings)  # what cannot be used is named before anything runs by it
        engine = make_engine(settings, fsync=False)
        check_migrated(engine)
        ledger, broker, router = Ledger(engine), make_broker(settings), load_router()
        metrics = make_metrics(settings)
        channels = Channels(finance=settings.slack_finance_channel, engineering=settings.slack_engineering_channel)
        rules = rules_of(settings)
        watchman = Watchman(ledger, rules=rules, channels=channels)
        digest = DigestRound(ledger, rules=rules, channels=channels)
        sweeper = Sweeper(ledger, broker, router, metrics=metrics, rounds=[watchman.look, digest.make])
    except ConfigError as error:
        sys.exit(f"hookline: {error}")
    if settings.hookline_metrics_port is not None:
        page = metrics.registry(Gauges(settings, ledger, partial(is_reachable, broker)))
        serve_metrics(page, host=settings.host, port=settings.hookline_metrics_port)
    stopping = _stop_on_signals()
    log.info("sweeper started")
    more = False
    while not stopping.wait(0 if more else INTERVAL_S + random.uniform(-JITTER_S, JITTER_S)):  # noqa: S311  # spreads
        more = sweeper.sweep()
    log.info("sweeper ended")


def _stop_on_signals() -> threading.Event:
    """Let SIGTERM end the sweeper after its pass, or in the middle of one that does not end: each step is a whole."""
    stopping = threading.Event()

    def stop(*_: object) -> None:
        signal.alarm(LAST_PASS_S)
        stopping.set()

    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopping


if __name__ == "__main__":
    main()
