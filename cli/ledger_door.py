"""The commands' way into the ledger: what is wrong with it comes out as one sentence.

SQLAlchemy, the settings and Alembic are most of the time that a command needs to start, so they are imported by the
commands that need them, when they need them. Alembic is asked only when something went wrong: a ledger that answers
the question has the tables for it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import NotDone
from ledger.errors import LedgerNotMigrated, LedgerUnavailable, SeveralEvents, Unknown

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from ledger.store import Ledger

# ruff: noqa: PLC0415  # see the top of this file


@contextmanager
def reading(environ: Mapping[str, str]) -> Iterator["Connection"]:
    """Open the ledger that the service uses, to look at it.

    Raises:
        NotDone: there is no ledger, or it does not answer.

    """
    with open_ledger(environ) as ledger, ledger.read() as db:
        yield db


@contextmanager
def writing(environ: Mapping[str, str]) -> Iterator["Connection"]:
    """Open the ledger that the service uses, to change it: all of the block's changes, or none if it raises.

    Raises:
        NotDone: there is no ledger, or it cannot be written.

    """
    with open_ledger(environ) as ledger, ledger.write() as db:
        yield db


@contextmanager
def open_ledger(environ: Mapping[str, str]) -> Iterator["Ledger"]:
    """Open the ledger that the service uses.

    Raises:
        NotDone: there is no ledger, or it does not answer.

    """
    from ledger.store import Ledger

    if environ.get("HOOKLINE_URL", "").strip():
        raise NotDone("this command works on the ledger itself, not over HTTP: unset HOOKLINE_URL, and no --url")
    engine = _engine(environ)
    _require_file(engine)
    with _explained(engine):
        ledger = Ledger(engine)
        try:
            yield ledger
        finally:
            ledger.close()


def migrate(environ: Mapping[str, str]) -> str:
    """Create the ledger's tables, or bring them up to date. Give the ledger's address.

    Raises:
        NotDone: it cannot be written.

    """
    from ledger.migrate import upgrade

    engine = _engine(environ, make_directory=True)
    with _explained(engine):
        try:
            upgrade(engine)
        except LedgerUnavailable as error:  # that tables are missing or old is no explanation here
            reason = " ".join(str(error).split())
            raise NotDone(f"the ledger {_address(engine)} cannot be migrated: {reason}") from error
    return _address(engine)


def _engine(environ: Mapping[str, str], *, make_directory: bool = False) -> "Engine":
    from config.database import make_engine
    from config.settings import load_settings

    settings = load_settings(environ)
    if make_directory and settings.database_url is None:
        try:
            settings.hookline_data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotDone(
                f"the data directory {settings.hookline_data_dir} cannot be made ({error.strerror}): "
                "set HOOKLINE_DATA_DIR to another one"
            ) from None
    return make_engine(settings)


def _require_file(engine: "Engine") -> None:
    """Leave no empty ledger behind where somebody only looked, in the wrong place perhaps."""
    path = _path(engine)
    if path is None:
        return
    try:
        found = path.exists()
    except OSError as error:
        raise NotDone(f"the ledger {path} cannot be opened: {error.strerror}") from None
    if not found:
        raise NotDone(
            f"there is no ledger at {path}: `hookline dev` and `hookline migrate` make one; "
            "HOOKLINE_DATA_DIR or DATABASE_URL say where"
        )


def _path(engine: "Engine") -> Path | None:
    database = engine.url.database if engine.dialect.name == "sqlite" else None
    return None if database is None or database.startswith("file:") else Path(database)


def _address(engine: "Engine") -> str:
    """Name the ledger, without the password."""
    return str(_path(engine) or engine.url.render_as_string(hide_password=True))


@contextmanager
def _explained(engine: "Engine") -> Iterator[None]:
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except (SeveralEvents, Unknown) as error:
        raise NotDone(str(error)) from None
    except LedgerUnavailable as error:
        raise _what_is_wrong(engine, str(error)) from error
    except DBAPIError as error:
        raise _what_is_wrong(engine, str(error.orig)) from error
    except OSError as error:  # the file that writers queue at, beside the ledger
        raise NotDone(f"{error.filename} cannot be opened: {error.strerror}") from error


def _what_is_wrong(engine: "Engine", reason: str) -> NotDone:
    from ledger.migrate import check_migrated

    try:
        check_migrated(engine)
    except LedgerNotMigrated as error:
        if error.__cause__ is None:  # it answers: it has no tables
            return NotDone(f"{error} (this is {_address(engine)})")
    return NotDone(f"the ledger {_address(engine)} cannot be used: {' '.join(reason.split())}")
