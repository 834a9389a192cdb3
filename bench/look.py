"""What it costs to look: `python -m bench.look` makes a ledger of a million events and times every list and get.

Each look is the real command, started as people start it. Its own time is what it, and PostgreSQL for it, used of the
processor, less what the same command needs on an empty ledger (the interpreter and the imports); its memory is the most
that it ever had. Exits 1 if one of them took longer than LIMIT_S.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import Process
from pathlib import Path

from sqlalchemy import Connection

from bench.large_ledger import Place, PostgresqlPlace, SqlitePlace
from bench.varied_ledger import fill
from config.settings import CHECKOUT

# ruff: noqa: T201  # a benchmark prints

LIMIT_S = 0.3

ROUNDS = 3
# The quickest counts: the others waited for somebody else.

MIB = 1024 * 1024

LOOKS = (
    "events list",
    "events list --since all --limit 1000 --json",
    "events list --source github",
    "events list --source github --since all",
    "events list --type payout.failed --since all",
    "events list --type no.such --since all",
    "events list --type invoice.* --since 7d",
    "events list --type no.* --since all",
    "events list --account acct_17 --since all",
    "events list --account acct_none --since all",
    "events list --external-id evt_1500",
    "events list --external-id evt_none",
    "events list --handler notifications.payout_failed --since 7d",
    "events list --state dead",
    "events list --state failed",
    "events list --state pending",
    "events list --state unparseable",
    "events list --state done --type payout.failed --since all",
    "events list --state unhandled",
    "events list --state unhandled --source stripe --since all",
    "events list --before 500000 --since all",
    "events list --since 29d --until 28d",
    "events get 500000",
    "events get evt_1500000",
    "events get evt_1999999",
    "events get evt_none1",
    "deliveries list",
    "deliveries list --since all",
    "deliveries list --state dead",
    "deliveries list --state dismissed --since all",
    "deliveries list --state done --source github --since all",
    "deliveries list --handler notifications.dispute",
    "deliveries list --handler notifications.payout_failed --since all",
    "deliveries list --handler no.such --since all",
    "deliveries list --type no.such --since all",
    "deliveries list --type payout.failed --since all",
    "deliveries list --since all --before 300000",
    "requests list --rejected",
    "requests list --reason no_such --since all",
    "sources",
    "payments list",
    "payments list --since 7d --limit 200",
    "payments list --kind dispute",
    "payments list --kind payment --state requires_payment_method",
    "payments list --customer cus_1117",
    "payments list --customer cus_none",
    "payments list --currency xyz",
    "payments get pi_1500003",
    "payments get sub_1501",
    "payments get pi_none1",
    "replays list",
    "replays get 500",
    "audit list --limit 1000",
    "tokens list",
)

COUNTS = ("stats", "payments summary", "alerts digest")
# They read all of a day, and have no limit.

FULL, EMPTY = "full", "empty"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command used."""

    cpu_s: float
    took_s: float
    peak_mib: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.look", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="how long the history is")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--inside", type=Path, help="where there is room for it: 4 GB, 1 GB on PostgreSQL")
    parser.add_argument("--only", default="", help="only looks that contain this")
    wanted = parser.parse_args()
    place = SqlitePlace(wanted.inside) if wanted.database == "sqlite" else PostgresqlPlace(wanted.inside)
    try:
        for copy, events in ((EMPTY, 0), (FULL, wanted.events)):
            # By a process of its own: a child's peak of memory is never below its parent's.
            maker = Process(target=_make, args=(place, copy, events))
            maker.start()
            maker.join()
        looks = [look for look in (*LOOKS, *COUNTS) if wanted.only in look]
        slow = [look for look in looks if not _measure(look, place) and look not in COUNTS]
    finally:
        place.close()
    if slow:
        sys.exit(f"slower than {LIMIT_S} s: {', '.join(slow)}")


def _make(place: Place, copy: str, events: int) -> None:
    began = time.monotonic()
    place.make(copy, events, time.time(), _fill)
    print(f"{events:,} events in {time.monotonic() - began:.0f} s, {place.size_mib(copy):,.0f} MiB", flush=True)


def _fill(db: Connection, events: int, now: float) -> None:
    if events:
        fill(db, events, now)


def _measure(look: str, place: Place) -> bool:
    """Measure one command; say whether it was quick enough."""
    nothing, cost = _cost(look, place, EMPTY), _cost(look, place, FULL)
    own_s = cost.cpu_s - nothing.cpu_s
    print(
        f"  {look:<66} own {own_s * 1_000:>5.0f} ms   whole {cost.took_s * 1_000:>5.0f} ms   "
        f"{cost.peak_mib:>4.0f} MiB (empty ledger: {nothing.took_s * 1_000:.0f} ms, {nothing.peak_mib:.0f} MiB)",
        flush=True,
    )
    return own_s <= LIMIT_S


def _cost(look: str, place: Place, copy: str) -> Cost:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "DATABASE_URL": place.url(copy)}
    costs = [_run(look.split(), environ, place) for _ in range(ROUNDS)]
    return min(costs, key=lambda cost: cost.cpu_s)


def _run(words: list[str], environ: Mapping[str, str], place: Place) -> Cost:
    began, served_s = time.monotonic(), place.served_s()
    with Path(os.devnull).open("w") as nowhere:
        command = [sys.executable, "-m", "cli", *words]
        process = subprocess.Popen(command, env=environ, cwd=CHECKOUT, stdout=nowhere, stderr=nowhere)  # noqa: S603
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took_s = time.monotonic() - began
    cpu_s = used.ru_utime + used.ru_stime + place.served_s() - served_s
    return Cost(cpu_s, took_s, used.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
