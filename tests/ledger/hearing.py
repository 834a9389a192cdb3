"""Hears every statement that a database's driver is given, whoever gives it: SQLAlchemy, or one of ours past it."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
from sqlalchemy import Engine, event

Heard = Callable[[Any, str, Any], None]
# Is told the driver's connection, the statement and its parameters, before it is executed.


def hear_all(engine: Engine, heard: Heard) -> None:
    """Hear what the connections are given that are made from now on. None may be in use."""
    if engine.dialect.name == "sqlite":
        its = {"factory": _sqlite(heard)}
        event.listen(engine, "do_connect", lambda _dialect, _record, _args, options: options.update(its))
    else:
        cursors = _postgresql(heard)
        event.listen(engine, "checkout", lambda connection, *_: setattr(connection, "cursor_factory", cursors))
    engine.dispose()


def _sqlite(heard: Heard) -> type[sqlite3.Connection]:
    class Cursor(sqlite3.Cursor):
        def execute(self, statement: str, parameters: Any = ()) -> "Cursor":
            heard(self.connection, statement, parameters)
            super().execute(statement, parameters)
            return self

        def executemany(self, statement: str, rows: Iterable[Any]) -> "Cursor":
            known = list(rows)
            heard(self.connection, statement, known[0])
            super().executemany(statement, known)
            return self

    class Its(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, statement: str, parameters: Any = ()) -> Any:
            return self.cursor().execute(statement, parameters)

    return Its


def _postgresql(heard: Heard) -> type[psycopg.Cursor[Any]]:
    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> "Cursor":
            heard(self.connection, query, params)
            super().execute(query, params, **options)
            return self

        def executemany(self, query: Any, params_seq: Iterable[Any], **options: Any) -> None:
            known = list(params_seq)
            heard(self.connection, query, known[0])
            super().executemany(query, known, **options)

    return Cursor
