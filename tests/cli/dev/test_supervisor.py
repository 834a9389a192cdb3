"""The supervisor, with stand-ins for the processes of the Procfile."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.dev.guardian import kill
from cli.dev.supervisor import GRACE_S
from config.settings import CHECKOUT
from tests.cli.dev.stand_in import ANYBODY, NOT_PARENT
from tests.cli.dev.waiting import descendants, groups_below, members, wait_until
from tests.servers.ports import unused_port

PYTHON = f"{shlex.quote(sys.executable)} -I -S"  # starts in half the time

FORKING = "import os, time; os.fork(); print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


END_S = 60.0
# For what ends of itself, however busy the machine is.


def python(program: str) -> str:
    return f'{PYTHON} -c "{program}"'


class Dev:
    """A supervisor on stand-ins, in a process of its own, that prints into a file."""

    def __init__(self, directory: Path) -> None:
        self.port = unused_port()
        (directory / "readyz").touch()
        self.web = f"{PYTHON} -m http.server {self.port} --bind 127.0.0.1"
        self._directory = directory
        self._printed = directory / "printed"
        self._groups: set[int] = set()
        self._processes: list[subprocess.Popen[bytes]] = []

    def command(self, outlives: str = ANYBODY, **commands: str) -> list[str]:
        return [sys.executable, "-m", "tests.cli.dev.stand_in", str(self.port), outlives, json.dumps(commands)]

    def start(self, command: list[str], **environ: str) -> subprocess.Popen[bytes]:
        with self._printed.open("wb") as stdout:
            process = subprocess.Popen(
                command,
                cwd=self._directory,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environ},
                stdout=stdout,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def run(self, **commands: str) -> subprocess.Popen[bytes]:
        """Start it, and wait until it is ready and everything has said that it is up."""
        process = self.start(self.command(web=self.web, **commands))
        self.wait_for("ready in")
        for name in commands:
            self.wait_for(f"{name} ")
        return process

    def printed(self) -> str:
        return self._printed.read_text()

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.printed())

    def remember_groups(self, root: int) -> set[int]:
        """Give the process groups that are there now; they are ended when the test is over."""
        groups = groups_below(root)
        self._groups |= groups
        return groups

    def close(self) -> None:
        for process in self._processes:
            self.remember_groups(process.pid)
            self._groups.add(process.pid)
        for group in self._groups:
            kill(group)
        for process in self._processes:
            process.wait()


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    dev = Dev(tmp_path)
    yield dev
    dev.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_and_that_is_no_failure(dev: Dev, number: signal.Signals) -> None:
    process = dev.run(worker=python(FORKING))
    groups = dev.remember_groups(process.pid)
    assert len(groups) == 3  # the guardian's, web's and worker's

    process.send_signal(number)

    assert process.wait(END_S) == 0
    assert not members(groups)
    assert "Traceback" not in dev.printed()


def test_one_line_says_that_it_is_ready_and_what_to_try(dev: Dev) -> None:
    dev.run()

    ready = [line for line in dev.printed().splitlines() if "ready in" in line]
    assert len(ready) == 1
    assert ready[0].endswith(f" s — http://127.0.0.1:{dev.port} — next, in another shell: try this")


def test_the_others_start_when_the_web_process_takes_requests(dev: Dev) -> None:
    asks = f"import socket; socket.create_connection(('127.0.0.1', {dev.port})).close(); print('up', flush=True);"

    dev.run(worker=python(f"{asks} import time; time.sleep(60)"))

    assert "worker ended" not in dev.printed()  # as it would have been if nobody had answered it


def test_the_others_start_all_the_same_where_the_web_process_does_not_become_ready(dev: Dev) -> None:
    hangs = python("import time; time.sleep(60)")

    dev.start(dev.command(web=hangs, worker=python(FORKING)), WEB_FIRST_S="0.1")

    dev.wait_for("worker │ up")

    assert "ready in" not in dev.printed()


def test_a_second_ctrl_c_kills_what_does_not_end(dev: Dev) -> None:
    process = dev.run(worker=python(STUBBORN))
    groups = dev.remember_groups(process.pid)
    started = time.monotonic()

    process.send_signal(signal.SIGINT)
    wait_until(lambda: len(members(groups)) == 2)  # the guardian and the stubborn one
    time.sleep(0.6)  # a person is slower than that; sooner, it counts as the same Ctrl-C
    process.send_signal(signal.SIGINT)

    assert process.wait(GRACE_S) == 0
    assert time.monotonic() - started < GRACE_S
    assert not members(groups)
    assert "worker did not end in time and was killed" in dev.printed()


def test_one_ctrl_c_that_arrives_twice_is_one(dev: Dev) -> None:
    polite = "import signal, sys, time; signal.signal(15, lambda *_: (time.sleep(1), print('bye'), sys.exit()));"
    process = dev.run(worker=python(f"{polite} print('up', flush=True); time.sleep(60)"))

    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)

    assert process.wait(END_S) == 0
    assert "bye" in dev.printed()


def test_kill_9_of_the_supervisor_leaves_nothing_behind(dev: Dev) -> None:
    process = dev.run(worker=python(FORKING), sweeper=python(STUBBORN))
    groups = dev.remember_groups(process.pid)

    process.kill()

    wait_until(lambda: not members(groups))


def test_kill_9_right_after_the_start_leaves_nothing_behind(dev: Dev) -> None:
    for _ in range(2):
        process = dev.start(dev.command(web=dev.web, worker=python(FORKING)))
        wait_until(lambda pid=process.pid: len(descendants(pid)) > 1)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        groups = dev.remember_groups(process.pid)
        process.kill()

        wait_until(lambda groups=groups: not members(groups))  # type: ignore[misc]  # ditto


def test_kill_9_of_the_parent_ends_everything_when_asked_to(dev: Dev) -> None:
    supervisor = shlex.join(dev.command(NOT_PARENT, web=dev.web))
    parent = dev.start(["/bin/sh", "-c", f"{supervisor} & wait"])
    dev.wait_for("ready in")
    groups = dev.remember_groups(parent.pid) | {parent.pid}

    parent.kill()

    wait_until(lambda: not members(groups))


def test_without_its_guardian_it_does_not_go_on(dev: Dev) -> None:
    process = dev.run()
    groups = dev.remember_groups(process.pid)
    guardian = min(descendants(process.pid))

    os.kill(guardian, signal.SIGKILL)

    assert process.wait(END_S) == 1
    assert not members(groups)
    assert "the guardian process is gone" in dev.printed()


def test_a_web_process_that_never_starts_is_given_up_after_five_times(dev: Dev) -> None:
    process = dev.start(dev.command(web=python("raise SystemExit(3)"), worker=python(FORKING)))

    assert process.wait(END_S) == 1
    assert dev.printed().count("web ended with exit status 3") == 5
    assert dev.printed().splitlines()[-1].startswith("the web process ended 5 times before it was ready")


def test_the_backend_ends_last(dev: Dev) -> None:
    slow = "import signal, time; signal.signal(15, lambda *_: (time.sleep(0.5), print('bye'), exit()));"
    up = "print('up', flush=True); time.sleep(60)"
    backend = python(
        f"import socket; s = socket.socket(socket.AF_UNIX); s.bind('valkey.sock'); s.listen(); {slow} {up}"
    )
    process = dev.start(dev.command(valkey=backend, web=dev.web, worker=python(f"{slow} {up}")))
    dev.wait_for("ready in")
    dev.wait_for("worker │ up")

    process.send_signal(signal.SIGTERM)

    assert process.wait(END_S) == 0
    byes = [line.split()[0] for line in dev.printed().splitlines() if line.endswith("bye")]
    assert byes == ["worker", "valkey"]
