"""How many events a second go in and are done with, for a minute, the whole service on the whole machine."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench import requests
from bench.counts import Counts, counts
from bench.errors import CheckFailed
from bench.load import SLACK_S, Storm
from bench.plan import Plan
from bench.row import Row, Wanted
from bench.rows.ingest import WARM_UP_S
from bench.service import directory, hookline
from config.settings import CHECKOUT
from tests.system.service import Service

NAME = "sustained"

WANTED = Wanted(text="report; ≥ 3,000 on two cores", ours_at_least=3_000)

MAX_BACKLOG, RESUME_BACKLOG = 1_000, 500
# The load is held up while more deliveries than this wait, so that what goes in is what is done.

LOOK_EVERY_S = 0.02

SETTLED = 0.2
# The first part of the time, which does not count.


def measure(plan: Plan) -> Iterator[Row]:
    """Measure web, worker, sweeper and Valkey together."""
    with directory(plan.place, NAME) as place, hookline(place, "web", "worker", "sweeper") as service:
        storm = Storm(requests.payment(), place)
        storm.prepare(WARM_UP_S)
        storm.learn(storm.blow(service.port, WARM_UP_S).rate)
        service.wait_until_idle(timeout_s=SLACK_S)
        with counts(service) as own:
            rate, share = _hold_balance(place, service, storm, own, plan.sizes.sustained_s)
    yield Row(
        name=NAME,
        what=f"events/s in and done for {plan.sizes.sustained_s:g} s, whole service and load on one machine",
        ours=[rate],
        wanted=WANTED,
        note=f"ingest held up for {share:.0%} of the time, to keep under {MAX_BACKLOG:,} waiting",
    )


def _hold_balance(place: Path, service: Service, storm: Storm, own: Counts, seconds: float) -> tuple[float, float]:
    before = own.events()
    storm.prepare(seconds)
    with (place / "load").open("wb") as printed:
        words = storm.command(service.port, seconds)
        load = subprocess.Popen(words, cwd=CHECKOUT, stdout=printed)  # noqa: S603  # our own words
        try:
            looks, held_s = _watch(load, own)
        finally:
            load.send_signal(signal.SIGCONT)
            load.wait(SLACK_S)
    result = storm.read((place / "load").read_text())
    result.check(forged_refused=True)
    service.wait_until_idle(timeout_s=SLACK_S)
    own.check_stored(result, before=before)
    if own.attempts() != own.events():
        raise CheckFailed(f"{own.events()} events are in the ledger, and {own.attempts()} attempts")
    return _rate(looks, seconds), held_s / seconds


def _watch(load: "subprocess.Popen[bytes]", own: Counts) -> tuple[list[tuple[float, int]], float]:
    """Hold the load up whenever too much waits. Give how much was done when, and how long it was held up."""
    looks: list[tuple[float, int]] = []
    held_since: float | None = None
    held_s = 0.0
    while load.poll() is None:
        now, done = time.monotonic(), own.last("attempts")
        looks.append((now, done))
        backlog = own.last("events") - done
        if held_since is None and backlog > MAX_BACKLOG:
            load.send_signal(signal.SIGSTOP)
            held_since = now
        elif held_since is not None and backlog < RESUME_BACKLOG:
            load.send_signal(signal.SIGCONT)
            held_s, held_since = held_s + now - held_since, None
        time.sleep(LOOK_EVERY_S)
    return looks, held_s


def _rate(looks: list[tuple[float, int]], seconds: float) -> float:
    began = looks[0][0] + seconds * SETTLED
    counted = [look for look in looks if look[0] >= began]
    (first_at, first), (last_at, last) = counted[0], counted[-1]
    return (last - first) / (last_at - first_at)
