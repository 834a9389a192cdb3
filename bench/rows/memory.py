"""How much memory the processes hold after many events, and with many deliveries waiting."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import requests
from bench.balance import hold_balance
from bench.counts import Counts, counts
from bench.errors import CheckFailed
from bench.load import pace_command, read_pace
from bench.plan import Plan, Sizes
from bench.requests import Batch
from bench.row import REPORTED, Row, Wanted
from bench.service import directory, hookline
from config.settings import CHECKOUT
from tests.cli.dev.waiting import descendants, wait_until
from tests.system.service import VALKEY, Service

NAME = "memory"
TAKES_S = 30

WANTED = Wanted(text="≤ 1.2", ratio_at_most=1.2)

PROCESSES = ("web", "worker", "sweeper")
WATCHED = (*PROCESSES, VALKEY)

PORTION = 10_000
# Events prepared at a time: they are signed, and signatures grow old.

PATIENCE_S = 3_600.0

Resident = Mapping[str, float]  # MiB by process


def measure(plan: Plan) -> Iterator[Row]:
    """Measure resident memory, of each process with its children."""
    sizes = plan.sizes
    with directory(plan.place, NAME) as place, hookline(place, *PROCESSES) as service, counts(service) as own:
        _feed(place, service, own, sizes.handled_before)
        before = _resident(service)
        _feed(place, service, own, sizes.handled_after - sizes.handled_before)
        after = _resident(service)
        waiting = _with_backlog(place, service, own, sizes)
    yield from _rows(f"after {sizes.handled_after:,} events", after, before, sizes)
    yield from _rows(f"with {sizes.backlog:,} waiting", waiting, before, sizes)


def _rows(when: str, now: Resident, before: Resident, sizes: Sizes) -> Iterator[Row]:
    for name in WATCHED:
        yield Row(
            name=NAME,
            what=f"MiB of memory of {name} {when}",
            against=f"itself after {sizes.handled_before:,}",
            ours=[now[name]],
            theirs=[before[name]],
            wanted=WANTED if name in PROCESSES else REPORTED,
            note="the full size is measured with --full" if sizes.handled_after < 1_000_000 else "",  # noqa: PLR2004
        )


def _with_backlog(place: Path, service: Service, own: Counts, sizes: Sizes) -> Resident:
    service["worker"].stop()
    _feed(place, service, own, sizes.backlog, held_up=False)
    done = own.last("attempts")  # before it starts: a short backlog is done before anybody can look
    service.start("worker")
    wait_until(lambda: own.last("attempts") >= done + sizes.backlog // 4, timeout_s=PATIENCE_S)
    return _resident(service)


def _feed(place: Path, service: Service, own: Counts, events: int, *, held_up: bool = True) -> None:
    """Send so many events; wait until they are done, unless they are to wait."""
    for sent in range(0, events, PORTION):
        count = min(PORTION, events - sent)
        batch = requests.prepare(place / "requests", requests.payment(), count, forged=False)
        _send(place, service, own, batch, held_up=held_up)
    if held_up:
        service.wait_until_idle(timeout_s=PATIENCE_S)


def _send(place: Path, service: Service, own: Counts, batch: Batch, *, held_up: bool) -> None:
    before = own.last("events")
    with (place / "load").open("wb") as printed:
        words = pace_command(service.port, batch.file)
        sender = subprocess.Popen(words, cwd=CHECKOUT, stdout=printed)  # noqa: S603  # our own words
        if held_up:
            hold_balance(sender, own)
        sender.wait(PATIENCE_S)
    load = read_pace((place / "load").read_text())
    load.check(forged_refused=False)
    own.check_stored(load, batch, after=before)


def _resident(service: Service) -> Resident:
    return {name: sum(map(_resident_mib, _with_children(service[name].pid))) for name in WATCHED}


def _with_children(pid: int) -> set[int]:
    return {pid} | descendants(pid)


def _resident_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0.0
    for line in lines:
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise CheckFailed(f"/proc/{pid}/status names no resident memory")
