"""Open the ledger for a command, and say plainly when there is none."""

from collections.abc import Mapping

from sqlalchemy import Engine

from config.database import database_url, make_engine
from config.settings import load_settings
from ledger.migrate import check_migrated
from ledger.store import Ledger


def open_engine(environ: Mapping[str, str]) -> Engine:
    """Connect to the database of the ledger, which may have no tables yet."""
    settings = load_settings(environ)
    if settings.database_url is None:
        settings.hookline_data_dir.mkdir(parents=True, exist_ok=True)
    return make_engine(database_url(settings))


def open_ledger(environ: Mapping[str, str]) -> Ledger:
    """Open the ledger that the service uses.

    Raises:
        ConfigError: the environment does not lead to a ledger with tables.

    """
    engine = open_engine(environ)
    check_migrated(engine)
    return Ledger(engine)
