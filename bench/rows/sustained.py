"""How many events a second go in and are done with, for a minute, the whole service on the whole machine."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench import requests
from bench.balance import MAX_BACKLOG, Course, hold_balance
from bench.counts import Counts, counts
from bench.load import SLACK_S, Storm
from bench.plan import Plan
from bench.row import Row, Wanted
from bench.rows.ingest import WARM_UP_S
from bench.service import directory, hookline
from config.settings import CHECKOUT
from tests.system.service import Service

NAME = "sustained"
TAKES_S = 70

WANTED = Wanted(text="report; ≥ 3,000 on two cores", ours_at_least=3_000)

SETTLED = 0.2
# The first part of the time, which does not count.

SPARE = 1.5
# Times the web process's rate alone: so many requests are prepared. With all other processes beside it, it takes fewer.

LEAST_RATE = 8_000
# Prepared for in any case: what went on beside the first look may be over.


def measure(plan: Plan) -> Iterator[Row]:
    """Measure web, worker, sweeper and Valkey together."""
    seconds = plan.sizes.sustained_s
    with directory(plan.place, NAME) as place, hookline(place, "web", "worker", "sweeper") as service:
        storm = Storm(requests.payment(), place)
        storm.prepare(WARM_UP_S)
        storm.prepare(seconds, rate=max(storm.blow(service.port, WARM_UP_S).rate * SPARE, LEAST_RATE))
        service.wait_until_idle(timeout_s=SLACK_S)
        with counts(service) as own:
            course = _sustain(place, service, storm, own, seconds)
    yield Row(
        name=NAME,
        what=f"events/s in and done for {seconds:g} s, whole service and load on one machine",
        ours=[course.rate(after_s=seconds * SETTLED)],
        wanted=WANTED,
        note=f"ingest held up for {course.held_s / seconds:.0%} of the time, to keep under {MAX_BACKLOG:,} waiting",
    )


def _sustain(place: Path, service: Service, storm: Storm, own: Counts, seconds: float) -> Course:
    before = own.last("events")
    with (place / "load").open("wb") as printed:
        words = storm.command(service.port, seconds)
        load = subprocess.Popen(words, cwd=CHECKOUT, stdout=printed)  # noqa: S603  # our own words
        try:
            course = hold_balance(load, own)
        finally:
            load.wait(SLACK_S)
    result = storm.read((place / "load").read_text())
    result.check(forged_refused=True)
    service.wait_until_idle(timeout_s=SLACK_S)
    own.check_stored(result, storm.batch, after=before)
    own.check_handled(storm.batch, after=before)
    return course
