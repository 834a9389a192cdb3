"""The ledger's tables, and how they come to be."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, inspect, text

import handlers.payments.tables  # noqa: F401  # the book's tables are part of the metadata
from config.database import make_engine
from ledger.errors import LedgerNotMigrated
from ledger.migrate import check_migrated, upgrade
from ledger.tables import metadata


def test_the_migrations_make_the_tables_that_the_code_describes(ledger_url: URL) -> None:
    engine = make_engine(ledger_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_migrations_make_every_partial_index(ledger_url: URL) -> None:
    engine = make_engine(ledger_url)
    made = {
        (index["name"], str(index["dialect_options"].get("sqlite_where")))
        for table in metadata.tables
        for index in inspect(engine).get_indexes(table)
    }
    described = {
        (index.name, str(index.dialect_options["sqlite"]["where"]))
        for table in metadata.tables.values()
        for index in table.indexes
    }
    assert made == described
    engine.dispose()


def test_migrating_twice_changes_nothing(ledger_url: URL) -> None:
    engine = make_engine(ledger_url)
    upgrade(engine)
    check_migrated(engine)
    engine.dispose()


def test_a_ledger_without_tables_is_refused_with_the_command_that_makes_them(tmp_path: Path) -> None:
    engine = make_engine(URL.create("sqlite", database=str(tmp_path / "empty.db")))
    with pytest.raises(LedgerNotMigrated, match="hookline migrate"):
        check_migrated(engine)
    engine.dispose()


def test_a_ledger_that_is_ahead_of_this_program_is_accepted_and_left_as_it_is(ledger_url: URL) -> None:
    engine = make_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from-the-future'"))
    check_migrated(engine)
    upgrade(engine)
    engine.dispose()


def test_commits_wait_for_the_disk_and_readers_never_wait_for_writers(ledger_url: URL) -> None:
    durable, fast = make_engine(ledger_url), make_engine(ledger_url, fsync=False)
    with durable.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    with fast.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 1
    durable.dispose()
    fast.dispose()
