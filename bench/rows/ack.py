"""How long a sender waits for its 2xx at half of the rate that our web process can take."""

from collections.abc import Iterator
from contextlib import ExitStack

from bench import requests
from bench.counts import Counts, counts
from bench.load import Load, Storm, stream
from bench.plan import Plan
from bench.requests import Batch
from bench.rounds import alternate
from bench.row import Row, Wanted
from bench.rows.ingest import EMPTY, ROUND_EVENTS, WARM_UP_S
from bench.service import directory, hookline, web_peer
from tests.system.secrets import SECRETS
from tests.system.service import Service

NAME = "ack"
TAKES_S = 30

WANTED = Wanted(text="≤ 3", ratio_at_most=3)

SHARE = 0.5


def measure(plan: Plan) -> Iterator[Row]:
    """Measure with a rate-controlled client: a latency counts from when the request was due."""
    with directory(plan.place, NAME) as place, ExitStack() as running:
        service = running.enter_context(hookline(place, "web"))
        own = running.enter_context(counts(service))
        empty = running.enter_context(web_peer(place, "bench.peers.empty:create_app", SECRETS))
        rate = _max_rate(Storm(requests.payment(), place), service, own) * SHARE
        seconds = min(plan.seconds, ROUND_EVENTS / rate)
        file = place / "paced"

        def stream_hookline() -> float:
            batch, before = prepare(), own.last("events")
            load = stream_checked(service.port)
            own.check_stored(load, batch, after=before)
            own.settle()
            return load.p99_ms

        def stream_empty() -> float:
            prepare()
            return stream_checked(empty.port).p99_ms

        def prepare() -> Batch:
            return requests.prepare(file, requests.payment(), round(rate * seconds * 1.1), forged=False)

        def stream_checked(port: int) -> Load:
            load = stream(port, file, rate=rate, seconds=seconds)
            load.check(forged_refused=False)
            return load

        figures = alternate({"hookline": stream_hookline, "empty": stream_empty}, rounds=plan.rounds)
    yield Row(
        name=NAME,
        what=f"ms until the 2xx at half of the maximum rate ({rate:,.0f}/s): p99",
        against=f"{EMPTY} at the same rate",
        ours=figures["hookline"],
        theirs=figures["empty"],
        wanted=WANTED,
        note="from when each request was due",
    )


def _max_rate(storm: Storm, service: Service, own: Counts) -> float:
    storm.prepare(WARM_UP_S)
    storm.blow(service.port, WARM_UP_S)
    storm.prepare(WARM_UP_S)
    rate = storm.blow(service.port, WARM_UP_S).rate
    own.settle()
    return rate
