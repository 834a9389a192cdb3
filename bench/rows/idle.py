"""How long an idle service takes from a POST until the handler's work is committed."""

import time
from collections.abc import Iterator
from http.client import HTTPConnection
from random import Random

from bench import requests
from bench.counts import Counts, counts
from bench.errors import CheckFailed
from bench.pace import percentile
from bench.plan import Plan
from bench.prepared import read
from bench.row import Row, Wanted
from bench.service import directory, hookline
from tests.system.service import Service

NAME = "idle"
TAKES_S = 20

P50 = Wanted(text="≤ 20 ms", ours_at_most=20)
P99 = Wanted(text="≤ 100 ms", ours_at_most=100)

GAP_S = (0.05, 0.15)
# Between two events: random, because the worker looks at its queues at times of its own.

PATIENCE_S = 10.0
LOOK_EVERY_S = 0.0005


def measure(plan: Plan) -> Iterator[Row]:
    """Post one event at a time, and look into the ledger until it is done."""
    with directory(plan.place, NAME) as place, hookline(place, "web", "worker", "sweeper") as service:
        file = requests.prepare(place / "requests", requests.payment(), plan.sizes.idle_events, forged=False).file
        with counts(service) as own:
            took_ms = [_once(service, own, request) * 1000 for request in read(file)]
    what = f"ms from POST to handler committed, idle service, {len(took_ms)} events"
    yield Row(name=NAME, what=f"{what}: p50", ours=[percentile(took_ms, 50)], wanted=P50)
    yield Row(name=NAME, what=f"{what}: p99", ours=[percentile(took_ms, 99)], wanted=P99)


def _once(service: Service, own: Counts, request: bytes) -> float:
    time.sleep(Random().uniform(*GAP_S))  # noqa: S311  # no secret
    before = own.last("attempts")
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    connection = HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE_S)
    connection.connect()
    began = time.perf_counter()
    connection.request("POST", head.split(b" ")[1].decode(), body, headers)
    if connection.getresponse().status != 200:  # noqa: PLR2004  # OK
        raise CheckFailed("an event was refused")
    connection.close()
    while own.last("attempts") == before:
        if time.perf_counter() - began > PATIENCE_S:
            raise CheckFailed(f"an event was not handled within {PATIENCE_S:g} s")
        time.sleep(LOOK_EVERY_S)
    return time.perf_counter() - began
