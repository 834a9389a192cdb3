"""The commands' way into the ledger: what is wrong with it comes out as one sentence.

SQLAlchemy and Alembic take longer to import than a look at the ledger may take as a whole. So SQLAlchemy is imported by
who changes something, and Alembic is asked only when something went wrong: a ledger that answers the question has the
tables for it.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cli.errors import NotDone
from ledger.errors import LedgerNotMigrated, LedgerUnavailable, SeveralEvents, Unknown

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from config.settings import Settings
    from ledger.question import Asked
    from ledger.store import Ledger

# ruff: noqa: PLC0415  # see the top of this file


class Look(Protocol):
    """A ledger that can be looked at."""

    def read(self) -> AbstractContextManager["Asked"]:
        """Open a transaction that sees one state of the ledger."""


@contextmanager
def looking(environ: Mapping[str, str]) -> Iterator["Asked"]:
    """Open the ledger that the service uses, to ask it `ledger.question`s. Raises as `open_look` does."""
    with open_look(environ) as ledger, ledger.read() as db:
        yield db


@contextmanager
def reading(environ: Mapping[str, str]) -> Iterator["Connection"]:
    """Open the ledger that the service uses, to read it with SQLAlchemy. Raises as `open_ledger` does."""
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
def open_look(environ: Mapping[str, str]) -> Iterator[Look]:
    """Open the ledger that the service uses, to look at it: without SQLAlchemy, where that is possible.

    Raises:
        NotDone: there is no ledger, or it does not answer.

    """
    from config.door import find_door
    from config.sqlite import file_of
    from ledger.looking import Looking

    settings = _settings(environ)
    door = find_door(settings)
    if door is None:
        with open_ledger(environ) as ledger:
            yield ledger
        return
    _require_file(file_of(settings))
    with _explained(settings), closing(Looking(door)) as look:
        yield look


@contextmanager
def open_ledger(environ: Mapping[str, str]) -> Iterator["Ledger"]:
    """Open the ledger that the service uses.

    Raises:
        NotDone: there is no ledger, or it does not answer.

    """
    from config.database import make_engine
    from ledger.store import Ledger

    settings = _settings(environ)
    engine = make_engine(settings)
    _require_file(_path(engine))
    with _explained(settings), _unavailable_instead(), closing(Ledger(engine)) as ledger:
        yield ledger


def _settings(environ: Mapping[str, str]) -> "Settings":
    from config.settings import load_settings

    if environ.get("HOOKLINE_URL", "").strip():
        raise NotDone("this command works on the ledger itself, not over HTTP: unset HOOKLINE_URL, and no --url")
    return load_settings(environ)


def migrate(environ: Mapping[str, str]) -> str:
    """Create the ledger's tables, or bring them up to date. Give the ledger's address.

    Raises:
        NotDone: it cannot be written.

    """
    from config.database import make_engine
    from config.settings import load_settings
    from ledger.migrate import upgrade

    settings = load_settings(environ)
    if settings.database_url is None:
        _make_directory(settings.hookline_data_dir)
    engine = make_engine(settings)
    with _explained(settings), _unavailable_instead():
        try:
            upgrade(engine)
        except LedgerUnavailable as error:  # that tables are missing or old is no explanation here
            reason = " ".join(str(error).split())
            raise NotDone(f"the ledger {_address(engine)} cannot be migrated: {reason}") from error
    return _address(engine)


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotDone(
            f"the data directory {path} cannot be made ({error.strerror}): set HOOKLINE_DATA_DIR to another one"
        ) from None


def _require_file(path: Path | None) -> None:
    """Leave no empty ledger behind where somebody only looked, in the wrong place perhaps."""
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
def _explained(settings: "Settings") -> Iterator[None]:
    try:
        yield
    except (SeveralEvents, Unknown) as error:
        raise NotDone(str(error)) from None
    except LedgerUnavailable as error:
        raise _what_is_wrong(settings, str(error)) from error
    except OSError as error:  # the file that writers queue at, beside the ledger
        raise NotDone(f"{error.filename} cannot be opened: {error.strerror}") from error


@contextmanager
def _unavailable_instead() -> Iterator[None]:
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:  # about the statement, as where a table is missing
        raise LedgerUnavailable(str(error.orig)) from error


def _what_is_wrong(settings: "Settings", reason: str) -> NotDone:
    from config.database import make_engine
    from ledger.migrate import check_migrated

    engine = make_engine(settings)
    try:
        check_migrated(engine)
    except LedgerNotMigrated as error:
        if error.__cause__ is None:  # it answers: it has no tables
            return NotDone(f"{error} (this is {_address(engine)})")
    finally:
        engine.dispose()
    return NotDone(f"the ledger {_address(engine)} cannot be used: {' '.join(reason.split())}")
