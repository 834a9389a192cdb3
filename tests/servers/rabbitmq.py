"""A real RabbitMQ server for tests: its own node name, directories and ports, and its own epmd."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from tests.cli.dev.waiting import wait_until
from tests.servers.ports import unused_port
from tests.servers.redis import installed

READY_S = 60.0

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
# Debian's own: the scripts in /usr/sbin change to another user before they call these.

USER = "hookline"
PASSWORD = "pass word/1"
VHOST = "hookline"
# Its default queue type is quorum, as it should be in production.

SCHEDULERS = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
# Erlang's threads would wait for work by turning in circles, on processors that other tests need.

PERMISSIONS = {"configure": ".*", "write": ".*", "read": ".*"}

FORGET = """
{{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"{vhost}">>, queue, <<"{queue}">>)),
[ra:process_command(amqqueue:get_pid(Queue), rabbit_fifo:make_checkout({{Tag, Channel}}, cancel, #{{}}))
 || {{Channel, Tag, _, _, _, _, _, _}} <- rabbit_amqqueue:consumers(Queue)].
"""
# Erlang. What a quorum queue itself does when a consumer leaves; its channel is not told.


class RabbitmqServer:
    """One server in one directory. It may be stopped, killed, frozen, filled, and started again."""

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        """Take lines for its configuration; `listeners.ssl.1` for example."""
        installed("rabbitmq-server", package="rabbitmq-server")
        self.port, self._epmd_port, distribution_port = unused_port(), unused_port(), unused_port()
        self._place = Path(tempfile.mkdtemp(prefix="hookline-rabbitmq-"))
        self._environ = self._make_environ(distribution_port)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._write(options or {})

    def url(self, vhost: str = VHOST, *, password: str = PASSWORD) -> str:
        return f"amqp://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/{quote(vhost, safe='')}"

    @property
    def pid(self) -> int:
        """The process that serves, below the script that started it."""
        return int((self._place / "pid").read_text())

    def start(self) -> None:
        """Start it and wait until it answers."""
        if not self._processes:  # Erlang's port mapper stays while the server is away
            self._run("epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1")
        server = self._run(str(PROGRAMS / "rabbitmq-server"))
        wait_until(lambda: self.answers() or server.poll() is not None, timeout_s=READY_S)
        assert server.poll() is None, (self._place / "log").read_text()

    def answers(self) -> bool:
        try:
            self.connect().close()
        except (AMQPError, OSError):
            return False
        return True

    def connect(self) -> pika.BlockingConnection:
        """Connect to it, as a test does."""
        with socket.create_connection(("127.0.0.1", self.port)):
            pass  # pika logs a traceback where nobody listens yet
        return pika.BlockingConnection(pika.URLParameters(self.url()))

    def ctl(self, *words: str) -> str:
        """Run rabbitmqctl; give what it prints."""
        command = [str(PROGRAMS / "rabbitmqctl"), "--quiet", *words]
        return subprocess.run(command, env=self._environ, check=True, capture_output=True, text=True).stdout

    def queue_types(self) -> dict[str, str]:
        """Give each queue's type."""
        listed = self.ctl("list_queues", "--vhost", VHOST, "name", "type", "--no-table-headers")
        return dict(line.split("\t") for line in listed.splitlines())

    def waiting(self, queue: str) -> int:
        """Count the messages that wait in a queue; there are none in one that is not there."""
        with self.connect() as connection:
            try:
                return int(connection.channel().queue_declare(queue, passive=True).method.message_count)
            except ChannelClosedByBroker:
                return 0

    def publish(self, queue: str, bodies: Iterable[bytes]) -> None:
        """Put bytes into a queue, as something broken or hostile might."""
        with self.connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for body in bodies:
                channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2), mandatory=True)

    def delete(self, *queues: str) -> None:
        """Delete queues with all that is in them."""
        with self.connect() as connection:
            for queue in queues:
                connection.channel().queue_delete(queue)

    def forget_consumers(self, queue: str) -> None:
        """Let it give a queue's consumers no more messages, without a word to them."""
        self.ctl("eval", FORGET.format(vhost=VHOST, queue=queue))

    def fill(self) -> None:
        """Let it think that all memory is used: it stops reading from whoever publishes."""
        self.ctl("set_vm_memory_high_watermark", "0")

    def empty(self) -> None:
        """Let it have memory again."""
        self.ctl("set_vm_memory_high_watermark", "0.6")

    def freeze(self) -> None:
        """Let it hang: connections stay open and nothing is answered (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Send kill -9 and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self._processes.pop().wait()

    def close(self) -> None:
        """End it and all that came with it, and delete all it had."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self._place, ignore_errors=True)

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._place / "log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def _make_environ(self, distribution_port: int) -> dict[str, str]:
        place = self._place
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(place),  # where Erlang keeps its cookie
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"),
            "RABBITMQ_LOG_BASE": str(place / "logs"),
            "RABBITMQ_MNESIA_BASE": str(place / "data"),
            "RABBITMQ_PID_FILE": str(place / "pid"),
            "RABBITMQ_NODENAME": f"hookline{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{127,0,0,1}} {SCHEDULERS}",
        }

    def _write(self, options: Mapping[str, str]) -> None:
        own = {
            "listeners.tcp.1": f"127.0.0.1:{self.port}",
            "load_definitions": str(self._place / "definitions.json"),
            "disk_free_limit.absolute": "1MB",
        }
        lines = "".join(f"{name} = {value}\n" for name, value in {**own, **options}.items())
        definitions = {
            "users": [{"name": USER, "password": PASSWORD, "tags": []}],
            "vhosts": [{"name": VHOST, "metadata": {"description": "", "tags": [], "default_queue_type": "quorum"}}],
            "permissions": [{"user": USER, "vhost": VHOST, **PERMISSIONS}],
        }
        (self._place / "rabbitmq.conf").write_text(lines)
        (self._place / "definitions.json").write_text(json.dumps(definitions))
        (self._place / "plugins").write_text("[].\n")
