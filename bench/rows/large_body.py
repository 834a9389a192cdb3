"""What one 25 MB body a second does to the senders of small events."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from bench import requests
from bench.counts import Counts, counts
from bench.errors import CheckFailed
from bench.load import SLACK_S, pace_command, read_pace, stream
from bench.plan import Plan
from bench.rounds import alternate
from bench.row import Row, Wanted
from bench.service import directory, hookline
from config.settings import CHECKOUT
from tests.system.service import Service

NAME = "large-body"
TAKES_S = 35

WANTED = Wanted(text="≤ 2", ratio_at_most=2)

LARGE_BYTES = 25_000_000
SMALL_RATE = 200.0
# Small events a second: far from what the process can take, so that only the large bodies are in their way.


def measure(plan: Plan) -> Iterator[Row]:
    """Measure the small events' latency with and without large ones beside them."""
    seconds = plan.sizes.large_body_s
    with directory(plan.place, NAME) as place, ExitStack() as running:
        service = running.enter_context(hookline(place, "web"))
        own = running.enter_context(counts(service))
        kind = requests.large_push(LARGE_BYTES)

        def without() -> float:
            return _p99_of_small(place, service, own, seconds)

        def beside() -> float:
            with _large_ones(place, service, kind, max(1, int(seconds)), strict=not plan.smoke):
                return _p99_of_small(place, service, own, seconds)

        figures = alternate({"beside": beside, "without": without}, rounds=plan.rounds)
    yield Row(
        name=NAME,
        what=f"ms until the 2xx for {SMALL_RATE:g} small events/s beside a 25 MB GitHub body every second: p99",
        against="itself without them",
        ours=figures["beside"],
        theirs=figures["without"],
        wanted=WANTED,
    )


def _p99_of_small(place: Path, service: Service, own: Counts, seconds: float) -> float:
    batch = requests.prepare(place / "small", requests.payment(), int(SMALL_RATE * seconds), forged=False)
    before = own.last("events")
    load = stream(service.port, batch.file, rate=SMALL_RATE, seconds=seconds)
    load.check(forged_refused=False)
    own.check_stored(load, batch, after=before)
    own.settle()
    return load.p99_ms


@contextmanager
def _large_ones(place: Path, service: Service, kind: requests.Kind, count: int, *, strict: bool) -> Iterator[None]:
    """Send a large body every second, from a process of its own, while the block runs.

    All of them must get in; in a smoke run, where much else goes on, one may also take too long (503).
    """
    file = requests.prepare(place / "large", kind, count, forged=False).file
    with NamedTemporaryFile("w+", dir=place) as printed:
        words = pace_command(service.port, file, rate=1.0)
        sender = subprocess.Popen(words, cwd=CHECKOUT, stdout=printed)  # noqa: S603  # our own words
        try:
            yield
        finally:
            sender.wait(SLACK_S + count)
        load = read_pace(Path(printed.name).read_text())
    if load.lost or (strict and load.accepted != count):
        raise CheckFailed(f"{load.accepted} of {count} large bodies were accepted, {load.lost} lost")
