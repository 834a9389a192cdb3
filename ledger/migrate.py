"""Bring the ledger's tables up to this program's, and see whether they are."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ledger.errors import LedgerNotMigrated, LedgerUnavailable


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing. A ledger that is ahead of this program is left as it is.

    Raises:
        LedgerUnavailable: the database does not answer, or cannot be written.

    """
    config = _config()
    try:
        with engine.connect() as connection:
            if _is_ahead(connection, config):
                return
        with engine.connect().execution_options(write=True) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise LedgerUnavailable(str(error.orig)) from error


def check_migrated(engine: Engine) -> None:
    """Make sure that there are tables to work with. A ledger that is ahead of this program is fine.

    Raises:
        LedgerNotMigrated: `hookline migrate` was not run, or the database does not answer.

    """
    config = _config()
    try:
        with engine.connect() as connection:
            ready = _is_ahead(connection, config) or _head(config) in _revisions(connection)
    except DBAPIError as error:
        raise LedgerNotMigrated(f"the ledger does not answer: {error.orig}") from error
    if not ready:
        raise LedgerNotMigrated("the ledger's tables are missing or old: run `hookline migrate` first")


def _revisions(connection: Connection) -> set[str]:
    return set(MigrationContext.configure(connection).get_current_heads())


def _is_ahead(connection: Connection, config: Config) -> bool:
    """Say whether a newer program has migrated this ledger: during a deploy, old and new run side by side."""
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    return bool(_revisions(connection) - known)


def _head(config: Config) -> str | None:
    return ScriptDirectory.from_config(config).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
