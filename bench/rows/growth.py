"""What a long history costs: the same work on a large ledger and on a small one."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from sqlalchemy import create_engine, text

from bench import requests
from bench.counts import Counts, counts
from bench.large_ledger import SqlitePlace, fill
from bench.load import Storm
from bench.plan import Plan
from bench.rounds import Measure, alternate, say
from bench.row import Row, Wanted
from bench.rows.ingest import WARM_UP_S, round_seconds, storm_hookline
from bench.service import directory, hookline, valkey
from handlers.router import load_router
from ledger import claims
from ledger.store import Ledger
from ledger.views import Filter, list_events
from tests.system.service import Service

NAME = "growth"
TAKES_S = 60

WANTED = Wanted(text="≥ 0.8", ratio_at_least=0.8)

BATCH = 32
BATCHES = 20
PAGES = 50
PAGE_EVENTS = 50


class Book:
    """One of the two ledgers, with a web process on it."""

    def __init__(self, service: Service, own: Counts, ledger: Ledger, storm: Storm) -> None:
        self._service = service
        self._own = own
        self._ledger = ledger
        self._storm = storm
        self._broker = valkey(service)

    def accepted(self, seconds: float) -> float:
        """Measure accepted events a second."""
        self._storm.prepare(seconds)
        return storm_hookline(self._storm, self._service, self._own, self._broker, seconds).rate

    def claimed(self) -> float:
        """Measure claimed and loaded deliveries a second, in messages of 32."""
        ids = self._reopen_deliveries()
        handlers = load_router().by_name.keys()
        began = time.perf_counter()
        for start in range(0, len(ids), BATCH):
            with self._ledger.write() as db:
                token = f"bench-{start}"
                taken = claims.claim(db, ids[start : start + BATCH], handlers=handlers, token=token, now=time.time())
            with self._ledger.read() as db:
                claims.load(db, taken)
        took_s = time.perf_counter() - began
        self._own.settle()
        return len(ids) / took_s

    def listed(self) -> float:
        """Measure pages of the newest events a second."""
        began = time.perf_counter()
        for _ in range(PAGES):
            with self._ledger.read() as db:
                list_events(db, Filter(limit=PAGE_EVENTS))
        return PAGES / (time.perf_counter() - began)

    def _reopen_deliveries(self) -> Sequence[int]:
        return self._own.reopen(BATCH * BATCHES)


def measure(plan: Plan) -> Iterator[Row]:
    """Measure accepting, claiming and listing."""
    sizes = plan.sizes
    with directory(plan.place, NAME) as place, ExitStack() as running:
        ledgers = SqlitePlace(place)
        books = {
            name: _open(running, place, ledgers, name, events)
            for name, events in (("large", sizes.large_ledger), ("small", sizes.small_ledger))
        }
        rates = [book.accepted(WARM_UP_S) for book in books.values()]
        seconds = round_seconds(plan, max(rates))
        works: dict[str, dict[str, Measure]] = {
            "accepted events/s": {name: partial(book.accepted, seconds) for name, book in books.items()},
            "claimed and loaded deliveries/s": {name: book.claimed for name, book in books.items()},
            "pages of 50 events/s": {name: book.listed for name, book in books.items()},
        }
        for what, contenders in works.items():
            figures = alternate(contenders, rounds=plan.rounds)
            yield Row(
                name=NAME,
                what=f"{what} with {sizes.large_ledger:,} events in the ledger",
                against=f"itself with {sizes.small_ledger:,}",
                ours=figures["large"],
                theirs=figures["small"],
                wanted=WANTED,
            )


def _make(ledgers: SqlitePlace, name: str, events: int) -> None:
    """Make a ledger without minding the disk, which takes half the time: nobody relies on it yet."""
    ledgers.make(name, 1, time.time())
    engine = create_engine(ledgers.url(name))
    with engine.connect() as db:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"):
            db.exec_driver_sql(f"PRAGMA {pragma}")
        for table in ("effects", "attempts", "deliveries", "events"):
            db.execute(text(f"DELETE FROM {table}"))
        fill(db, events, time.time())
        db.execute(text("ANALYZE"))
        db.commit()
    engine.dispose()


def _open(running: ExitStack, place: Path, ledgers: SqlitePlace, name: str, events: int) -> Book:
    say(f"  making a ledger of {events:,} events")
    _make(ledgers, name, events)
    home = place / name
    home.mkdir()
    service = running.enter_context(hookline(home, "web", environ={"DATABASE_URL": ledgers.url(name)}))
    own = running.enter_context(counts(service))
    ledger = ledgers.open(name)
    running.callback(ledger.close)
    return Book(service, own, ledger, Storm(requests.payment(), home))
