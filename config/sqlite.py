"""SQLite as Hookline sets it up, for SQLAlchemy (`config.database`) and for who asks it without (`ledger.looking`)."""

import sqlite3
from pathlib import Path
from urllib.parse import unquote

from config.settings import Settings

BUSY_TIMEOUT_S = 2
# How long a write may wait for another program's lock on the file (a backup, a shell) before it fails.

MAX_LOG_PAGES = 8_000
# When SQLite's log has 32 MB, whoever commits copies it into the ledger. Before that, `ledger.checkpoints` does, where
# nobody waits for it.

PRAGMAS = (
    "journal_mode=WAL",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "case_sensitive_like=ON",
    f"wal_autocheckpoint={MAX_LOG_PAGES}",
)
# LIKE tells small letters from capitals in PostgreSQL; SQLite has to be asked to.

URL_OF_A_FILE = "sqlite:///"


def file_of(settings: Settings) -> Path | None:
    """Say which file holds the ledger; None: it is in no file, or its URL says more than which."""
    if settings.database_url is None:
        return settings.ledger_path
    path = settings.database_url.removeprefix(URL_OF_A_FILE)
    plain = path not in ("", settings.database_url) and "?" not in path and not path.startswith("file:")
    return Path(unquote(path)) if plain else None


def set_up(connection: sqlite3.Connection, *, synchronous: str) -> None:
    """Set a new connection up."""
    for pragma in (*PRAGMAS, f"synchronous={synchronous}"):
        connection.execute(f"PRAGMA {pragma}")


def connect(path: Path) -> sqlite3.Connection:
    """Connect to a ledger, to look at it. Transactions begin where they are begun. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    set_up(connection, synchronous="FULL")
    return connection
