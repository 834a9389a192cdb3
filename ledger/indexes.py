"""The indexes of the ledger's tables of which each database is told in its own words.

Most hold only the rows that are still to do, however long the history grows. They stand apart from the tables, which
every process needs: to be told something in a database's own words, SQLAlchemy imports all of its drivers' dialects,
and these are said to both databases. The migrations make them; whoever makes or compares the
tables by other means adds them first.
"""

from functools import cache
from typing import Any

from sqlalchemy import Column, Index, TextClause

from ledger.tables import (
    DEAD,
    DUE,
    FLAWED,
    FOLDED,
    IN_A_THREAD,
    LINE,
    OPEN,
    QUEUED,
    RUNNING,
    SENDING,
    WAITING,
    cases,
    deliveries,
    effects,
    events,
)


def partial(name: str, *columns: Column[Any], where: TextClause) -> Index:
    """Index the rows of which `where` is true."""
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


@cache
def add_indexes() -> None:
    """Add them to the tables; once a process."""
    partial("ix_events_flawed", events.c.id, where=FLAWED)
    partial("ix_deliveries_waiting", deliveries.c.queue, deliveries.c.due_at, where=WAITING)
    partial("ix_deliveries_queued", deliveries.c.overdue_at, deliveries.c.queue, where=QUEUED)
    partial("ix_deliveries_running", deliveries.c.token, where=RUNNING)
    partial("ix_deliveries_dead", deliveries.c.handler, where=DEAD)
    partial("ix_effects_due", effects.c.due_at, where=DUE)
    partial("ix_effects_sending", effects.c.token, where=SENDING)
    partial("ix_effects_dead", effects.c.id, where=DEAD)
    partial("ix_effects_line", effects.c.channel, effects.c.due_at, where=LINE)
    partial("ix_effects_folded_into", effects.c.folded_into, where=FOLDED)
    partial("ix_effects_parent", effects.c.parent, where=IN_A_THREAD)
    partial("ix_cases_open", cases.c.kind, where=OPEN)
    _how_ids_begin()


def _how_ids_begin() -> None:
    """Index what PostgreSQL's others cannot find: they sort words by the rules of some language."""
    ops = {"external_id": "text_pattern_ops"}
    index = Index("ix_events_external_id_begins", events.c.external_id, postgresql_ops=ops, info={"only": "postgresql"})
    index.ddl_if(dialect="postgresql")
