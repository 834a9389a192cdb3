"""What is awaited for so long at most."""

import asyncio

import pytest

from receivers.patience import within

pytestmark = pytest.mark.anyio


async def _answer_after(*waits: "asyncio.Future[str]") -> str:
    return " ".join([await each for each in waits])


async def test_what_is_there_already_is_given_at_once() -> None:
    assert await within(0.0, _answer_after()) == ""


async def test_what_comes_in_pieces_is_given_when_all_of_it_is_there() -> None:
    loop = asyncio.get_running_loop()
    pieces = [loop.create_future() for _ in range(3)]
    for number, piece in enumerate(pieces):
        loop.call_later(number / 1_000, piece.set_result, str(number))
    assert await within(10, _answer_after(*pieces)) == "0 1 2"


async def test_what_does_not_come_in_time_is_given_up_and_hears_of_it() -> None:
    piece = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await within(0.01, _answer_after(piece))
    assert piece.cancelled()


async def test_an_error_goes_through_from_the_first_step_and_from_a_later_one() -> None:
    loop = asyncio.get_running_loop()
    failed, fails = loop.create_future(), loop.create_future()
    failed.set_exception(ValueError("at once"))
    loop.call_soon(fails.set_exception, ValueError("later"))
    for piece in (failed, fails):
        with pytest.raises(ValueError, match=r"at once|later"):
            await within(10, _answer_after(piece))


async def test_whoever_is_cancelled_while_waiting_is_cancelled() -> None:
    task = asyncio.ensure_future(within(10, _answer_after(asyncio.get_running_loop().create_future())))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
