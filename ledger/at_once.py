"""A batch of new events by one statement, as PostgreSQL gets it: each round trip takes longer than an event.

Alone in its transaction such a statement needs neither BEGIN nor COMMIT: from a connection that commits by itself
(`ledger.kept`) it is one round trip in all.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect

from ledger.prepared import say
from ledger.rows import arrays_of
from ledger.tables import deliveries, events

OF_AN_EVENT = ("source", "dedupe_key")


def insert_at_once(
    db: Connection,
    event_columns: tuple[str, ...],
    new: Sequence[tuple[Any, ...]],
    delivery_columns: tuple[str, ...],
    wanted: Sequence[tuple[Any, ...]],
) -> list[tuple[Any, ...]]:
    """Insert events that are not known yet, and their deliveries.

    Args:
        db: a connection to PostgreSQL.
        event_columns: which columns a row of `new` holds; OF_AN_EVENT are among them.
        new: rows of events, in the order in which to insert them.
        delivery_columns: which columns a row of `wanted` holds after OF_AN_EVENT.
        wanted: rows of deliveries. Those of an event that was known are left out.

    Returns:
        The id, the source and the key of each event that was inserted, and the id, the queue and the state of a
        delivery of its: once for each, and with None for an event that has none.

    """
    arrays = [*_columns(new, len(event_columns)), *_columns(wanted, len(OF_AN_EVENT) + len(delivery_columns))]
    found: list[tuple[Any, ...]] = say(db, _text(event_columns, delivery_columns, db.dialect), arrays).fetchall()
    return found


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]


@cache
def _text(event_columns: tuple[str, ...], delivery_columns: tuple[str, ...], dialect: Dialect) -> str:
    of_events = arrays_of(events, event_columns, dialect)
    of_deliveries = f"{arrays_of(events, OF_AN_EVENT, dialect)}, {arrays_of(deliveries, delivery_columns, dialect)}"
    return f"""
        WITH new AS (
            INSERT INTO events ({_names(event_columns)})
            SELECT * FROM unnest({of_events})
            ON CONFLICT DO NOTHING
            RETURNING id, source, dedupe_key
        ), wanted AS (
            INSERT INTO deliveries (event_id, {_names(delivery_columns)})
            SELECT id, {_names(delivery_columns)}
            FROM unnest({of_deliveries}) AS each ({_names(OF_AN_EVENT)}, {_names(delivery_columns)})
            JOIN new USING ({_names(OF_AN_EVENT)})
            RETURNING id, event_id, queue, state
        )
        SELECT new.id, source, dedupe_key, wanted.id, queue, state
        FROM new LEFT JOIN wanted ON event_id = new.id
        ORDER BY new.id, wanted.id
    """


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)
