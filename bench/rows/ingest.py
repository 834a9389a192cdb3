"""How many events one web process accepts a second, beside an empty endpoint and the tutorial's."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial

import redis

from bench import requests
from bench.counts import Counts, counts
from bench.errors import CheckFailed
from bench.load import Load, Storm
from bench.plan import CONNECTIONS, Plan
from bench.rounds import alternate
from bench.row import Row, Wanted
from bench.service import directory, hookline, valkey, web_peer
from ledger.append import ROOM_REFRESH_S
from ledger.overdue import HIGH_WATER
from tests.system.secrets import SECRETS
from tests.system.service import Service

NAME = "ingest"
TAKES_S = 50

AT_LEAST_EMPTY = Wanted(text="≥ 1.0", ratio_at_least=1.0)
AT_LEAST_TUTORIAL = Wanted(text="≥ 8", ratio_at_least=8)

EMPTY = "empty FastAPI endpoint"
TUTORIAL = "construct_event + .send()"

WARM_UP_S = 1.0

ROUND_EVENTS = int(HIGH_WATER * 0.6)
# No worker runs here, and above the high-water mark our web process would ring no doorbells: rounds end before it, also
# when they are half as fast again as the warm-up was.

Blow = Callable[[float], Load]


def measure(plan: Plan) -> Iterator[Row]:
    """Measure with SQLite as the ledger."""
    figures = compare(plan, NAME, {})
    what, ours = "accepted events/s, one web process", figures["hookline"]
    yield Row(name=NAME, what=what, against=EMPTY, ours=ours, theirs=figures["empty"], wanted=AT_LEAST_EMPTY)
    yield Row(name=NAME, what=what, against=TUTORIAL, ours=ours, theirs=figures["tutorial"], wanted=AT_LEAST_TUTORIAL)


def compare(plan: Plan, name: str, environ: Mapping[str, str]) -> dict[str, list[float]]:
    """Measure Hookline in this environment beside both peers."""
    with directory(plan.place, name) as place, ExitStack() as running:
        service = running.enter_context(hookline(place, "web", environ=environ))
        own, broker = running.enter_context(counts(service)), valkey(service)
        peers = SECRETS | {"REDIS_URL": service.settings.resolved_redis_url}
        empty = running.enter_context(web_peer(place, "bench.peers.empty:create_app", peers))
        tutorial = running.enter_context(web_peer(place, "bench.peers.tutorial:create_app", peers))
        storm = Storm(requests.payment(), place)
        contenders: dict[str, Blow] = {
            "hookline": lambda seconds: storm_hookline(storm, service, own, broker, seconds),
            "empty": lambda seconds: storm_empty(storm, empty.port, seconds),
            "tutorial": lambda seconds: _storm_tutorial(storm, tutorial.port, broker, seconds),
        }
        return run_rounds(storm, contenders, plan)


def run_rounds(storm: Storm, contenders: Mapping[str, Blow], plan: Plan) -> dict[str, list[float]]:
    """Warm up, then measure in alternating rounds that stay below the high-water mark."""
    rates = {name: _blow(storm, name, blow, WARM_UP_S) for name, blow in contenders.items()}
    storm.learn(max(rates.values()))
    seconds = round_seconds(plan, rates["hookline"])
    return alternate(
        {name: partial(_blow, storm, name, blow, seconds) for name, blow in contenders.items()},
        rounds=plan.rounds,
    )


def round_seconds(plan: Plan, our_rate: float) -> float:
    """Say how long a round may be."""
    return max(1.0, min(plan.seconds, ROUND_EVENTS // our_rate))


def _blow(storm: Storm, name: str, blow: Blow, seconds: float) -> float:
    storm.prepare(seconds)
    try:
        return blow(seconds).rate
    except CheckFailed as failed:
        raise CheckFailed(f"{name}: {failed}") from failed


def storm_hookline(storm: Storm, service: Service, own: Counts, broker: redis.Redis, seconds: float) -> Load:
    """Load our web process, check what is in the ledger and on the queue, and clear both away."""
    before = own.last("events")
    load = storm.blow(service.port, seconds)
    load.check(forged_refused=True)
    own.check_stored(load, storm.batch, after=before)
    if not any(broker.scan_iter("hookline:*.msgs")):
        raise CheckFailed("no doorbell was rung")
    if unrung := own.unrung():
        raise CheckFailed(f"{unrung} deliveries were not announced: the round was too long")
    own.settle()
    broker.flushall()
    time.sleep(ROOM_REFRESH_S)  # what the web process counted before is no longer so
    return load


def storm_empty(storm: Storm, port: int, seconds: float) -> Load:
    """Load the empty endpoint, which refuses nothing."""
    load = storm.blow(port, seconds)
    load.check(forged_refused=False)
    return load


def _storm_tutorial(storm: Storm, port: int, broker: redis.Redis, seconds: float) -> Load:
    load = storm.blow(port, seconds)
    load.check(forged_refused=True)
    sent = int(broker.hlen("dramatiq:webhooks.msgs"))
    # One under way on each connection, and one more that wrk had read and no longer counted.
    if not load.accepted <= sent <= load.accepted + 2 * CONNECTIONS:
        raise CheckFailed(f"the tutorial accepted {load.accepted} events and sent {sent} messages")
    broker.flushall()
    return load
