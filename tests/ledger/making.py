"""Makes events and looks at what became of them, for the tests of the ledger and of the workers."""

import itertools
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, select

from config.database import make_engine
from config.settings import Settings, load_settings
from ledger.append import Room, append
from ledger.effects import plan
from ledger.event import NewDelivery, NewEvent
from ledger.migrate import upgrade
from ledger.store import Ledger, Transaction
from ledger.tables import attempts, deliveries, effects

_numbers = itertools.count(1)


def settings_for(url: URL, **variables: str) -> Settings:
    """Give the settings of a process whose ledger is there."""
    return load_settings({"DATABASE_URL": url.render_as_string(hide_password=False), **variables})


def migrate(url: URL) -> None:
    """Make the tables."""
    engine = make_engine(settings_for(url))
    upgrade(engine)
    engine.dispose()


def lay_out(path: Path) -> None:
    """Put a migrated, empty ledger there, in a SQLite file: a copy, which takes a hundredth of what migrating takes."""
    path.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory(prefix="hookline-ledger-") as place:
        path = Path(place) / "ledger.db"
        migrate(URL.create("sqlite", database=str(path)))
        return path.read_bytes()


def new_event(*, key: str | None = None, handlers: tuple[str, ...] = ("topic.run",), **changes: Any) -> NewEvent:
    """Make an event that is like no other, unless `key` says which."""
    key = key or f"evt_{next(_numbers):06}"  # of one batch, ids are given in the order of keys
    body = changes.pop("body", b'{"id": 1}')
    values: dict[str, Any] = {
        "source": "stripe",
        "dedupe_key": key,
        "external_id": key,
        "type": "charge.refunded",
        "account": None,
        "livemode": True,
        "received_at": time.time(),
        "content_type": "application/json",
        "headers": {"user-agent": "test"},
        "body": body,
        "body_sha256": "0" * 64,
        "secret_position": 0,
        "flaw": None,
        "deliveries": tuple(NewDelivery(handler=handler, queue="payments") for handler in handlers),
    }
    return NewEvent(**(values | changes))


def store(ledger: Ledger, *events: NewEvent) -> list[int]:
    """Put events into the ledger; give the ids of their deliveries."""
    with ledger.write() as db:
        appended = append(db, events, Room())
    return sorted(each for ids in appended.doorbells.values() for each in ids)


def delivery(ledger: Ledger, delivery_id: int) -> Any:
    """Read one delivery's row."""
    with ledger.read() as db:
        return db.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one()


def states(ledger: Ledger) -> list[str]:
    """Read the states of all deliveries, in order."""
    with ledger.read() as db:
        return list(db.execute(select(deliveries.c.state).order_by(deliveries.c.id)).scalars())


def outcomes(ledger: Ledger) -> list[str]:
    """Read the outcomes of all attempts, in order."""
    with ledger.read() as db:
        return list(db.execute(select(attempts.c.outcome).order_by(attempts.c.id)).scalars())


def plan_effect(db: Connection, **its: Any) -> int | None:
    """Plan an effect, and say at once under which id; None if there is one already."""
    noted: dict[str, int | None] = {}
    plan(Transaction(db), **its, note=noted.__setitem__)
    return noted[its["key"]]


def planned(ledger: Ledger) -> list[Any]:
    """Read all effects."""
    with ledger.read() as db:
        return list(db.execute(select(effects).order_by(effects.c.id)).all())
