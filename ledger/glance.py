"""A question whose answer may take long, or never come: asked now and then by a thread of its own, and remembered."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

FRESH_S = 5.0

log = structlog.get_logger()

T = TypeVar("T")


class Glance(Generic[T]):
    """One question. However many ask it, it is asked once at a time, and nobody waits longer than they want to."""

    def __init__(
        self, name: str, ask: Callable[[], T], *, fresh_s: float = FRESH_S, keep_s: float = 0.0, rest: int = 0
    ) -> None:
        """Take the question.

        Args:
            name: of the thread.
            ask: gives the answer; what it raises is logged, and is no answer.
            fresh_s: how long an answer is not asked for again.
            keep_s: how long after that it is better than none, while the next one is on its way.
            rest: an answer stays fresh for so many times as long as it took, if that is longer.

        """
        self._ask = ask
        self._fresh_s = fresh_s
        self._keep_s = keep_s
        self._rest = rest
        self._changed = threading.Condition()
        self._wanted = False
        self._answer: T | None = None
        self._answered = 0  # how often
        self._fresh_until = float("-inf")  # monotonic seconds
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def begin(self) -> None:
        """Ask, unless there is a fresh answer or the question is on its way."""
        with self._changed:
            if self._is_fresh():
                return
            self._wanted = True
            if self._thread.ident is None:
                self._thread.start()
            self._changed.notify_all()

    def answer(self, *, wait_s: float) -> T | None:
        """Give the answer, if there is one that is fresh or comes in time, or an older one that will do."""
        with self._changed:
            self.begin()
            known = self._answered
            self._changed.wait_for(lambda: self._is_fresh() or self._answered > known, wait_s)
            came = self._answered > known
            return self._answer if came or time.monotonic() < self._fresh_until + self._keep_s else None

    def _is_fresh(self) -> bool:
        return time.monotonic() < self._fresh_until

    def _run(self) -> None:
        # One thread for all time: brokers keep a connection for each thread that ever asked them something.
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted)
            began = time.monotonic()
            answer = self._try()
            ended = time.monotonic()
            with self._changed:
                self._wanted = False
                self._answer = answer
                self._answered += 1
                self._fresh_until = ended + max(self._fresh_s, self._rest * (ended - began))
                self._changed.notify_all()

    def _try(self) -> T | None:
        try:
            return self._ask()
        except Exception:
            log.exception("no answer", asked=self._thread.name)
            return None
