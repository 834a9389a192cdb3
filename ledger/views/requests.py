"""The list of rejected requests, newest first. There are 10,000 at most, so any look at them is quick."""

import json

from ledger.question import Asked, Clause, Row, all_of, first, rows
from ledger.shown import View, rfc3339
from ledger.views.filter import Filter, Position, below, down, time_conditions
from ledger.views.view import Page, cut, one_more

NEWEST_FIRST = ("received_at", "id")

_SHOWN = "id, received_at, source, path, status, reason, headers, body_size, body_sha256"


def page_of_requests(db: Asked, wanted: Filter) -> Page:
    """Give a page of rejected requests, newest first. `source` and the time count; `state` is the reason."""
    clauses = time_conditions("requests", wanted)
    if wanted.source is not None:
        clauses.append(Clause("source = :source", {"source": wanted.source}))
    if wanted.state is not None:
        clauses.append(Clause("reason = :reason", {"reason": wanted.state}))
    if wanted.before is not None:
        clauses.append(below(NEWEST_FIRST, wanted.before))
    its, most = all_of(clauses), one_more(wanted.limit)
    text = f"SELECT {_SHOWN} FROM requests WHERE {its.text} {down(NEWEST_FIRST)} {most.text}"
    found = rows(db, text, {**its.values, **most.values})
    shown, after = cut(found, wanted.limit, by=NEWEST_FIRST)
    return Page([_view(row) for row in shown], after)


def list_requests(db: Asked, wanted: Filter) -> list[View]:
    """List rejected requests, newest first."""
    return page_of_requests(db, wanted).views


def position_of_request(db: Asked, request_id: int) -> Position | None:
    """Say where in the list a request is; None: there is no such request."""
    row = first(db, "SELECT received_at, id FROM requests WHERE id = :id", {"id": request_id})
    return None if row is None else (row["received_at"], row["id"])


def is_reason(db: Asked, name: str) -> bool:
    """Whether any request that is kept was refused for this."""
    return first(db, "SELECT id FROM requests WHERE reason = :reason LIMIT 1", {"reason": name}) is not None


def _view(row: Row) -> View:
    return {**row, "received_at": rfc3339(row["received_at"]), "headers": json.loads(row["headers"])}
