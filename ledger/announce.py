"""Ring the workers: small messages that say which deliveries wait. What is lost here, the sweeper rings again."""

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from config.metrics import Metrics
from ledger import look_ups

if TYPE_CHECKING:
    from dramatiq import Broker

DELIVER = "deliver"
SEND = "send"
LOOK_UP = "look_up"
EFFECTS_QUEUE = "effects"

ACTORS = {look_ups.QUEUE: LOOK_UP}
# By queue: who takes its deliveries, where it is not DELIVER.

MAX_IDS_PER_MESSAGE = 256  # what a worker takes
FEW = 4
# So many travel one by one, so that several threads can take them. More travel together: each message costs whoever
# rings as much as a dozen webhooks, and a worker as much as several deliveries.

MAX_WAITING = 1_000
# Lists of ids waiting for a slow broker. More are dropped: the sweeper knows of them.

GATHER_S = 0.03
MANY = 8
# After ringing for so many within that time. What is committed meanwhile travels together: under load a message costs
# a third of a millisecond, of which the event loop could have made three answers. Who comes alone waits for nobody.

REST_S = 1.0
# After a failure, so that a broker that hangs costs one time-out a second and not one a message.

log = structlog.get_logger()


def ring_deliveries(broker: "Broker", queue_name: str, ids: Sequence[int]) -> None:
    """Announce deliveries that may travel together. Raises one of BROKER_ERRORS."""
    size = 1 if len(ids) <= FEW else MAX_IDS_PER_MESSAGE
    for start in range(0, len(ids), size):
        _enqueue(broker, queue_name, ACTORS.get(queue_name, DELIVER), list(ids[start : start + size]))


def ring_alone(broker: "Broker", queue_name: str, delivery_id: int) -> None:
    """Announce one delivery in a message of its own. Raises one of BROKER_ERRORS."""
    _enqueue(broker, queue_name, ACTORS.get(queue_name, DELIVER), [delivery_id])


def ring_effects(broker: "Broker") -> None:
    """Say that there are effects to send. Raises one of BROKER_ERRORS."""
    _enqueue(broker, EFFECTS_QUEUE, SEND)


def _enqueue(broker: "Broker", queue_name: str, actor_name: str, *args: list[int]) -> None:
    from dramatiq import Message  # noqa: PLC0415  # see Announcer

    message: Message[None] = Message(
        queue_name=queue_name,
        actor_name=actor_name,
        args=args,
        kwargs={},
        options={},
    )
    broker.enqueue(message)


class Announcer:
    """Rings from a thread of its own, because a broker that hangs must hang nobody else.

    That thread also makes the broker: to import it takes half a second, for which the first event should not wait.
    """

    def __init__(self, make_broker: Callable[[], "Broker"], *, metrics: Metrics) -> None:
        self._make_broker = make_broker
        self._metrics = metrics
        self._waiting: queue.Queue[Mapping[str, Sequence[int]] | None] = queue.Queue(MAX_WAITING)
        self._lately = _Lately()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Ring what waits, if the broker answers in time."""
        self.ring({})
        self._stopping.set()
        self._thread.join(timeout_s)

    def ring(self, ids_by_queue: Mapping[str, Sequence[int]]) -> None:
        """Announce deliveries soon. Never blocks and never raises."""
        try:
            self._waiting.put_nowait(ids_by_queue)
        except queue.Full:
            self._metrics.doorbells_lost(_count([ids_by_queue]))
            log.warning("doorbells dropped", reason="the broker is slow", left_to="sweeper")

    def _run(self) -> None:
        from config.brokers.errors import BROKER_ERRORS, describe  # noqa: PLC0415  # see above

        broker = self._make_broker()
        while not (self._stopping.is_set() and self._waiting.empty()):
            ids_by_queue = _merged([self._waiting.get(), *self._drain()])
            if not ids_by_queue:
                continue
            try:
                for queue_name, ids in ids_by_queue.items():
                    ring_deliveries(broker, queue_name, ids)
                if self._lately.add(_count([ids_by_queue])) > MANY:
                    self._stopping.wait(GATHER_S)
            except BROKER_ERRORS as error:
                log.warning("broker does not answer", reason=describe(error), left_to="sweeper")
                self._stopping.wait(REST_S)
                self._metrics.doorbells_lost(_count([ids_by_queue, *self._drain()]))

    def _drain(self) -> list[Mapping[str, Sequence[int]] | None]:
        drained = []
        while True:
            try:
                drained.append(self._waiting.get_nowait())
            except queue.Empty:
                return drained


class _Lately:
    """How many were rung for within GATHER_S."""

    def __init__(self) -> None:
        self._count = 0
        self._until = float("-inf")  # monotonic seconds

    def add(self, count: int) -> int:
        """Count these as well, and give the sum."""
        now = time.monotonic()
        if now > self._until:
            self._count, self._until = 0, now + GATHER_S
        self._count += count
        return self._count


def _count(lists: Iterable[Mapping[str, Sequence[int]] | None]) -> int:
    return sum(len(ids) for ids_by_queue in lists for ids in (ids_by_queue or {}).values())


def _merged(lists: Iterable[Mapping[str, Sequence[int]] | None]) -> dict[str, list[int]]:
    merged: dict[str, list[int]] = defaultdict(list)
    for ids_by_queue in lists:
        for queue_name, ids in (ids_by_queue or {}).items():
            merged[queue_name].extend(ids)
    return merged
