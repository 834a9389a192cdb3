"""What retention costs: `python -m bench.prune` makes a large ledger, prunes half of it, and watches what comes in.

Of N events, spread evenly over 100 days, the quarter that is older than 75 days is deleted, and the quarter that is
older than 50 days loses its payload. This is done twice, on two copies: alone, and beside a process that takes in
events as fast as it can, whose rate and waiting times are compared with those just before and after.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.large_ledger import Place, PostgresqlPlace, SqlitePlace
from config.settings import CHECKOUT

# ruff: noqa: T201  # a benchmark prints

AGES = ("--payload-after", "50d", "--identity-after", "75d")

PLACES: Mapping[str, type[Place]] = {"sqlite": SqlitePlace, "postgresql": PostgresqlPlace}


@dataclass(frozen=True, slots=True)
class Prune:
    """What a run of `hookline prune` said, and when it ran (Unix seconds)."""

    deleted: int
    emptied: int
    began: float
    ended: float
    cpu_s: float  # of the command, without the server's

    @property
    def took_s(self) -> float:
        """How long it took, with the start of the command."""
        return self.ended - self.began


@dataclass(frozen=True, slots=True)
class Stretch:
    """How events came in over some time."""

    per_s: float
    p50_ms: float
    p99_ms: float
    longest_ms: float
    refused: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.prune", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="how long the history is")
    parser.add_argument("--engine", choices=[*PLACES, "both"], default="both")
    parser.add_argument("--watch", type=float, default=15.0, help="seconds before and after that are compared with")
    wanted = parser.parse_args()
    for engine in PLACES if wanted.engine == "both" else [wanted.engine]:
        place = PLACES[engine]()
        try:
            measure(place, wanted.events, wanted.watch)
        finally:
            place.close()


def measure(place: Place, events: int, watch_s: float) -> None:
    """Measure one database."""
    print(f"\n{place.name}, {events:,} events", flush=True)
    began = time.monotonic()
    place.make("first", events, time.time())
    place.copy("first", "second")
    _say("made in", f"{time.monotonic() - began:.0f} s, {place.size_mib('first'):,.0f} MiB")
    _measure_alone(place)
    _measure_beside_ingest(place, watch_s)


def _measure_alone(place: Place) -> None:
    done = _prune(place, "first")
    rate = (done.deleted + done.emptied) / done.took_s
    _say("alone", f"{done.deleted:,} deleted, {done.emptied:,} emptied in {_times(done)} ({rate:,.0f} a second)")
    _say("size after", f"{place.size_mib('first'):,.0f} MiB")
    again = _prune(place, "first")
    _say("nothing to do", f"{again.deleted + again.emptied} in {_times(again)}")


def _measure_beside_ingest(place: Place, watch_s: float) -> None:
    with tempfile.TemporaryDirectory(prefix="hookline-bench-") as directory:
        log = Path(directory) / "log"
        with _ingest(place, "second", log):
            time.sleep(watch_s)
            done = _prune(place, "second")
            time.sleep(watch_s)
        rows = [line.split() for line in log.read_text().splitlines()]
    before = _stretch(rows, done.began - watch_s + 1, done.began)
    during = _stretch(rows, done.began, done.ended)
    after = _stretch(rows, done.ended, done.ended + watch_s - 1)
    _say("beside ingest", f"{done.deleted:,} deleted, {done.emptied:,} emptied in {_times(done)}")
    for name, stretch in (("before", before), ("during", during), ("after", after)):
        _say(f"  {name}", _spell(stretch))
    _say("  ratio", f"{during.per_s / statistics.mean([before.per_s, after.per_s]):.2f}")
    _say("size after", f"{place.size_mib('second'):,.0f} MiB")


def _times(done: Prune) -> str:
    return f"{done.took_s:.1f} s, {done.cpu_s:.1f} s of CPU"


def _spell(stretch: Stretch) -> str:
    return (
        f"{stretch.per_s:,.0f} events a second, p50 {stretch.p50_ms:.0f} ms, p99 {stretch.p99_ms:.0f} ms, "
        f"longest {stretch.longest_ms:,.0f} ms, refused {stretch.refused}"
    )


def _say(what: str, text: str) -> None:
    print(f"  {what:<16}{text}", flush=True)


def _prune(place: Place, copy: str) -> Prune:
    began, cpu_s = time.time(), _cpu_s()
    command = [sys.executable, "-m", "cli", "prune", *AGES, "--yes", "--json"]
    done = subprocess.run(command, env=_environ(place, copy), cwd=CHECKOUT, check=True, capture_output=True)  # noqa: S603
    said = json.loads(done.stdout)
    return Prune(said["events_deleted"], said["payloads_emptied"], began, time.time(), _cpu_s() - cpu_s)


def _cpu_s() -> float:
    """Say how much the commands that have ended took: on a busy machine it says more than a clock."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def _ingest(place: Place, copy: str, log: Path) -> Iterator[None]:
    """Take in events for as long as the block runs; each is a line in the log."""
    command = [sys.executable, "-m", "bench.ingest"]
    with (
        log.open("w") as out,
        subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=out, env=_environ(place, copy), cwd=CHECKOUT
        ) as process,
    ):
        try:
            yield
        finally:
            process.communicate()  # its input ends, and so does it


def _stretch(rows: Sequence[Sequence[str]], since: float, until: float) -> Stretch:
    """Describe what came in between two times (Unix seconds)."""
    mine = [took for at, took in rows if since <= float(at) < until]
    waits = sorted(float(took) * 1_000 for took in mine if took != "refused")
    return Stretch(
        per_s=len(waits) / (until - since),
        p50_ms=waits[len(waits) // 2],
        p99_ms=waits[len(waits) * 99 // 100],
        longest_ms=waits[-1],
        refused=len(mine) - len(waits),
    )


def _environ(place: Place, copy: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "DATABASE_URL": place.url(copy)}


if __name__ == "__main__":
    main()
