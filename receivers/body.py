"""Read a request's body: never more than allowed, never for longer than allowed, never too many at once."""

import asyncio
from http import HTTPStatus
from types import TracebackType
from typing import Self

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from receivers.patience import within
from receivers.provider import MIB, Headers, Rejected

READ_TIMEOUT_S = 10.0
MAX_IN_FLIGHT_BYTES = 128 * MIB

FREE_BYTES = 64 * 1024
# The beginning of each body is not counted: else a handful of large ones, which need no right signature to be read,
# would have every other request refused. uvicorn holds as much of each connection anyway.

BREATH_BYTES = 256 * 1024
BREATH_S = 0.002
# After so much of a body, everybody else has the event loop and the interpreter's lock to themselves for so long: to
# take 25 MB in takes 60 ms, in which commits of small events would wait for that lock again and again.

MAX_LENGTH_DIGITS = 18
# Python's int() raises from 4,301 digits on; leading zeros get that many past the parser.


class Budget:
    """How many bytes of bodies this process may hold at a time."""

    def __init__(self, max_bytes: int = MAX_IN_FLIGHT_BYTES) -> None:
        self._left = max_bytes

    def share(self) -> "Share":
        """Open one request's share of the budget."""
        return Share(self)

    def take(self, size: int) -> bool:
        """Take bytes, if there are so many left."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Take no longer what was taken."""
        self._left += size


class Share:
    """What one request has taken of the budget; all of it comes back at the end of the block."""

    __slots__ = ("_budget", "taken")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.taken:
            self._budget.give_back(self.taken)

    def grow_to(self, size: int) -> None:
        """Take what a body of this size costs. Raises Rejected when the budget is used up."""
        if size <= FREE_BYTES:
            return
        more = size - FREE_BYTES - self.taken
        if not self._budget.take(more):
            raise Rejected("too_many_bodies", HTTPStatus.SERVICE_UNAVAILABLE)
        self.taken += more


async def read_body(receive: Receive, headers: Headers, max_bytes: int, share: Share) -> bytes:
    """Read the whole body.

    Raises:
        Rejected: larger than `max_bytes` (413, at once if the sender says so beforehand), not complete within
            READ_TIMEOUT_S (408), there are too many bodies in flight, or this process ends (503).

    """
    if _announced_size(headers) > max_bytes:
        raise Rejected("body_too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        return await within(READ_TIMEOUT_S, _read_bounded(receive, max_bytes, share))
    except TimeoutError:
        raise Rejected("body_too_slow", HTTPStatus.REQUEST_TIMEOUT) from None
    except ClientDisconnect:
        raise Rejected("body_cut_off", HTTPStatus.REQUEST_TIMEOUT) from None
    except asyncio.CancelledError:  # uvicorn, at the end of its graceful shutdown: it would answer 500
        raise Rejected("shutting_down", HTTPStatus.SERVICE_UNAVAILABLE) from None


def _announced_size(headers: Headers) -> int:
    length = headers.get(b"content-length") or b""
    return int(length) if length.isdigit() and len(length) <= MAX_LENGTH_DIGITS else 0


async def _read_bounded(receive: Receive, max_bytes: int, share: Share) -> bytes:
    chunks: list[bytes] = []
    size = rested = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        # Counted, not believed: a sender may announce less than it sends, or nothing.
        size += len(chunk)
        if size > max_bytes:
            raise Rejected("body_too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        share.grow_to(size)
        if len(chunk) == size and not more:
            return chunk  # most bodies come in one
        chunks.append(chunk)
        if size - rested >= BREATH_BYTES:
            rested = size
            await asyncio.sleep(BREATH_S)
    if size > BREATH_BYTES:
        return await asyncio.to_thread(b"".join, chunks)  # to join 25 MB takes 10 ms, without the lock
    return b"".join(chunks)
