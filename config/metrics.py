"""What is counted, and how the counters of all processes of a host become one page for Prometheus.

Each process counts in two files of its own in one directory (prometheus-client's multiprocess mode); whoever is asked
for the page adds them up. A label is never made of anything that a sender wrote.
"""

import collections
import os
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog

from config.rounds import Round
from config.seats import metrics_directory, take_seat
from config.settings import Settings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Histogram
    from prometheus_client.registry import Collector

ACK_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10)
# 3 s is Slack's patience, 10 s are GitHub's and Stripe's.

COMMIT_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ATTEMPT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
HANDLED_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

RESULTS = ("accepted", "duplicate", "unavailable")
ALARMING = ("signature_mismatch", "signature_missing", "timestamp_too_old", "timestamp_in_future")
OUTCOMES = ("done", "failed", "dead", "crashed")
EFFECT_OUTCOMES = ("sent", "kept", "ambiguous", "failed", "dead", "paused", "found")
ANNOUNCED = ("due", "again")
FREED = ("deliveries", "effects")

log = structlog.get_logger()

M = TypeVar("M")


class _Children(dict[tuple[str, ...], M]):
    """One metric's children by their labels, each asked of prometheus-client once.

    Those that are known beforehand are made at the start: Prometheus does not see the first step of a counter that
    begins with it.
    """

    def __init__(self, make: Callable[..., M], known: Iterable[tuple[str, ...]]) -> None:
        super().__init__((labels, make(*labels)) for labels in known)
        self._make = make

    def __missing__(self, labels: tuple[str, ...]) -> M:
        child = self[labels] = self._make(*labels)
        return child


class Metrics:
    """Counts for one process. Nothing here raises or waits."""

    def __init__(self, directory: Path | None, *, secrets: Mapping[str, int], handlers: Collection[str]) -> None:
        """Make the counters: use `make_metrics`.

        Args:
            directory: of the page; without one, nobody gets to see what is counted.
            secrets: how many secrets each source has that this process receives from.
            handlers: the names of those that this process may run.

        """
        # Here and not above: importing a module must do nothing, and this one looks at the environment.
        from prometheus_client import Counter, Histogram  # noqa: PLC0415

        def counter(name: str, help_: str, *labels: str) -> Counter:
            return Counter(f"hookline_{name}", help_, labels, registry=None)

        def histogram(name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"hookline_{name}", help_, labels, buckets=buckets, registry=None)

        self._directory = directory
        self._answered = Round(self._count_answered)
        self._events = _Children(
            counter("events_total", "Verified webhooks, by what became of them", "source", "result").labels,
            [(source, result) for source in secrets for result in RESULTS],
        )
        self._rejected = _Children(
            counter("requests_rejected_total", "Requests that were refused", "source", "reason").labels,
            [(source, reason) for source in secrets for reason in ALARMING],
        )
        self._matched = _Children(
            counter(
                "secret_matched_total", "Verified webhooks, by secret; 0 is the newest", "source", "position"
            ).labels,
            [(source, str(position)) for source, count in secrets.items() for position in range(count)],
        )
        self._ack = _Children(
            histogram("ack_seconds", "From a request's arrival to its answer", ACK_BUCKETS_S, "source").labels,
            [(source,) for source in secrets],
        )
        self._batch = histogram("commit_batch_events", "Events that shared one commit", BATCH_BUCKETS)
        self._commit = histogram("commit_seconds", "How long a commit of events took", COMMIT_BUCKETS_S)
        self._lost = counter("doorbells_lost_total", "Deliveries that could not be announced; the sweeper finds them")
        self._writers = counter("writers_ended_total", "Times that a writing process ended before its web process did")
        self._attempts = _Children(
            counter("attempts_total", "Runs of deliveries", "handler", "outcome").labels,
            [(handler, outcome) for handler in handlers for outcome in OUTCOMES],
        )
        self._attempt = _Children(
            histogram("attempt_seconds", "How long a handler ran", ATTEMPT_BUCKETS_S, "handler").labels,
            [(handler,) for handler in handlers],
        )
        self._handled = histogram("handled_seconds", "From an event's receipt to a delivery done", HANDLED_BUCKETS_S)
        self._effects = _Children(
            counter("effects_total", "What came of sending effects", "outcome").labels,
            [(outcome,) for outcome in EFFECT_OUTCOMES],
        )
        self._announced = _Children(
            counter("sweeper_announcements_total", "Deliveries that the sweeper announced", "reason").labels,
            [(reason,) for reason in ANNOUNCED],
        )
        self._freed = _Children(
            counter("sweeper_freed_total", "What the sweeper took from workers that were gone", "what").labels,
            [(what,) for what in FREED],
        )

    # What the web process tells.

    def event_answered(self, *, source: str, result: str, secret_position: int, seconds: float) -> None:
        """Count a verified webhook that was answered. `result`: one of RESULTS."""
        self._answered.add(((source, result, secret_position), seconds))

    def _count_answered(self, answered: Sequence[tuple[tuple[str, str, int], float]]) -> None:
        alike: collections.defaultdict[tuple[str, str, int], list[float]] = collections.defaultdict(list)
        for kind, seconds in answered:
            alike[kind].append(seconds)
        for (source, result, secret_position), each_s in alike.items():
            self._events[source, result].inc(len(each_s))
            self._matched[source, str(secret_position)].inc(len(each_s))
            observe_all(self._ack[source,], each_s)

    def request_rejected(self, *, source: str, reason: str) -> None:
        """Count a refused request; `reason` is one of our own words."""
        self._rejected[source, reason].inc()

    def committed(self, *, events: int, seconds: float) -> None:
        """Count a commit of events."""
        self._batch.observe(events)
        self._commit.observe(seconds)

    def doorbells_lost(self, deliveries: int) -> None:
        """Count deliveries that a broker did not take."""
        self._lost.inc(deliveries)

    def writer_ended(self) -> None:
        """Count a writing process that has ended while it was wanted."""
        self._writers.inc()

    # What a worker tells.

    def attempted(self, *, handler: str, outcome: str, seconds: Collection[float]) -> None:
        """Count runs of deliveries that took so long each. `outcome`: one of OUTCOMES."""
        self._attempts[handler, outcome].inc(len(seconds))
        observe_all(self._attempt[handler,], seconds)

    def handled(self, *, seconds: Collection[float]) -> None:
        """Count deliveries that are done, so long after their events were received."""
        observe_all(self._handled, [max(0.0, each) for each in seconds])  # two machines' clocks

    def effect_tried(self, outcome: str) -> None:
        """Count what came of sending an effect: one of EFFECT_OUTCOMES."""
        self._effects[outcome,].inc()

    # What the sweeper tells.

    def announced(self, reason: str, deliveries: int) -> None:
        """Count deliveries announced because they were `due`, or `again`, for a doorbell that nobody answered."""
        self._announced[reason,].inc(deliveries)

    def freed(self, what: str, count: int) -> None:
        """Count claims of dead workers: on `deliveries` or `effects`."""
        self._freed[what,].inc(count)

    # What Prometheus gets.

    def registry(self, *others: "Collector") -> "CollectorRegistry":
        """Gather what all processes of this host have counted, and what the others say."""
        from prometheus_client import CollectorRegistry  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        registry = CollectorRegistry()
        if self._directory is not None:
            MultiProcessCollector(registry, path=str(self._directory))  # type: ignore[no-untyped-call]
        for other in others:
            registry.register(other)
        return registry


def observe_all(histogram: "Histogram", amounts: Collection[float]) -> None:
    """Observe several amounts, and write into each bucket's place in the mapped file once.

    prometheus-client 0.26 has no door for it. `tests/config/test_metrics.py` holds it against `observe`.
    """
    histogram._sum.inc(sum(amounts))  # noqa: SLF001
    bounds, buckets = histogram._upper_bounds, histogram._buckets  # noqa: SLF001
    for place, count in collections.Counter([bisect_left(bounds, amount) for amount in amounts]).items():
        buckets[place].inc(count)


def make_metrics(
    settings: Settings,
    *,
    secrets: Mapping[str, int] | None = None,
    handlers: Collection[str] = (),
) -> Metrics:
    """Make this process's counters; see `Metrics`. Where their directory cannot be used, nobody gets to see them."""
    directory = metrics_directory(settings)
    try:
        seat = take_seat(directory)
    except OSError as error:
        log.warning("metrics are not kept", directory=str(directory), reason=error.strerror or str(error))
        return uncounted()
    # prometheus-client reads this variable when it opens its files.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    _count_in(seat)
    return Metrics(directory, secrets=secrets or {}, handlers=handlers)


def uncounted() -> Metrics:
    """Make counters that nobody gets to see."""
    _count_in(None)
    return Metrics(None, secrets={}, handlers=())


def _count_in(seat: int | None) -> None:
    # Said outright: prometheus-client decides this when it is imported, which anything may have done before.
    from prometheus_client import values  # noqa: PLC0415

    in_files = values.MultiProcessValue(lambda: seat)  # type: ignore[no-untyped-call]
    values.ValueClass = values.MutexValue if seat is None else in_files
