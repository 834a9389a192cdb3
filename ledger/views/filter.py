"""Which rows a list shows, and from where on. Every list and the replays are asked for with these."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ledger.question import Asked, Clause, value
from ledger.schedule import DAY_S

MAX_PARAMETERS = 10_000
# SQLite takes 32,766 in one statement, PostgreSQL 65,535.

Position = tuple[float, int] | tuple[float, int, int]
# When the event came in (Unix seconds), its id, and of a delivery its own id. Lists go down from there.


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows to list. Unset fields do not filter; `type` may contain `*`; `external_id` is how it begins."""

    source: str | None = None
    type: str | None = None
    state: str | None = None
    handler: str | None = None
    account: str | None = None
    external_id: str | None = None
    since: float | None = None  # Unix seconds, inclusive; 0: all that there is
    until: float | None = None  # Unix seconds, exclusive
    before: Position | None = None  # exclusive
    limit: int | None = None


def within_a_day(wanted: Filter, *, now: float) -> Filter:
    """Bound a filter that has no `since` to the 24 h before its newest moment: `before`, `until` or now."""
    if wanted.since is not None:
        return wanted
    newest = min(each for each in (wanted.before and wanted.before[0], wanted.until, now) if each is not None)
    return replace(wanted, since=newest - DAY_S)


def event_conditions(wanted: Filter, *, one_of_many: bool = False) -> list[Clause]:
    """Say what an event must be like, but for its state, which each list sees to itself.

    Args:
        wanted: which.
        one_of_many: that an external id begins so is no way to find the few that match.

    """
    clauses = time_conditions("events", wanted)
    if wanted.source is not None:
        # Not the bare column: its index knows no times, so all of a source's events would be sorted to show the newest.
        clauses.append(Clause("coalesce(events.source, '') = :source", {"source": wanted.source}))
    if wanted.type is not None:
        clauses.append(_is_of_type(wanted.type))
    if wanted.account is not None:
        clauses.append(Clause("events.account = :account", {"account": wanted.account}))
    if wanted.external_id is not None:
        external_id = "coalesce(events.external_id, '')" if one_of_many else "events.external_id"
        clauses.append(begins(external_id, wanted.external_id))
    return clauses


def is_about_events(wanted: Filter) -> bool:
    """Whether it says anything of what the events must be like, or of when."""
    its = (wanted.source, wanted.type, wanted.account, wanted.external_id, wanted.since or None, wanted.until)
    return any(each is not None for each in its)


def has_handler(name: str) -> Clause:
    """Say that an event has a delivery for this handler."""
    its = "deliveries.event_id = events.id AND deliveries.handler = :handler"
    return Clause(f"EXISTS (SELECT 1 FROM deliveries WHERE {its})", {"handler": name})


def is_known(db: Asked, handler: str) -> bool:
    """Whether there is any delivery for this handler: else a list would look through all of history in vain."""
    return bool(value(db, "SELECT EXISTS (SELECT 1 FROM deliveries WHERE handler = :handler)", {"handler": handler}))


def time_conditions(table: str, wanted: Filter) -> list[Clause]:
    """Say when it must have come in."""
    clauses: list[Clause] = []
    if wanted.since:
        clauses.append(Clause(f"{table}.received_at >= :since", {"since": wanted.since}))
    if wanted.until is not None:
        clauses.append(Clause(f"{table}.received_at < :until", {"until": wanted.until}))
    return clauses


def below(columns: Sequence[str], position: Sequence[float]) -> Clause:
    """Say that a row comes after this position in a list that goes down by these columns."""
    values = {f"below_{name}": at for name, at in zip("abc", position, strict=False)}
    # The first condition is for the index, the second one for rows of the same moment.
    marks = ", ".join(f":{name}" for name in values)
    return Clause(f"{columns[0]} <= :below_a AND ({', '.join(columns)}) < ({marks})", values)


def down(columns: Sequence[str]) -> str:
    """Say that a list goes down by these columns."""
    return "ORDER BY " + ", ".join(f"{column} DESC" for column in columns)


def begins(column: str, prefix: str) -> Clause:
    """Say that a text begins with this: what an index finds, on PostgreSQL one with text_pattern_ops."""
    return Clause(f"{column} LIKE :prefix {_ESCAPED}", {"prefix": _escaped(prefix) + "%"})


def _is_of_type(pattern: str) -> Clause:
    if "*" not in pattern:
        return Clause("events.type = :type", {"type": pattern})
    return Clause(f"events.type LIKE :type {_ESCAPED}", {"type": _escaped(pattern).replace("*", "%")})


_ESCAPED = "ESCAPE '\\'"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


Name = TypeVar("Name", int, str)


def in_parts(ids: Collection[Name]) -> Iterator[list[Name]]:
    """Split ids or names, however many, into lists that a statement can take as parameters."""
    each_once = sorted(set(ids))
    for start in range(0, len(each_once), MAX_PARAMETERS):
        yield each_once[start : start + MAX_PARAMETERS]
