"""A command that is kept running."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import pytest

from cli.dev.guardian import Guardian, start_guardian
from cli.dev.output import Output
from cli.dev.process import MAX_LINE_BYTES, how_it_ended
from cli.dev.service import LONGEST_PAUSE_S, STEADY_S, Backoff, Service, Surroundings
from tests.cli.dev.waiting import members

PYTHON = sys.executable
PATIENCE_S = 60


@pytest.fixture
def guardian() -> Iterator[Guardian]:
    guardian = start_guardian()
    yield guardian
    guardian.dismiss()


@pytest.fixture
def stream() -> BytesIO:
    return BytesIO()


@pytest.fixture
def around(guardian: Guardian, stream: BytesIO, tmp_path: Path) -> Surroundings:
    output = Output(stream, ["it"], colour=False)
    return Surroundings(directory=tmp_path, environ=dict(os.environ), guardian=guardian, output=output)


@asynccontextmanager
async def kept_running(service: Service) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(service.keep_running())
    try:
        yield task
    finally:
        service.kill()
        await asyncio.wait_for(task, PATIENCE_S)


async def until(stream: BytesIO, text: str, *, times: int = 1) -> str:
    """Wait until a text has been printed so many times."""
    async with asyncio.timeout(PATIENCE_S):
        while stream.getvalue().decode().count(text) < times:  # noqa: ASYNC110  # a stream sets no Event
            await asyncio.sleep(0.01)
    return stream.getvalue().decode()


def numbers(printed: str) -> list[int]:
    return [int(word) for word in printed.split() if word.isdigit()]


def test_what_it_prints_on_either_stream_comes_line_by_line(around: Surroundings, stream: BytesIO) -> None:
    async def scenario() -> str:
        async with kept_running(Service("it", "sh -c 'echo out; echo err >&2; printf tail; sleep 60'", around)):
            return await until(stream, "err")

    assert asyncio.run(scenario()).splitlines()[:2] == ["it  │ out", "it  │ err"]


def test_a_last_line_without_an_end_is_printed_too(around: Surroundings, stream: BytesIO) -> None:
    async def scenario() -> str:
        async with kept_running(Service("it", "printf tail", around)):
            return await until(stream, "exit status")

    assert asyncio.run(scenario()).startswith("it  │ tail\n")


def test_a_line_without_end_is_printed_in_pieces(around: Surroundings, stream: BytesIO) -> None:
    command = f"{PYTHON} -c \"import time; print('x' * {2 * MAX_LINE_BYTES}, end='', flush=True); time.sleep(60)\""

    async def scenario() -> str:
        async with kept_running(Service("it", command, around)):
            return await until(stream, "\n")

    assert asyncio.run(scenario()).startswith("it  │ xxx")


def test_variables_in_a_command_are_the_shell_s(around: Surroundings, stream: BytesIO) -> None:
    async def scenario() -> str:
        async with kept_running(Service("it", "echo ${HOOKLINE_NO_SUCH:-8000}", around)):
            return await until(stream, "8000")

    asyncio.run(scenario())


def test_a_process_that_ends_is_started_again_and_the_line_says_why(around: Surroundings, stream: BytesIO) -> None:
    async def scenario() -> str:
        async with kept_running(Service("it", "sh -c 'exit 3'", around)):
            return await until(stream, "it ended with exit status 3", times=3)

    printed = asyncio.run(scenario())
    assert "it is started again in 0.2 s" in printed
    assert "it is started again in 0.4 s" in printed


def test_a_process_that_is_killed_is_started_again_and_its_children_do_not_stay(
    around: Surroundings, stream: BytesIO
) -> None:
    command = f"{PYTHON} -c 'import os, time; print(os.getpid(), flush=True); os.fork(); time.sleep(60)'"

    async def scenario() -> tuple[int, int]:
        async with kept_running(Service("it", command, around)):
            first = numbers(await until(stream, "\n"))[0]
            async with asyncio.timeout(PATIENCE_S):
                while len(members({first})) < 2:  # noqa: ASYNC110  # another process sets no Event
                    await asyncio.sleep(0.01)
            os.kill(first, signal.SIGKILL)
            printed = await until(stream, "\n", times=3)
            return first, numbers(printed)[-1]

    first, second = asyncio.run(scenario())
    assert second != first
    assert not members({first})


def test_a_stop_reaches_the_leader_alone_and_once(around: Surroundings, stream: BytesIO) -> None:
    count = "import os, signal, sys, time; signal.signal(15, lambda *_: (print('told', flush=True), os._exit(0)));"
    # Not one long sleep: a signal that comes just before it would wait for its end.
    leader = f"{count} os.fork(); print('up', flush=True); [time.sleep(0.05) for _ in range(1_200)]"

    async def scenario() -> str:
        service = Service("it", f'{PYTHON} -c "{leader}"', around)
        async with kept_running(service) as task:
            await until(stream, "up", times=2)
            service.stop()
            await asyncio.wait_for(task, PATIENCE_S)
        return stream.getvalue().decode()

    assert asyncio.run(scenario()).count("told") == 1


def test_it_is_not_started_again_after_a_stop(around: Surroundings, stream: BytesIO) -> None:
    async def scenario() -> None:
        service = Service("it", "sh -c 'echo up; sleep 60'", around)
        async with kept_running(service) as task:
            await until(stream, "up")
            service.stop()
            await asyncio.wait_for(task, PATIENCE_S)

    asyncio.run(scenario())
    assert "started again" not in stream.getvalue().decode()


def test_what_is_started_reads_nothing_and_does_not_keep_the_guardian_s_pipe(
    around: Surroundings, stream: BytesIO
) -> None:
    is_null = "import os; print(os.path.sameopenfile(0, os.open('/dev/null', 0)))"

    async def scenario() -> str:
        async with kept_running(Service("it", f'{PYTHON} -c "{is_null}"', around)):
            return await until(stream, "\n")

    assert "True" in asyncio.run(scenario())


def test_pauses_grow_while_it_keeps_failing_and_start_over_after_a_steady_run() -> None:
    backoff = Backoff()

    growing = [backoff.after(0.1) for _ in range(8)]

    assert growing == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert backoff.after(STEADY_S) == 0.2


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended with exit status 0"),
        (3, "ended with exit status 3"),
        (-9, "was ended by SIGKILL"),
        (-63, "was ended by signal 63"),
    ],
)
def test_an_end_is_told_in_words(status: int, words: str) -> None:
    assert how_it_ended(status) == words
