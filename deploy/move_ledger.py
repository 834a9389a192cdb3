"""Move a SQLite ledger into an empty PostgreSQL one, while nothing of Hookline runs.

    DATABASE_URL=postgresql://… deploy/run hookline migrate
    DATABASE_URL=postgresql://… deploy/run python deploy/move_ledger.py /var/lib/hookline/ledger.db

All of it or nothing: it is one transaction. The SQLite ledger is only read.
"""

# ruff: noqa: INP001, T201  # a script, and it prints

import os
import sys
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, Table, func, insert, inspect, select, text

import handlers.payments.tables  # noqa: F401  # the book's tables
from config.database import make_engine
from config.errors import ConfigError
from config.settings import load_settings
from ledger.errors import LedgerUnavailable
from ledger.migrate import check_migrated
from ledger.store import Ledger
from ledger.tables import metadata

BATCH_ROWS = 500
OF_ALEMBIC = "alembic_version"


class NotMoved(Exception):
    """What there is cannot be moved. Nothing was changed."""


def move(source: Connection, target: Connection) -> Iterator[tuple[str, int]]:
    """Copy all tables. Give each one's name and how many rows it has."""
    unknown = set(inspect(source).get_table_names()) - set(metadata.tables) - {OF_ALEMBIC}
    if unknown:
        raise NotMoved(f"this version does not know the tables {', '.join(sorted(unknown))}")
    for table in metadata.sorted_tables:
        if _count(target, table):
            raise NotMoved(f"the PostgreSQL ledger is not empty: it has rows in {table.name}")
        for rows in source.execute(select(table)).mappings().partitions(BATCH_ROWS):
            target.execute(insert(table), [dict(row) for row in rows])
        _count_on(target, table)
        if _count(target, table) != _count(source, table):
            raise NotMoved(f"{table.name} did not arrive as a whole")
        yield table.name, _count(target, table)


def _count(db: Connection, table: Table) -> int:
    return db.execute(select(func.count()).select_from(table)).scalar_one()


def _count_on(target: Connection, table: Table) -> None:
    """Let the next id be one that was never given."""
    if "id" in table.columns and target.scalar(select(func.pg_get_serial_sequence(table.name, "id"))):
        highest = target.scalar(select(func.max(table.columns["id"])))
        if highest is not None:
            sequence = text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :highest)")
            target.execute(sequence, {"name": table.name, "highest": highest})


def _require_ledgers(old: Engine, new: Engine) -> None:
    if new.dialect.name != "postgresql":
        raise NotMoved("DATABASE_URL must name the PostgreSQL ledger")
    for engine in (old, new):
        check_migrated(engine)


def main() -> None:
    """Exit 0 when it was moved, 1 when not, 2 for wrong usage."""
    if len(sys.argv) != 2:  # noqa: PLR2004  # itself and a path
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        old = make_engine(load_settings({"DATABASE_URL": f"sqlite:///{sys.argv[1]}"}))
        new = make_engine(load_settings(os.environ))
        _require_ledgers(old, new)
        # A write transaction on the old one, too: whoever was left running cannot add to it meanwhile.
        with Ledger(old).write() as source, Ledger(new).write() as target:
            for name, rows in move(source, target):
                print(f"{name}: {rows:,} rows")
    except (NotMoved, ConfigError, LedgerUnavailable) as error:
        sys.exit(f"not moved: {error}")


if __name__ == "__main__":
    main()
