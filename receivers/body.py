"""Read a request's body: never more than allowed, never for longer than allowed, never too many at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from receivers.provider import MIB, Headers, Rejected

READ_TIMEOUT_S = 10.0
MAX_IN_FLIGHT_BYTES = 128 * MIB


class Budget:
    """How many bytes of bodies this process may hold at a time."""

    def __init__(self, max_bytes: int = MAX_IN_FLIGHT_BYTES) -> None:
        self._left = max_bytes

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """Open one request's share of the budget; all of it comes back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self._left += share.taken

    def take(self, size: int) -> bool:
        """Take bytes, if there are so many left."""
        if size > self._left:
            return False
        self._left -= size
        return True


class Share:
    """What one request has taken of the budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.taken = 0

    def grow(self, size: int) -> None:
        """Take more. Raises Rejected when the budget is used up."""
        if not self._budget.take(size):
            raise Rejected("too_many_bodies", HTTPStatus.SERVICE_UNAVAILABLE)
        self.taken += size


async def read_body(request: Request, headers: Headers, max_bytes: int, share: Share) -> bytes:
    """Read the whole body.

    Raises:
        Rejected: larger than `max_bytes` (413, at once if the sender says so beforehand), not complete within
            READ_TIMEOUT_S (408), or there are too many bodies in flight (503).

    """
    announced = headers.get(b"content-length")
    if announced is not None and announced.isdigit() and int(announced) > max_bytes:
        raise Rejected("body_too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            return b"".join([chunk async for chunk in _bounded(request, max_bytes, share)])
    except TimeoutError:
        raise Rejected("body_too_slow", HTTPStatus.REQUEST_TIMEOUT) from None
    except ClientDisconnect:
        raise Rejected("body_cut_off", HTTPStatus.REQUEST_TIMEOUT) from None


async def _bounded(request: Request, max_bytes: int, share: Share) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in request.stream():
        # Counted, not believed: a sender may announce less than it sends, or nothing.
        size += len(chunk)
        if size > max_bytes:
            raise Rejected("body_too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        share.grow(len(chunk))
        yield chunk
