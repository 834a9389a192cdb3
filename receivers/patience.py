"""Wait for so long at most, and pay for it only where there is something to wait for."""

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def within(timeout_s: float, work: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine. Raises TimeoutError if it takes longer.

    `asyncio.timeout` costs as much as to parse a webhook, and nearly every body is there before anybody asks for it.
    So the coroutine takes its first step without a timer.
    """
    try:
        awaited = work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    async with asyncio.timeout(timeout_s):
        return await _rest(work, awaited)


@coroutine
def _rest(work: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:  # noqa: ANN401  # what a loop awaits
    """Hand on what the first step waits for, then go on as `await` does."""
    while True:
        try:
            step = partial(work.send, (yield awaited))
        except BaseException as error:  # noqa: BLE001  # a cancellation, for one: it is for the work
            step = partial(work.throw, error)
        try:
            awaited = step()
        except StopIteration as done:
            result: T = done.value
            return result
