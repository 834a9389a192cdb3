"""Connections to PostgreSQL that wait for nothing without end: not to connect, not for a lock, not for an answer."""

import contextlib
import re
import time
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import Conninfo, TransactionStatus
from psycopg.waiting import Ready

from config.settings import Settings

CONNECT_TIMEOUT_S = 2

GRACE_S = 2.0
# Past its time-out a statement is cancelled by the server. A server that has not even done that by then hangs.

VANISHED_AFTER_S = 5
# What was sent and not even acknowledged by the other side's kernel, as when a host or a network is gone.

KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}

OURS_VANISHED_AFTER = {"tcp_keepalives_idle": "30s", "tcp_keepalives_interval": "10s", "tcp_keepalives_count": "3"}
# So long does the server keep the locks of a worker whose host is gone; left to itself, it would be two hours.

WAIT_INTERVAL_S = 0.1

USUAL_URL = re.compile(
    r"postgres(?:ql(?:\+psycopg)?)?://"
    r"(?:(?P<user>[\w.%+~-]+)(?::(?P<password>[^\s/?#@\\]*))?@)?"
    r"(?P<host>[\w.-]*)(?::(?P<port>[1-9][0-9]*))?"
    r"(?:/(?P<dbname>[\w.%+~-]*)(?:\?(?P<query>[^\s#]*))?)?",
    re.ASCII,
)
# What is read in one way by everybody: of one server, with nothing in it that has to be quoted.

USUAL_OPTIONS = frozenset(
    {"application_name", "channel_binding", "connect_timeout", "gssencmode", "options", "sslcert", "sslcrl", "sslkey"}
    | {"sslmode", "sslrootcert", "target_session_attrs"}
)
# libpq's. Some of what else may be said there, the driver takes for arguments of its own.

T = TypeVar("T")


class NoAnswer(psycopg.OperationalError):
    """The server has taken what was sent, and does not answer."""


class Connection(psycopg.Connection[Any]):
    """A connection whose waits end: when its patience does, or when its thread is interrupted."""

    patience_s: float | None = None

    def wait(self, gen: PQGen[T], interval: float = WAIT_INTERVAL_S, timeout: float | None = None) -> T:
        """Wait for the server. A connection that got no answer is closed: the answer to what comes next would be it."""
        limit_s = self.patience_s if timeout is None else timeout
        try:
            return super().wait(_in_steps(gen, limit_s), interval)
        except NoAnswer:
            self.close()
            raise
        except Exception:
            raise
        except BaseException:  # an interrupt: the server need not go on either
            try:
                self._cancel()
            finally:
                self.close()
            raise

    def _cancel(self) -> None:
        if self.info.transaction_status == TransactionStatus.ACTIVE:
            with contextlib.suppress(psycopg.Error):
                self.cancel_safe(timeout=CONNECT_TIMEOUT_S)


def _in_steps(gen: PQGen[T], limit_s: float | None) -> PQGen[T]:
    # psycopg waits in C, where nobody looks at a clock and Python cannot interrupt. Ten times a second it is here.
    until = None if limit_s is None else time.monotonic() + limit_s
    ready: Ready | int | None = None
    while True:
        try:
            state = gen.send(ready)  # type: ignore[arg-type]  # None is how a generator is begun
        except StopIteration as end:
            result: T = end.value
            return result
        ready = yield state
        if not ready and until is not None and time.monotonic() > until:
            raise NoAnswer(f"no answer within {limit_s:g} s")


def arguments(settings: Settings, *, fsync: bool, patience_s: float) -> dict[str, Any]:
    """Say how to connect, but for where to; see `config.database.make_engine`."""
    return {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "fallback_application_name": "hookline",
        "tcp_user_timeout": _ms(VANISHED_AFTER_S),
        **KEEPALIVES,
        "options": _options(settings, fsync=fsync, patience_s=patience_s),
    }


def connect(*words: Any, patience_s: float, **arguments: Any) -> Connection:  # noqa: ANN401  # as libpq takes them
    """Connect, and wait no longer than this for any answer."""
    connection = Connection.connect(*words, **arguments)
    connection.patience_s = patience_s + GRACE_S
    return connection


def address_in(url: str) -> dict[str, str] | None:
    """Read where a PostgreSQL server is from its URL, as SQLAlchemy would; None: it is for SQLAlchemy to read."""
    parts = USUAL_URL.fullmatch(url)
    if parts is None:
        return None
    said = parse_qsl(parts["query"] or "")
    options = dict(said)
    if len(options) < len(said) or not options.keys() <= USUAL_OPTIONS:
        return None
    known = {name: unquote(parts[name] or "") for name in ("host", "port", "user", "password", "dbname")}
    return {name: text for name, text in known.items() if text} | options


def all_options() -> frozenset[str]:
    """Name what a URL may ask libpq for; psycopg would take some more for arguments of its own."""
    return frozenset(each.keyword.decode() for each in Conninfo.get_defaults())


def _options(settings: Settings, *, fsync: bool, patience_s: float) -> str:
    options = {
        "synchronous_commit": "on" if fsync else "off",
        "lock_timeout": f"{_ms(settings.database_lock_timeout_s)}ms",
        "statement_timeout": f"{_ms(patience_s)}ms",
        "timezone": "UTC",
        **OURS_VANISHED_AFTER,
    }
    return " ".join(f"-c {name}={value}" for name, value in options.items())


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))  # 0 would be no limit
