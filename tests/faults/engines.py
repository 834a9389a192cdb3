"""The pairs of servers that a house stands on: SQLite with Valkey, PostgreSQL with Redis."""

import os
import shutil
from enum import StrEnum
from pathlib import Path

from cli.dev.valkey import find_binary
from tests.servers.postgresql import PostgresServer
from tests.servers.redis import RedisServer

PERSISTENT = {"--appendonly": "yes", "--appendfsync": "everysec", "--maxmemory-policy": "noeviction"}
# As `hookline dev` runs Valkey, and as docs/operations.md asks for.

SAFE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
# What a committed row is worth. Tests elsewhere switch it off, because they lose no power.

SYSTEM_PATH = "/usr/sbin:/usr/local/sbin:/sbin"


class Engine(StrEnum):
    """A database and a broker."""

    SQLITE = "sqlite+valkey"
    POSTGRESQL = "postgresql+redis"


def missing(engine: Engine) -> str | None:
    """Say what this machine lacks for an engine, or None."""
    if engine is Engine.POSTGRESQL and find_program("redis-server") is None:
        return "redis-server is not installed (Debian package redis-server)"
    return None


def find_program(name: str) -> Path | None:
    """Find a program of the machine's own packages."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), SYSTEM_PATH]))
    return Path(found) if found else None


def make_broker(engine: Engine) -> RedisServer:
    """Make Valkey, or Redis as Debian has it; it keeps what it acknowledged, but for the last second."""
    program = find_binary() if engine is Engine.SQLITE else find_program("redis-server")
    return RedisServer(PERSISTENT, program=program)


def make_postgresql(directory: Path | None) -> PostgresServer:
    """Make a PostgreSQL that waits for the disk at each commit."""
    return PostgresServer(SAFE, directory=directory)


def wipe(broker: RedisServer) -> None:
    """Delete all that a broker has on its disk, as if it had never been. It must not run."""
    shutil.rmtree(broker.place / "appendonlydir", ignore_errors=True)
