"""What each step of the way costs, in microseconds an event: `python -m bench.steps [--markdown]`.

First the servers under load, layer by layer, by the processor time that each of their threads used. Then the steps one
by one in this very process, on a ledger on the real disk: the product's own functions, called as the hot path and the
worker call them. docs/performance.md says what to make of it.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

import structlog
from dramatiq import Broker
from pydantic_core import from_json
from sqlalchemy import Connection, text

from bench import requests
from bench.counts import counts
from bench.cpu import REPEATS, Cost, Stopwatch, cost, threads_cpu_s
from bench.load import Storm, send_all
from bench.machine import describe
from bench.prepared import read
from bench.progress import drain_rate
from bench.service import directory, end_in_order, hookline, web_peer
from config.broker import make_broker
from config.database import make_engine
from config.logs import configure_logs
from config.settings import CHECKOUT
from handlers.context import Channels, Context
from handlers.payments.handlers import payment
from handlers.router import Router, load_router
from ledger import claims
from ledger.announce import ring_deliveries
from ledger.append import Room, append
from ledger.claims import Claimed, Outcome
from ledger.event import DeliveryState, NewDelivery, NewEvent
from ledger.store import Ledger, Transaction
from receivers.headers import content_type_of, kept_headers
from receivers.ok import Ok
from receivers.provider import Headers, Request
from receivers.providers.stripe import PROVIDERS
from tests.cli.dev.waiting import descendants
from tests.system.secrets import SECRETS, STRIPE_SECRET

STRIPE = PROVIDERS[0]

LOAD_S = 3.0
DRAINED = 3_000
TIMES = 1_000
BATCH = 32
BATCHES = 20
MESSAGE_SIZES = (1, 8, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. No wall time: it was measured by the processor time of a whole process."""

    where: str
    what: str
    cpu_us: float
    wall_us: float | None = None


def measure(place: Path) -> Iterator[Step]:
    """Measure all of them."""
    yield from _servers(place)
    yield from _worker_process(place)
    with directory(place, "parts") as own, _parts(own) as parts:
        for walk in (_receiving, _writing, _working):
            yield from walk(parts)


# Whole processes.


def _servers(place: Path) -> Iterator[Step]:
    layers = {
        "bare ASGI callable on our server": "bench.peers.layers:create_bare",
        "the same as a route of Starlette": "bench.peers.layers:create_starlette",
        "the same as an endpoint of FastAPI": "bench.peers.empty:create_app",
    }
    storm = Storm(requests.payment(), place)
    for what, app in layers.items():
        with web_peer(place, app, SECRETS) as peer:
            storm.prepare(1)
            storm.blow(peer.port, 1)
            spent = _spent_us(storm, peer.port, peer.pid)
            yield Step(where="server", what=what, cpu_us=sum(spent))
    with directory(place, "layers") as own, hookline(own, "web") as service:
        storm.prepare(1)
        storm.blow(service.port, 1)
        loop, *threads = _spent_us(storm, service.port, service["web"].pid)
        yield Step(where="server", what="Hookline's web process: event loop", cpu_us=loop)
        yield Step(where="server", what="Hookline's web process: its other threads", cpu_us=sum(threads))


def _spent_us(storm: Storm, port: int, pid: int) -> list[float]:
    """Give the processor time of each thread for one request, that of the main thread first."""
    storm.prepare(LOAD_S)
    before = threads_cpu_s(pid)
    load = storm.blow(port, LOAD_S)
    after = threads_cpu_s(pid)
    return [(after[thread] - before.get(thread, 0.0)) / load.accepted * 1e6 for thread in sorted(after)]


def _worker_process(place: Path) -> Iterator[Step]:
    with directory(place, "worker") as home, hookline(home, "web") as service, counts(service) as own:
        send_all(service.port, requests.prepare(place / "requests", requests.payment(), DRAINED, forged=False).file)
        service.start("worker")
        pids = [service["worker"].pid, *descendants(service["worker"].pid)]
        before = _used_s(pids)
        drain_rate(own.attempts, DRAINED)
        spent = (_used_s(pids) - before) / DRAINED * 1e6
    yield Step(where="worker", what="Hookline's worker: all of it, a delivery with a book row", cpu_us=spent)


def _used_s(pids: Sequence[int]) -> float:
    return sum(sum(threads_cpu_s(pid).values()) for pid in pids)


# Step by step.


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the steps are made of, put together as the processes do."""

    ledger: Ledger  # as the web process has it
    fast: Ledger  # as the worker has it
    broker: Broker
    router: Router
    place: Path


@contextmanager
def _parts(place: Path) -> Iterator[Parts]:
    with hookline(place) as service:
        settings = service.settings
        ledger, fast = Ledger(make_engine(settings)), Ledger(make_engine(settings, fsync=False))
        try:
            yield Parts(
                ledger=ledger,
                fast=fast,
                broker=make_broker(settings),
                router=load_router(),
                place=place,
            )
        finally:
            ledger.close()
            fast.close()


def _receiving(parts: Parts) -> Iterator[Step]:
    """Walk through `receivers.intake`, without the event loop around it."""
    headers, body = _request(parts)
    now, keys = time.time(), (STRIPE_SECRET,)
    seen = Request(headers=headers, content_type="application/json", body=body, body_sha256=sha256(body).hexdigest())
    steps: dict[str, Callable[[], object]] = {
        "verify the signature": lambda: STRIPE.verify(headers, body, keys, now),
        "of that, the SHA-256 itself": lambda: sha256(body).digest(),
        "check the content type": lambda: content_type_of(headers, STRIPE.content_types),
        "hash the body": lambda: sha256(body).hexdigest(),
        "read the envelope": lambda: STRIPE.read(seen),
        "of that, parse the JSON": lambda: from_json(body, allow_inf_nan=False),
        "keep the headers": lambda: kept_headers(headers, without=STRIPE.signature_header),
        "find the handlers": lambda: parts.router.matching("stripe", "payment_intent.succeeded"),
        "make the answer": lambda: Ok(b'{"status":"accepted","event":1}'),
    }
    for what, work in steps.items():
        yield _step("intake", what, cost(work, times=TIMES))
    yield _step("intake", "write a line to the log", _log_cost())


def _request(parts: Parts) -> tuple[Headers, bytes]:
    """Take a request as uvicorn would hand it on."""
    file = requests.prepare(parts.place / "request", requests.payment(), 1).file
    head, _, body = next(read(file)).partition(b"\r\n\r\n")
    lines = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:]]
    return Headers([(name, value) for name, value in lines]), body


def _log_cost() -> Cost:
    """Log as the product does, to a file that nobody reads."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        configure_logs(development=False)
        log = structlog.get_logger()
        known = {"source": "stripe", "type": "payment_intent.succeeded", "external_id": "evt_3" + "x" * 20}
        found = cost(lambda: log.info("event accepted", event_id=1, **known), times=TIMES)
    logging.basicConfig(level=logging.WARNING, force=True)
    return found


def _writing(parts: Parts) -> Iterator[Step]:
    """Walk through `ledger.commits` and `ledger.announce`, for batches as 32 connections make them."""
    room = Room()
    batches = iter([_events(parts, BATCH) for _ in range(TIMES)])

    def write(*, rows: bool) -> Callable[[], None]:
        def once() -> None:
            with parts.ledger.write() as db:
                if rows:
                    append(db, next(batches), room)
                else:
                    db.execute(text("UPDATE probes SET at = at + 1"))

        return once

    whole = cost(write(rows=True), times=BATCHES, pieces=BATCH)
    empty = cost(write(rows=False), times=BATCHES, pieces=BATCH)
    yield _step("writer", f"a commit of {BATCH} events, an event's share", whole)
    yield _step("writer", "of that, begin, take the turn, fsync and commit", empty)
    one = cost(_single(parts, room), times=BATCHES)
    yield _step("writer", "a commit of one event", one)
    for size in (1, BATCH):
        ids = list(range(1, size + 1))
        ring = cost(lambda ids=ids: ring_deliveries(parts.broker, "payments", ids), times=BATCHES, pieces=size)  # type: ignore[misc]
        yield _step("announcer", f"ring for {size} at once, a delivery's share", ring)


def _single(parts: Parts, room: Room) -> Callable[[], None]:
    events = iter(_events(parts, BATCHES * REPEATS))

    def once() -> None:
        with parts.ledger.write() as db:
            append(db, [next(events)], room)

    return once


def _events(parts: Parts, count: int) -> list[NewEvent]:
    """Make events as intake does."""
    file = requests.prepare(parts.place / "events", requests.payment(), count, forged=False).file
    return [_event(request.partition(b"\r\n\r\n")[2]) for request in read(file)]


def _event(body: bytes) -> NewEvent:
    external_id = from_json(body)["id"]
    return NewEvent(
        source="stripe",
        dedupe_key=external_id,
        external_id=external_id,
        type="payment_intent.succeeded",
        account=None,
        livemode=False,
        received_at=time.time(),
        content_type="application/json",
        headers={"host": "127.0.0.1", "user-agent": "bench", "content-type": "application/json"},
        body=body,
        body_sha256=sha256(body).hexdigest(),
        secret_position=0,
        flaw=None,
        deliveries=(NewDelivery(handler="payments.payment", queue="payments"),),
    )


def _working(parts: Parts) -> Iterator[Step]:
    """Walk through `workers.deliver`, for messages of several sizes."""
    for size in MESSAGE_SIZES:
        spent = [_run_message(parts, size) for _ in range(BATCHES)]
        for what in spent[0]:
            costs = [each[what] for each in spent]
            share = Cost(
                cpu_us=min(each.cpu_us for each in costs) / size,
                wall_us=min(each.wall_us for each in costs) / size,
            )
            yield _step(f"worker, {size} a message", what, share)


def _run_message(parts: Parts, size: int) -> dict[str, Cost]:
    """Run one message of so many deliveries, and time each step of it."""
    with parts.ledger.write() as db:
        [ids] = append(db, _events(parts, size), Room()).doorbells.values()
    token, clock = token_hex(16), Stopwatch()
    with parts.fast.write() as db:
        clock.lap("begin")
        taken = claims.claim(db, ids, handlers=parts.router.by_name.keys(), token=token, now=time.time())
        clock.lap("claim")
    clock.lap("commit the claim")
    with parts.fast.read() as db:
        claimed = claims.load(db, taken)
    clock.lap("load")
    with parts.fast.write() as db:
        claims.still_held(db, token)
        clock.lap("begin, and ask whether it is still held")
        for each in claimed:
            savepoint = db.begin_nested()
            clock.lap("savepoint")
            payment.run(each.event, _context(db, each))
            clock.lap("handler")
            savepoint.commit()
            clock.lap("savepoint")
        outcomes = [Outcome(delivery=each.delivery, state=DeliveryState.DONE) for each in claimed]
        claims.settle(db, outcomes, token=token, now=time.time())
        clock.lap("settle")
    clock.lap("commit the work")
    return clock.laps


def _context(db: Connection, claimed: Claimed) -> Context:
    channels = Channels(finance="#finance", engineering="#engineering")
    return Context(db=Transaction(db), channels=channels, delivery_id=claimed.delivery.id, now=time.time())


def _step(where: str, what: str, found: Cost) -> Step:
    return Step(where=where, what=what, cpu_us=found.cpu_us, wall_us=found.wall_us)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.steps", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    options = parser.parse_args()
    end_in_order()
    above = CHECKOUT / "var"
    above.mkdir(exist_ok=True)
    with directory(above, "steps") as place:
        machine = describe(place)
        steps = list(measure(place))
    sys.stdout.write(
        "\n".join([*(f"* {name}: {value}" for name, value in machine.items()), "", *_lines(steps, options)])
    )
    sys.stdout.write("\n")


def _lines(steps: Sequence[Step], options: argparse.Namespace) -> list[str]:
    rows = [("where", "step", "µs of processor", "µs of time"), *(_cells(step) for step in steps)]
    if options.markdown:
        return [f"| {' | '.join(row)} |" for row in (rows[0], ("---",) * 4, *rows[1:])]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(step: Step) -> tuple[str, str, str, str]:
    return (step.where, step.what, f"{step.cpu_us:.1f}", "" if step.wall_us is None else f"{step.wall_us:.1f}")


if __name__ == "__main__":
    main()
