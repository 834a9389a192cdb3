"""The guardian: what it was told of is ended when its pipe ends, however that comes about."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Thread

import pytest

from cli.dev.guardian import end_groups, read_groups, start_guardian
from tests.cli.dev.waiting import members, wait_until

SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)",
]
WITH_CHILD = [sys.executable, "-c", "import os, time; os.fork(); print(flush=True); time.sleep(60)"]


class Started:
    """Processes in groups of their own, ended at the end of the test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(self, command: list[str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
        self._stack.callback(self._end, process)
        assert process.stdout is not None
        process.stdout.readline()
        Thread(target=process.wait, daemon=True).start()  # buries it as init would: a zombie still counts as a group
        return process

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        end_groups([process.pid], grace_s=0)
        process.communicate()


@pytest.fixture
def start() -> Iterator[Started]:
    with ExitStack() as stack:
        yield Started(stack)


def test_groups_are_those_announced_and_not_taken_back() -> None:
    assert read_groups([b"+10\n", b"+20\n", b"-10\n", b"+30\n"]) == [20, 30]


@pytest.mark.parametrize("line", [b"+0\n", b"+1\n", b"+-1\n", b"+\n", b"\n", b"+x\n"])
def test_a_line_that_would_mean_everybody_is_passed_over(line: bytes) -> None:
    assert read_groups([line]) == []


def test_a_group_gets_sigterm_first(start: Started) -> None:
    process = start(SLEEP)

    end_groups([process.pid])

    assert process.wait() == -signal.SIGTERM


def test_what_ignores_sigterm_is_killed(start: Started) -> None:
    process = start(STUBBORN)

    end_groups([process.pid], grace_s=0.2)

    assert process.wait() == -signal.SIGKILL


def test_what_a_leader_leaves_behind_is_killed(start: Started) -> None:
    process = start(WITH_CHILD)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert members({process.pid})

    end_groups([process.pid])

    wait_until(lambda: not members({process.pid}))


def test_the_end_of_the_pipe_ends_the_groups(start: Started) -> None:
    process = start(SLEEP)
    guardian = start_guardian()
    os.write(guardian.pipe, f"+{process.pid}\n".encode())

    guardian.dismiss()

    assert process.wait() == -signal.SIGTERM


def test_a_group_that_was_taken_back_is_left_alone(start: Started) -> None:
    process = start(SLEEP)
    guardian = start_guardian()
    os.write(guardian.pipe, f"+{process.pid}\n".encode())

    guardian.forget(process.pid)
    guardian.dismiss()

    assert process.poll() is None


def test_ctrl_c_does_not_reach_it(start: Started) -> None:
    process = start(SLEEP)
    guardian = start_guardian()
    os.write(guardian.pipe, f"+{process.pid}\n".encode())

    assert os.getpgid(guardian.process.pid) == guardian.process.pid
    guardian.dismiss()

    assert process.wait() == -signal.SIGTERM
