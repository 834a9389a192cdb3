"""What Prometheus is told besides the counters: the state of the whole ledger, and whether it and the broker answer."""

import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from config.database import database_url
from config.settings import Settings
from ledger.census import DELIVERY_STATES, EFFECT_STATES, Census, take_census
from ledger.commits import touch
from ledger.errors import LedgerUnavailable
from ledger.glance import Glance
from ledger.store import Ledger

PATIENCE_S = 2.0
# For all questions of one scrape together.

KEEP_CENSUS_S = 120.0
# While a count takes long: a gap would make every alert begin its waiting anew.

CENSUS_REST = 20
# However long counting takes, it takes 5 % of one connection's time at most.


class Gauges(Collector):
    """Looks when Prometheus asks, and never keeps it waiting for long."""

    def __init__(self, settings: Settings, ledger: Ledger, reaches_broker: Callable[[], bool]) -> None:
        """Take what is needed, and what says whether the broker takes messages."""
        self._ledger = ledger
        self._build = {
            "version": _version(),
            "engine": database_url(settings).get_backend_name(),
            "broker": "rabbitmq" if settings.rabbitmq_url else "redis",
        }
        self._ledger_up = Glance("glance at the ledger", self._can_commit)
        self._broker_up = Glance("glance at the broker", reaches_broker)
        self._census = Glance("census", self._count, keep_s=KEEP_CENSUS_S, rest=CENSUS_REST)

    def collect(self) -> Iterator[Metric]:
        """Give the gauges. What is not known now is left out."""
        until = time.monotonic() + PATIENCE_S
        for glance in (self._broker_up, self._census):
            glance.begin()
        ledger_up = self._ledger_up.answer(wait_s=until - time.monotonic())
        broker_up = self._broker_up.answer(wait_s=until - time.monotonic())
        census = self._census.answer(wait_s=until - time.monotonic())
        yield InfoMetricFamily("hookline_build", "Which Hookline this is", self._build)
        yield GaugeMetricFamily("hookline_ledger_up", "Whether a commit is possible", bool(ledger_up))
        yield GaugeMetricFamily("hookline_broker_up", "Whether the broker takes messages", bool(broker_up))
        if census is not None:
            yield from _families(census)

    def _can_commit(self) -> bool:
        try:
            with self._ledger.write() as db:
                touch(db)
        except LedgerUnavailable:
            return False
        return True

    def _count(self) -> Census | None:
        try:
            with self._ledger.read() as db:
                return take_census(db, time.time())
        except LedgerUnavailable:
            return None


def _version() -> str:
    try:
        return version("hookline")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


def _families(census: Census) -> Iterator[Metric]:
    oldest = {"deliveries": census.oldest_delivery_s, "effects": census.oldest_effect_s}
    delivery_counts = {state.value: census.deliveries.get(state, 0) for state in DELIVERY_STATES}
    effect_counts = {state.value: census.effects.get(state, 0) for state in EFFECT_STATES}
    yield _gauge("hookline_deliveries", "Deliveries that are not over", "state", delivery_counts)
    yield _gauge("hookline_effects", "Effects that are not over", "state", effect_counts)
    yield _gauge("hookline_oldest_waiting_seconds", "How long the oldest that is due has waited", "what", oldest)


def _gauge(name: str, help_: str, label: str, values: Mapping[str, float] | Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
