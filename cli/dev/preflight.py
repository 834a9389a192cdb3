"""What is looked at before anything is started, so that what is wrong is one sentence and not five tracebacks."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from cli.dev.errors import AlreadyRunning, DataDirectoryUnusable, PortUnusable
from config.database import database_url, make_engine
from config.errors import DatabaseUnreachable, InvalidSettings
from config.settings import Settings

PRIVATE = 0o700

TAKEOVER_S = 8.0
# After a kill -9 the guardian holds the lock until it has ended what was left, which takes 5 s at most.

POLL_S = 0.05


def make_data_directory(path: Path) -> None:
    """Make the data directory, for this user alone; one that is there stays as it is.

    Raises:
        DataDirectoryUnusable: it cannot be made, or cannot be written.

    """
    try:
        path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    except OSError as error:
        raise DataDirectoryUnusable(path, error.strerror or str(error)) from None


@contextmanager
def lock_data_directory(path: Path) -> Iterator[int]:
    """Hold the data directory for one `hookline dev`. Give the lock's file descriptor.

    The lock belongs to the open file, so whoever inherits the descriptor holds it too.

    Raises:
        AlreadyRunning: another `hookline dev` has it.
        DataDirectoryUnusable: the lock's file cannot be written.

    """
    try:
        file = (path / "dev.lock").open("a+", encoding="ascii")
    except OSError as error:
        raise DataDirectoryUnusable(path, error.strerror or str(error)) from None
    with file:
        _take_lock(file.fileno(), path)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file.fileno()


def _take_lock(descriptor: int, directory: Path) -> None:
    """Take the lock; wait a little when its owner was killed and only the guardian is left."""
    deadline = time.monotonic() + TAKEOVER_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            if _is_running(pid) or time.monotonic() > deadline:
                raise AlreadyRunning(directory, pid) from None
            time.sleep(POLL_S)
        else:
            return


def _is_running(pid: str) -> bool:
    """Whether there is such a process; an unreadable pid counts as running."""
    if not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def check_port(host: str, port: int) -> None:
    """See that HOST:PORT can be listened on.

    Raises:
        PortUnusable: somebody else does, or HOST is not an address of this machine.

    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise PortUnusable(host, port, error.strerror or str(error)) from None
    problems = [problem for address in addresses if (problem := _try_to_listen(*address))]
    # A machine without IPv6 still knows localhost as ::1; uvicorn passes over an address that is not there, too.
    real = [problem for problem in problems if problem.errno != errno.EADDRNOTAVAIL]
    if real or len(problems) == len(addresses):
        first = (real or problems)[0]
        raise PortUnusable(host, port, first.strerror or str(first))


def _try_to_listen(family: int, kind: int, protocol: int, _name: str, address: tuple[str | int, ...]) -> OSError | None:
    try:
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # ditto
            listener.bind(address)
            listener.listen()
    except OSError as error:
        return error
    return None


def check_broker(settings: Settings) -> None:
    """See that the broker answers, if RABBITMQ_URL or REDIS_URL names one.

    Raises:
        BrokerUnreachable: it does not within two seconds, or refuses access; the text names the place without its
            password.

    """
    if settings.rabbitmq_url is None and settings.redis_url is None:
        return
    # To import two brokers' libraries takes a third of all that is imported here, while nothing is started yet.
    from cli.dev.broker import check_named_broker  # noqa: PLC0415

    check_named_broker(settings)


def check_database(settings: Settings) -> None:
    """See that the database at DATABASE_URL answers, or that the SQLite file can be opened.

    Raises:
        DatabaseUnreachable: it does not within two seconds; the text names the place without its password.
        InvalidSettings: DATABASE_URL is not the URL of a database that Hookline knows.

    """
    try:
        url = database_url(settings)
    except ValueError:  # a port that is not a number; the text may quote a part of the password
        raise InvalidSettings(["DATABASE_URL is not a URL: it should look like postgresql://user@host/name"]) from None
    engine = make_engine(settings)
    try:
        engine.connect().close()
    except DBAPIError as error:
        raise DatabaseUnreachable(_database_sentence(url, error.orig)) from None
    finally:
        engine.dispose()


def _database_sentence(url: URL, error: BaseException | None) -> str:
    if url.get_backend_name() == "sqlite":
        return f"the ledger {url.database} cannot be opened: {_reason(error)}"
    port = f":{url.port}" if url.port else ""
    return nothing_answers("DATABASE_URL", f"{url.host or ''}{port}/{url.database or ''}", error)


def nothing_answers(variable: str, place: str, error: BaseException | None) -> str:
    """Say which variable leads nowhere. Of its URL only host, port and path: never the password."""
    return f"nothing answers at {variable} ({place}): {_reason(error)}"


def _reason(error: BaseException | None) -> str:
    """Give the first line of what a driver says; the lines after it give advice."""
    from config.brokers.errors import describe  # noqa: PLC0415  # as above

    return describe(error) if error is not None else "it does not say why"
