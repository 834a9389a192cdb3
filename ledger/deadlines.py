"""One timer for all who wait to be told that their event is on disk: one each would cost as much as to hash a body."""

import asyncio
from collections import deque
from typing import Any, TypeAlias

from ledger.errors import LedgerUnavailable

Future: TypeAlias = "asyncio.Future[Any]"


class Deadlines:
    """Fails those futures of one event loop that are not done in time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        self.loop = loop
        self.timeout_s = timeout_s
        self._waiting: deque[tuple[float, Future]] = deque()  # by when, in the loop's time
        self._timer: asyncio.TimerHandle | None = None

    def mind(self, future: Future) -> None:
        """Fail this future with LedgerUnavailable when it has not been done for `timeout_s` from now."""
        self._forget_done()
        self._waiting.append((self.loop.time() + self.timeout_s, future))
        if self._timer is None:
            self._timer = self.loop.call_later(self.timeout_s, self._look)

    def _forget_done(self) -> None:
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()

    def _look(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.loop.time():
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(LedgerUnavailable(f"not on disk within {self.timeout_s:g} s"))
        self._timer = self.loop.call_at(self._waiting[0][0], self._look) if self._waiting else None
