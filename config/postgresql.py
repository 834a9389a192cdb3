"""Connections to PostgreSQL that wait for nothing without end: not to connect, not for a lock, not for an answer."""

import contextlib
import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.waiting import Ready
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine.interfaces import ExceptionContext

from config.database import NOT_HERE_ANY_MORE
from config.settings import Settings

CONNECT_TIMEOUT_S = 2
POOL_TIMEOUT_S = 2.0

GRACE_S = 2.0
# Past its time-out a statement is cancelled by the server. A server that has not even done that by then hangs.

VANISHED_AFTER_S = 5
# What was sent and not even acknowledged by the other side's kernel, as when a host or a network is gone.

KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}

OURS_VANISHED_AFTER = {"tcp_keepalives_idle": "30s", "tcp_keepalives_interval": "10s", "tcp_keepalives_count": "3"}
# So long does the server keep the locks of a worker whose host is gone; left to itself, it would be two hours.

WAIT_INTERVAL_S = 0.1

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


def make_postgresql_engine(url: URL, settings: Settings, *, fsync: bool, patience_s: float) -> Engine:
    """Make an engine; see `config.database.make_engine`."""
    engine = create_engine(
        url,
        hide_parameters=True,  # errors are logged, and the parameters are bodies
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "fallback_application_name": "hookline",
            "tcp_user_timeout": _ms(VANISHED_AFTER_S),
            **KEEPALIVES,
            "options": _options(settings, fsync=fsync, patience_s=patience_s),
        },
    )
    event.listen(engine, "do_connect", _connect_with(patience_s + GRACE_S))
    event.listen(engine, "handle_error", _give_up_connection)
    return engine


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


def _connect_with(patience_s: float) -> Any:  # noqa: ANN401  # SQLAlchemy's event API
    def connect(_dialect: object, _record: object, words: list[Any], arguments: dict[str, Any]) -> Connection:
        connection = Connection.connect(*words, **arguments)
        connection.patience_s = patience_s
        return connection

    return connect


def _give_up_connection(context: ExceptionContext) -> None:
    if getattr(context.original_exception, "sqlstate", None) in NOT_HERE_ANY_MORE:
        context.is_disconnect = True
