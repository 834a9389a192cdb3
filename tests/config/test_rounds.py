"""What is done once for a whole round of an event loop."""

import asyncio
from collections.abc import Sequence

import pytest

from config.rounds import Round


def test_without_an_event_loop_each_is_handed_on_at_once() -> None:
    got: list[Sequence[int]] = []
    each = Round(got.append)
    each.add(1)
    each.add(2)
    assert got == [[1], [2]]


@pytest.mark.anyio
async def test_what_one_round_brings_is_handed_on_together_and_in_order() -> None:
    got: list[Sequence[int]] = []
    round_ = Round(got.append)
    for _ in range(2):
        round_.add(1)
        round_.add(2)
        await asyncio.sleep(0)
    assert got == [[1, 2], [1, 2]]


def test_a_loop_that_ended_early_holds_nothing_up_in_the_next_one() -> None:
    got: list[Sequence[int]] = []
    round_ = Round(got.append)
    stopped = asyncio.new_event_loop()
    stopped.call_soon(stopped.stop)
    stopped.call_soon(round_.add, 1)
    stopped.run_forever()
    stopped.close()

    async def add() -> None:
        round_.add(2)
        await asyncio.sleep(0)

    asyncio.run(add())
    assert [2] in got
