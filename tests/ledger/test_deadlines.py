"""How long one waits to be told that an event is on disk."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.deadlines import Deadlines
from ledger.errors import LedgerUnavailable

TIMEOUT_S = 0.05


async def _wait(deadlines: Deadlines, come_s: float, served_s: float) -> tuple[bool, float]:
    """Come, and be served so long after. Give whether that was in time, and how long it took to hear of it."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(come_s)
    came = loop.time()
    future = loop.create_future()
    deadlines.mind(future)
    loop.call_later(served_s, _serve, future)
    with suppress(LedgerUnavailable):
        await future
        return True, loop.time() - came
    return False, loop.time() - came


def _serve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 0.01, 0.03]), st.sampled_from([0, 0.02, 0.2])), max_size=12))
def test_each_waits_as_long_as_if_it_had_a_timer_of_its_own(comers: list[tuple[float, float]]) -> None:
    async def all_wait() -> list[tuple[bool, float]]:
        deadlines = Deadlines(asyncio.get_running_loop(), TIMEOUT_S)
        return await asyncio.gather(*(_wait(deadlines, *comer) for comer in comers))

    for (_, served_s), (in_time, took_s) in zip(comers, asyncio.run(all_wait()), strict=True):
        assert in_time or took_s >= min(served_s, TIMEOUT_S) - 0.005
        assert in_time == (served_s < TIMEOUT_S) or took_s > TIMEOUT_S  # a busy machine may be late with anything


@pytest.mark.anyio
async def test_who_hears_nothing_is_told_so_in_words() -> None:
    future = asyncio.get_running_loop().create_future()
    Deadlines(asyncio.get_running_loop(), 0.01).mind(future)
    with pytest.raises(LedgerUnavailable, match=r"not on disk within 0\.01 s"):
        await future
