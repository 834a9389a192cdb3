"""Bring the ledger's tables up to this program's, and see whether they are."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ledger.errors import LedgerNotMigrated, LedgerUnavailable


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing.

    Raises:
        LedgerUnavailable: the database does not answer, or cannot be written.

    """
    config = _config()
    try:
        with engine.connect().execution_options(write=True) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise LedgerUnavailable(str(error.orig)) from error


def check_migrated(engine: Engine) -> None:
    """Make sure that there are tables to work with. A database that is ahead of this program is fine.

    Raises:
        LedgerNotMigrated: `hookline migrate` was not run.

    """
    try:
        with engine.connect() as connection:
            current = set(MigrationContext.configure(connection).get_current_heads())
    except DBAPIError as error:
        raise LedgerNotMigrated(f"the ledger does not answer: {error.orig}") from error
    script = ScriptDirectory.from_config(_config())
    known = {revision.revision for revision in script.walk_revisions()}
    ahead = bool(current - known)
    if not ahead and script.get_current_head() not in current:
        raise LedgerNotMigrated("the ledger's tables are missing or old: run `hookline migrate` first")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
