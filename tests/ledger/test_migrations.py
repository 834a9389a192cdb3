"""The ledger's tables, and how they come to be."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Engine, inspect, text

import handlers.payments.indexes  # the book's tables are part of the metadata
import ledger.indexes
from config.database import make_engine
from config.settings import CHECKOUT
from ledger.errors import LedgerNotMigrated, LedgerUnavailable
from ledger.migrate import check_migrated, known_revisions, make_config, upgrade
from ledger.tables import metadata
from tests.engines import ON_POSTGRESQL, ON_SQLITE
from tests.ledger.making import migrate, settings_for

SEVERAL = 3

ledger.indexes.add_indexes()
handlers.payments.indexes.add_indexes()


@pytest.fixture
def engine(ledger_url: URL) -> Iterator[Engine]:
    """A migrated ledger."""
    engine = make_engine(settings_for(ledger_url))
    yield engine
    engine.dispose()


@pytest.fixture
def new_engine(new_url: URL) -> Iterator[Engine]:
    """A database without tables."""
    engine = make_engine(settings_for(new_url, DATABASE_LOCK_TIMEOUT_S="0.2"))
    yield engine
    engine.dispose()


def test_each_migration_is_in_a_file_that_begins_with_its_revision_and_the_last_one_is_the_newest() -> None:
    script = ScriptDirectory.from_config(make_config())
    assert known_revisions() == {each.revision for each in script.walk_revisions()}
    assert max(known_revisions()) == script.get_current_head()


def _is_of(engine: Engine) -> Callable[..., bool]:
    """Leave out what only the other database has."""
    return lambda item, *_: getattr(item, "info", {}).get("only", engine.dialect.name) == engine.dialect.name


def test_the_migrations_make_the_tables_that_the_code_describes(engine: Engine) -> None:
    with engine.connect() as connection:
        opts = {"compare_type": True, "compare_server_default": True, "include_object": _is_of(engine)}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, metadata) == []


def test_the_migrations_make_every_partial_index(engine: Engine) -> None:
    made = {
        (index["name"], f"{engine.dialect.name}_where" in index["dialect_options"])
        for table in metadata.tables
        for index in inspect(engine).get_indexes(table)
        if "duplicates_constraint" not in index
    }
    described = {
        (index.name, index.dialect_options[engine.dialect.name]["where"] is not None)
        for table in metadata.tables.values()
        for index in table.indexes
        if index.info.get("only", engine.dialect.name) == engine.dialect.name
    }
    assert made == described


def test_migrating_twice_changes_nothing(engine: Engine) -> None:
    upgrade(engine)
    check_migrated(engine)


def test_a_ledger_without_tables_is_refused_with_the_command_that_makes_them(new_engine: Engine) -> None:
    with pytest.raises(LedgerNotMigrated, match="hookline migrate"):
        check_migrated(new_engine)


def test_a_ledger_that_is_ahead_of_this_program_is_accepted_and_left_as_it_is(new_engine: Engine) -> None:
    upgrade(new_engine)
    with new_engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from-the-future'"))
    check_migrated(new_engine)
    upgrade(new_engine)


def test_of_several_programs_that_migrate_at_once_one_does_it_and_all_end_well(new_url: URL) -> None:
    """Each release of several machines runs `hookline migrate`, and they are released at the same moment."""
    environ = {"PYTHONPATH": str(CHECKOUT), "DATABASE_URL": new_url.render_as_string(hide_password=False)}
    programs = [
        subprocess.Popen([sys.executable, "-m", "cli", "migrate"], env=environ, stderr=subprocess.PIPE, text=True)
        for _ in range(SEVERAL)
    ]
    ended = [(program.communicate()[1], program.returncode) for program in programs]
    assert ended == [("", 0)] * SEVERAL
    migrate(new_url)


def test_an_index_that_was_built_before_the_deploy_is_taken_as_it_is(new_engine: Engine) -> None:
    _upgrade_to(new_engine, "0006")
    with new_engine.begin() as connection:
        for statement in (
            "CREATE INDEX ix_events_newest ON events (received_at, id, source, type, account)",
            "DROP INDEX ix_events_received_at",
        ):
            connection.execute(text(statement))
    upgrade(new_engine)
    check_migrated(new_engine)


@ON_POSTGRESQL
def test_a_migration_that_somebody_is_in_the_way_of_fails_soon_and_changes_nothing(
    new_engine: Engine, new_url: URL
) -> None:
    """It would wait for a long transaction, and all traffic behind it."""
    _upgrade_to(new_engine, "0001")
    with psycopg.connect(new_url.set(drivername="postgresql").render_as_string(hide_password=False)) as another:
        another.execute("SELECT count(*) FROM events")
        with pytest.raises(LedgerUnavailable, match="lock timeout"):
            upgrade(new_engine)
    with pytest.raises(LedgerNotMigrated):
        check_migrated(new_engine)
    upgrade(new_engine)
    check_migrated(new_engine)


def _upgrade_to(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        config = make_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@ON_SQLITE
def test_commits_wait_for_the_disk_and_readers_never_wait_for_writers(ledger_url: URL) -> None:
    durable, fast = make_engine(settings_for(ledger_url)), make_engine(settings_for(ledger_url), fsync=False)
    with durable.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    with fast.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 1
    durable.dispose()
    fast.dispose()
