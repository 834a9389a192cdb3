"""The list of rejected requests, newest first. There are 10,000 at most, so any look at them is quick."""

import json
from dataclasses import replace

from sqlalchemy import Connection, RowMapping, select

from ledger.shown import View, rfc3339
from ledger.tables import requests
from ledger.views.filter import Filter, Position, below, time_conditions
from ledger.views.view import Page

NEWEST_FIRST = (requests.c.received_at, requests.c.id)


def page_of_requests(db: Connection, wanted: Filter) -> Page:
    """Give a page of rejected requests, newest first. `source` and the time count; `state` is the reason."""
    asked = replace(wanted, limit=None if wanted.limit is None else wanted.limit + 1)
    conditions = time_conditions(requests, asked)
    if wanted.source is not None:
        conditions.append(requests.c.source == wanted.source)
    if wanted.state is not None:
        conditions.append(requests.c.reason == wanted.state)
    if wanted.before is not None:
        conditions.append(below(NEWEST_FIRST, wanted.before))
    statement = select(requests).where(*conditions).order_by(*(column.desc() for column in NEWEST_FIRST))
    rows = db.execute(statement.limit(asked.limit)).mappings().all()
    shown = rows[: wanted.limit]
    after = (shown[-1]["received_at"], shown[-1]["id"]) if len(rows) > len(shown) else None
    return Page([_view(row) for row in shown], after)


def list_requests(db: Connection, wanted: Filter) -> list[View]:
    """List rejected requests, newest first."""
    return page_of_requests(db, wanted).views


def position_of_request(db: Connection, request_id: int) -> Position | None:
    """Say where in the list a request is; None: there is no such request."""
    row = db.execute(select(requests.c.received_at, requests.c.id).where(requests.c.id == request_id)).first()
    return None if row is None else (row.received_at, row.id)


def _view(row: RowMapping) -> View:
    return {**row, "received_at": rfc3339(row["received_at"]), "headers": json.loads(row["headers"])}
