"""Bring the ledger's tables up to this program's, and see whether they are."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from ledger.errors import LedgerNotMigrated, LedgerUnavailable
from ledger.store import Ledger

if TYPE_CHECKING:
    from alembic.config import Config

# Alembic is imported where something is migrated: every process looks whether its tables are there, at each start, and
# most of them change nothing.

MIGRATIONS = Path(__file__).parent / "migrations"

TURN = 4_841_220_305_530_701_157
# The number of the lock that migrations queue at: any number that no other program would think of.


class Migrations(Enum):
    """How a ledger's tables compare with those that this program knows."""

    NONE = "there are no tables"
    BEHIND = "the tables are those of an older version"
    CURRENT = "the tables are up to date"
    AHEAD = "a newer version has migrated the tables"


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing, all or none. A ledger that is ahead of this program is left as it is.

    Of several programs that do so at once, one does it. A table that somebody else does not let go of is not waited
    for longer than DATABASE_LOCK_TIMEOUT_S, because all who want to read it would queue up behind us. The engine's
    connections are closed at the end.

    Raises:
        LedgerUnavailable: the database does not answer, cannot be written, or is in use. Nothing was changed.

    """
    ledger = Ledger(engine)
    try:
        with ledger.write() as connection:
            _take_turn(connection)
            if _compare(connection) in (Migrations.NONE, Migrations.BEHIND):
                _run_missing(connection)
    except LedgerUnavailable as error:
        raise LedgerUnavailable(f"nothing was migrated: {error}") from error
    except DBAPIError as error:
        raise LedgerUnavailable(f"nothing was migrated: {error.orig}") from error
    finally:
        ledger.close()


def check_migrated(engine: Engine) -> None:
    """Make sure that there are tables to work with. A ledger that is ahead of this program is fine.

    Raises:
        LedgerNotMigrated: `hookline migrate` was not run, or the database does not answer.

    """
    try:
        ready = migrations(engine) in (Migrations.CURRENT, Migrations.AHEAD)
    except DBAPIError as error:
        raise LedgerNotMigrated(f"the ledger does not answer: {error.orig}") from error
    if not ready:
        raise LedgerNotMigrated("the ledger's tables are missing or old: run `hookline migrate` first")


def _take_turn(connection: Connection) -> None:
    """Wait for other migrations and be in no hurry after that, but when others wait. SQLite's writers queue anyway."""
    if connection.dialect.name != "postgresql":
        return
    driver_connection: Any = connection.connection.driver_connection
    driver_connection.patience_s = None
    connection.detach()  # it ends with this, and nobody else gets it without its patience
    for statement in (
        "SET LOCAL statement_timeout = 0",
        "SET LOCAL lock_timeout = 0",
        f"SELECT pg_advisory_xact_lock({TURN})",
        "SET LOCAL lock_timeout TO DEFAULT",
    ):
        connection.exec_driver_sql(statement)


def migrations(engine: Engine) -> Migrations:
    """Compare the ledger's tables with this program's. Raises DBAPIError when the database does not answer."""
    with engine.connect() as connection:
        return _compare(connection)


def _compare(connection: Connection) -> Migrations:
    found, known = _revisions(connection), known_revisions()
    if found - known:  # during a deploy, old and new programs run side by side
        return Migrations.AHEAD
    if not found:
        return Migrations.NONE
    return Migrations.CURRENT if max(known) in found else Migrations.BEHIND


def _run_missing(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415

    config = make_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def known_revisions() -> set[str]:
    """Name this program's migrations. A file begins with its revision; the last one in their order is the newest."""
    return {path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("*.py")}


def _revisions(connection: Connection) -> set[str]:
    if not inspect(connection).has_table("alembic_version"):
        return set()
    return set(connection.execute(select(column("version_num")).select_from(table("alembic_version"))).scalars())


def make_config() -> "Config":
    """Say where the migrations are."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
