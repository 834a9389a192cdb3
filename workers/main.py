"""What a worker process is made of: `dramatiq workers.main:setup`."""

import contextlib
import gc
import os
import sys
from collections.abc import Mapping, Sequence

import dramatiq
from dramatiq import Broker, Middleware, Worker

from config.broker import BROKER_ERRORS, make_broker
from config.database import make_engine
from config.errors import ConfigError
from config.logs import configure_logs
from config.metrics import make_metrics
from config.rules import rules_of
from config.settings import Settings, load_settings
from config.traces import Traces, make_traces
from config.turns import interrupt_nobody
from handlers.context import Channels
from handlers.router import QUEUES, load_router
from ledger.announce import DELIVER, EFFECTS_QUEUE, LOOK_UP, SEND, ring_deliveries, ring_effects
from ledger.look_ups import QUEUE as LOOK_UPS_QUEUE
from ledger.migrate import check_migrated
from ledger.store import Ledger
from workers.ask import make_stripe
from workers.bell import Bell
from workers.deliver import HANDLER_LIMIT_S, Deliverer
from workers.look_up import LookUps
from workers.post import make_slack
from workers.release import become_release
from workers.report import Report
from workers.send import Sender
from workers.watch import Watch, end_when_a_thread_dies

WAKE_MS = 500
# How often an idle thread wakes up to see whether it should end. Messages wake it at once: the broker pushes them
# (RabbitMQ) or wakes the consumer (Redis), and the consumer the threads.

GARBAGE = (20_000, 10, 10)
# Python looks for garbage after 700 new objects, a delivery or two, which would take it a sixth of the worker's time.
# What refers to itself in a circle is all that waits for this, and next to nothing here does.


def setup() -> None:
    """Build this worker process and give Dramatiq its broker. Ends the process if it cannot be built."""
    interrupt_nobody()
    try:
        broker = make_worker(load_settings(os.environ))
    except ConfigError as error:
        sys.exit(f"hookline: {error}")
    dramatiq.set_broker(broker)


def make_worker(settings: Settings) -> Broker:
    """Wire a worker: broker, actors, and the thread that watches over its claims."""
    configure_logs(development=settings.hookline_dev)
    rules = rules_of(settings)
    # What a handler wrote and a power cut undid is done again; a message that Slack has must not be forgotten.
    fast = make_engine(settings, fsync=False, patience_s=HANDLER_LIMIT_S)
    safe = make_engine(settings)
    check_migrated(safe)
    handled, sent = Ledger(fast), Ledger(safe)
    broker = make_broker(settings)
    router = load_router()
    traces = make_traces(settings)
    report = Report(metrics=make_metrics(settings, handlers=router.by_name.keys()), traces=traces)
    watch = Watch(handled)
    stripe = make_stripe(settings)

    def ring() -> None:
        with contextlib.suppress(*BROKER_ERRORS):  # the sweeper rings again
            ring_effects(broker)

    bell = Bell(ring)
    deliverer = Deliverer(
        ledger=handled,
        router=router,
        channels=Channels(finance=settings.slack_finance_channel, engineering=settings.slack_engineering_channel),
        watch=watch,
        ring_effects=bell.ring,
        report=report,
        rules=rules,
        allowed_users=settings.allowed_users,
        asks_stripe=settings.stripe_modes,
    )

    def ring_queues(doorbells: Mapping[str, list[int]]) -> None:
        with contextlib.suppress(*BROKER_ERRORS):  # ditto
            for queue, ids in doorbells.items():
                ring_deliveries(broker, queue, ids)

    look_ups = None
    if stripe is not None:
        look_ups = LookUps(ledger=handled, router=router, stripe=stripe, watch=watch, report=report, ring=ring_queues)
    sender = Sender(ledger=sent, slack=make_slack(settings), watch=watch, report=report)
    _declare(broker, deliverer, look_ups, sender)
    broker.add_middleware(_Process(watch, bell, [sender, *([look_ups] if look_ups else [])], traces))
    return broker


def _declare(broker: Broker, deliverer: Deliverer, look_ups: LookUps | None, sender: Sender) -> None:
    # One stable name each: Dramatiq throws away messages for actors that it does not know.
    for queue in QUEUES:
        broker.declare_queue(queue)
    deliver = dramatiq.actor(actor_name=DELIVER, queue_name=QUEUES[-1], broker=broker)
    deliver(deliverer.deliver)
    look_up = dramatiq.actor(actor_name=LOOK_UP, queue_name=LOOK_UPS_QUEUE, broker=broker)
    # Without a key nobody can ask: the handler then says what is missing.
    look_up(look_ups.look_up if look_ups else deliverer.deliver)
    send = dramatiq.actor(actor_name=SEND, queue_name=EFFECTS_QUEUE, broker=broker)
    send(sender.send)


class _Process(Middleware):
    """What begins and ends with the worker process."""

    def __init__(self, watch: Watch, bell: Bell, lanes: Sequence[Sender | LookUps], traces: Traces) -> None:
        self._watch = watch
        self._bell = bell
        self._lanes = lanes
        self._traces = traces

    def before_worker_boot(self, _broker: Broker, worker: Worker) -> None:
        gc.freeze()  # all that was imported stays, and is no longer looked through for garbage
        gc.set_threshold(*GARBAGE)
        worker.worker_timeout = WAKE_MS
        end_when_a_thread_dies()
        self._watch.start()
        self._bell.start()

    def before_worker_shutdown(self, _broker: Broker, _worker: Worker) -> None:
        for lane in self._lanes:
            lane.stop()

    def after_worker_shutdown(self, _broker: Broker, _worker: Worker) -> None:
        self._bell.stop()
        self._watch.stop()
        self._traces.stop()
        become_release(self._watch.held())
