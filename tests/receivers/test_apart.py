"""Large bodies are read in a process of their own, and nothing else about them is different."""

import asyncio
import hashlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Pipe
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import CHECKOUT
from ledger.errors import LedgerUnavailable
from ledger.event import FORM, JSON
from receivers.apart import MEMORY_BYTES, TOO_MUCH_MEMORY, Apart
from receivers.provider import MIB, Handshake, Headers, Incoming, Provider, Request
from receivers.providers import load_providers

ENDS_S = 60.0

LITTLE_BYTES = 200 * MIB
# Of memory: enough for any real body of a few MB, and sooner used up than what it may take.

BY_PATH = {provider.path: provider for provider in load_providers()}
GITHUB = BY_PATH["/webhooks/github"]

json_like = st.text('{}[]:," \\ntrufalse0123.eEdé\ud800', max_size=40).map(lambda text: text.encode("utf-8", "replace"))
bodies = st.one_of(
    st.binary(max_size=40),
    json_like,
    st.sampled_from(
        [b"", b'{"action":NaN}', b"[" * 500, b'{"a":' + b"9" * 5_000 + b"}", b'{"type":"url_verification"}']
    ),
    json_like.map(b"payload=".__add__),
)


class Asking:
    """Somebody with bodies to read, one at a time, and an event loop to wait in."""

    def __init__(self, **bounds: float) -> None:
        self._loop = asyncio.Runner()
        self.apart = Apart(**bounds)

    def read(self, provider: Provider, request: Request) -> Incoming | Handshake:
        return self._loop.run(self.apart.read(provider, request))

    def wait(self, awaited: Callable[[], bool]) -> None:
        self._loop.run(until(awaited))

    def stop(self) -> None:
        self.apart.stop()
        self._loop.close()


async def until(awaited: Callable[[], bool]) -> None:
    async with asyncio.timeout(ENDS_S):
        while not awaited():  # noqa: ASYNC110  # of another process
            await asyncio.sleep(0.005)


@pytest.fixture(scope="module")
def asking() -> Iterator[Asking]:
    asking = Asking(answer_s=60)
    yield asking
    asking.stop()


def request(body: bytes, content_type: str = JSON) -> Request:
    headers = [(b"x-github-event", b"push"), (b"x-github-delivery", b"4711")]
    digest = hashlib.sha256(body).hexdigest()
    return Request(headers=Headers(headers), content_type=content_type, body=body, body_sha256=digest)


@given(path=st.sampled_from(sorted(BY_PATH)), body=bodies, content_type=st.sampled_from([JSON, FORM]))
def test_what_is_read_apart_is_read_as_it_would_be_here(
    asking: Asking, path: str, body: bytes, content_type: str
) -> None:
    asked = request(body, content_type)
    assert asking.read(BY_PATH[path], asked) == BY_PATH[path].read(asked)


def test_when_the_process_is_gone_another_one_reads(asking: Asking) -> None:
    asked = request(b'{"ref":1,"before":1,"after":1,"commits":[]}')
    expected = GITHUB.read(asked)
    assert asking.read(GITHUB, asked) == expected
    for each in children("receivers.apart"):
        os.kill(each, signal.SIGKILL)
    assert asking.read(GITHUB, asked) == expected


def test_where_there_can_be_no_other_process_it_is_read_here(asking: Asking) -> None:
    unknown = replace(GITHUB, path="/webhooks/unknown")  # the other process ends over it each time
    asked = request(b"{}")
    assert asking.read(unknown, asked) == GITHUB.read(asked)


def test_a_body_that_takes_far_more_memory_than_it_has_bytes_is_an_event_that_could_not_be_read(asking: Asking) -> None:
    asking.read(GITHUB, request(b"{}"))
    (reader,) = children("receivers.apart")
    bound_bytes, _ = resource.prlimit(reader, resource.RLIMIT_DATA, (LITTLE_BYTES, LITTLE_BYTES))
    assert bound_bytes == MEMORY_BYTES
    asked = request(b'{"alert":{"rule":[' + b"[]," * (3 * MIB) + b"1]}}")
    read = asking.read(GITHUB, asked)
    whole = GITHUB.read(asked._replace(body=b"{}"))
    assert isinstance(whole, Incoming)
    assert read == whole._replace(flaw=TOO_MUCH_MEMORY)  # it has the same identity: sent again, it is a duplicate


def test_a_body_that_is_not_read_in_time_is_refused_and_its_reader_ended() -> None:
    impatient = Asking(answer_s=0.001)  # no Python starts in that time
    before = children()
    with pytest.raises(LedgerUnavailable):
        impatient.read(GITHUB, request(b"{}"))
    assert children() == before
    impatient.stop()


def test_the_process_ends_when_nothing_comes_and_nothing_of_it_stays() -> None:
    before = children()
    impatient = Asking(answer_s=60, idle_s=0.01)
    impatient.read(GITHUB, request(b"{}"))
    impatient.wait(lambda: children() == before)
    impatient.stop()


def test_who_waits_for_a_body_when_reading_ends_is_refused_and_no_process_is_begun() -> None:
    async def stopped_beside_two() -> list[object]:
        apart = Apart()
        asked = [asyncio.ensure_future(apart.read(GITHUB, request(b"{}"))) for _ in range(2)]
        await until(lambda: children() != before)
        apart.stop()
        return await asyncio.gather(*asked, return_exceptions=True)

    before = children()
    refused = asyncio.run(stopped_beside_two())
    assert [type(each) for each in refused] == [LedgerUnavailable] * 2
    assert children() == before


def children(module: str = "") -> list[int]:
    """Give the processes that this one started, waited for or not; or those that run a module."""
    every = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    ids = [int(each) for listed in every for each in listed.read_text(encoding="ascii").split()]
    return sorted(each for each in ids if module in command_of(each))


def command_of(pid: int) -> str:
    """Give how a process was started; nothing when it is over, but still not waited for or just gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_the_process_outlives_signals_to_its_group_and_ends_with_whoever_it_reads_for() -> None:
    ours, theirs = Pipe()
    words = [sys.executable, "-m", "receivers.apart", str(theirs.fileno())]
    with subprocess.Popen(words, cwd=CHECKOUT, pass_fds=[theirs.fileno()]) as process, ours, theirs:
        theirs.close()
        for number in (None, signal.SIGINT, signal.SIGTERM):
            if number is not None:
                process.send_signal(number)
            ours.send((GITHUB.path, request(b"{}")))
            ours.send_bytes(b"{}")
            assert ours.recv() == GITHUB.read(request(b"{}"))
        ours.close()
        assert process.wait(ENDS_S) == 0
