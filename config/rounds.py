"""Do once for a whole round of the event loop what would otherwise be done for each of a hundred webhooks."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Round(Generic[T]):
    """Gathers what a round of an event loop brings and hands it on at its end. Without a loop, each at once."""

    def __init__(self, hand_on: Callable[[Sequence[T]], None]) -> None:
        self._hand_on = hand_on
        self._gathered: dict[asyncio.AbstractEventLoop, list[T]] = {}

    def add(self, item: T) -> None:
        """Take one more."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._hand_on([item])
            return
        items = self._gathered.get(loop)
        if items is None:
            items = self._gathered[loop] = []
            loop.call_soon(self._end, loop)
        items.append(item)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        self._hand_on(self._gathered.pop(loop, ()))
