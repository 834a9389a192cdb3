"""A desk to try handlers at: a ledger in memory, and every handler that wants an event run on it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import count
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, insert, select

from cli.sample import SAMPLED_AT, load_sample
from handlers.context import Channels, Context
from handlers.router import Handler, Router
from ledger.effects import read_message
from ledger.event import JSON, Event
from ledger.store import Transaction
from ledger.tables import deliveries, effects, events

CHANNELS = Channels(finance="#finance", engineering="#engineering")


@dataclass(frozen=True)
class Post:
    """What would be sent to Slack."""

    key: str
    channel: str
    text: str
    blocks: list[dict[str, Any]]

    @property
    def header(self) -> str:
        header: str = self.blocks[0]["text"]["text"]
        return header


class Desk:
    """Takes events one after the other, as often as you like."""

    def __init__(self, db: Connection, router: Router, *, allowed_users: frozenset[str] = frozenset()) -> None:
        self.db = db
        self._router = router
        self._allowed_users = allowed_users
        self._numbers = count(1 + (db.execute(select(func.max(events.c.id))).scalar() or 0))

    def deliver(self, payload: Mapping[str, Any], *, source: str = "stripe", type_: str | None = None) -> None:
        """Store a provider's event once more, and run every handler that wants it."""
        event = self.store(payload, source=source, type_=type_)
        for each in self._router.matching(event.source, event.type):
            self.run(each, event)

    def run(self, handler: Handler, event: Event) -> None:
        """Run one handler on an event that is stored."""
        ctx = Context(
            db=Transaction(self.db),
            channels=CHANNELS,
            delivery_id=event.id,
            now=SAMPLED_AT,
            allowed_users=self._allowed_users,
        )
        handler.run(event, ctx)

    def store(self, payload: Mapping[str, Any], *, source: str = "stripe", type_: str | None = None) -> Event:
        """Store an event and a delivery of it, both under one number."""
        number = next(self._numbers)
        event = Event(
            id=number,
            source=source,
            external_id=payload.get("id", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
            type=type_ or payload["type"],
            account=payload.get("account"),
            livemode=payload.get("livemode"),
            received_at=SAMPLED_AT,
            content_type=JSON,
            body=json.dumps(payload).encode(),
        )
        self._insert(event)
        return event

    def posts(self) -> list[Post]:
        """List what was planned for channels, oldest first, as it reads now."""
        return [post for _, post in self._planned(effects.c.parent.is_(None))]

    def lines(self) -> dict[str, Post]:
        """List what was planned for threads, by key."""
        return {post.key: post for _, post in self._planned(effects.c.parent.is_not(None))}

    def _planned(self, *conditions: Any) -> list[tuple[str | None, Post]]:
        rows = self.db.execute(select(effects).where(*conditions).order_by(effects.c.id)).mappings()
        told = [(row, read_message(row["message"])) for row in rows]
        return [
            (row["parent"], Post(row["key"], row["channel"], message["text"], message["blocks"]))
            for row, message in told
        ]

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """List a table, in the order of its key."""
        found = self.db.execute(select(table).order_by(*table.primary_key.columns)).mappings()
        return [dict(row) for row in found]

    def _insert(self, event: Event) -> None:
        row = {"dedupe_key": str(event.id), "headers": "{}", "body_sha256": "", "secret_position": 0}
        known = {name: getattr(event, name) for name in Event.__dataclass_fields__ if name != "readings"}
        self.db.execute(insert(events).values(**known, **row))
        delivery = {"id": event.id, "event_id": event.id, "handler": "all", "queue": "default", "state": "running"}
        self.db.execute(insert(deliveries).values(**delivery, due_at=SAMPLED_AT, trigger="initial"))


@contextmanager
def open_desk(engine: Engine, router: Router, *, allowed_users: frozenset[str] = frozenset()) -> Iterator[Desk]:
    """Give a desk on an empty ledger; what is done at it is undone afterwards."""
    with engine.connect() as db, db.begin() as transaction:
        yield Desk(db, router, allowed_users=allowed_users)
        transaction.rollback()


def sample(type_: str, source: str = "stripe", **changes: Any) -> dict[str, Any]:  # JSON is any of six types
    """Give a sample's payload. A change's name is a path with `__` for dots: `data__object__amount=500`."""
    payload: dict[str, Any] = deepcopy(dict(load_sample(source, type_).payload))
    for path, value in changes.items():
        *parents, last = path.split("__")
        place: Any = payload
        for key in parents:
            place = place[int(key) if isinstance(place, list) else key]
        place[last] = value
    return payload
