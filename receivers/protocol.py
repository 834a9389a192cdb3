"""uvicorn's HTTP/1.1 with two bounds that it lacks, an end that cuts nobody off, and a short way for the usual answer.

The bounds: how large a request's head may be, and how long it may take.
Without them anybody fills the memory: httptools keeps headers without end, and trailers after a body likewise. Measured
with uvicorn 0.54, one connection, no signature: 900 MB in 4 s, and the event loop busy for as long. And whoever sends a
head byte by byte, or nothing, holds a socket for ever.

The end: uvicorn closes each connection on which no request is being answered, also one whose request is just coming in.
Here such a connection gets a little time, and the answer to its request says that it is the last. The Procfile names
this class (`--http`).

The short way (receivers/ok.py): uvicorn takes an answer in two pieces, looks through its headers, and writes twice. For
the same bytes that is 7 µs, more than to verify a signature.
"""

import asyncio
from functools import lru_cache

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from receivers.ending import Ending
from receivers.ok import IN_ONE_PIECE

MAX_HEAD_BYTES = 64 * 1024
# Every provider's head is under 4 KiB. What one read of the socket brings (256 KiB at most) may come on top.

HEAD_TIMEOUT_S = 10.0

LAST_REQUEST_S = 1.0
# How long a connection may stay idle when the process ends. Whoever sends later than that finds it closed.

TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0  # received since the last complete head, or the last piece of a body
    _deadline: asyncio.TimerHandle | None = None
    _ends = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        """Expect a head."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._expect_nothing()
        super().connection_lost(exc)
        if self.scope:
            self.scope.pop("extensions", None)  # else it and this connection would hold each other

    def data_received(self, data: bytes) -> None:
        """Parse what came. The parser calls the `on_…` methods below."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse()
        elif self._deadline is None and not self._is_answering():
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Begin a request. From here on `receivers.body` minds the time."""
        self._head_bytes = 0
        self._expect_nothing()
        super().on_headers_complete()
        if self._is_last():
            self.cycle.keep_alive = False
        self.scope["extensions"] = {IN_ONE_PIECE: self._send_ok}  # type: ignore[dict-item]  # one of our own

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of a body."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._head_bytes = 0
        super().on_message_complete()

    def shutdown(self) -> None:
        """Answer what is being answered, and what comes within LAST_REQUEST_S. Called by uvicorn when it ends."""
        self._ends = True
        if self._is_answering():
            super().shutdown()
        else:
            self.loop.call_later(LAST_REQUEST_S, self._close_if_idle)

    def _send_ok(self, scope: Scope, rest: bytes) -> bool:
        """Do what the `send` of a request's cycle does, if all is as usual. Say whether it was done."""
        cycle = self.cycle
        if cycle.scope is not scope:  # the next request has come already
            return False
        if cycle.disconnected or cycle.response_started or not cycle.keep_alive or self.flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        self.transport.write(_begin_ok(tuple(self.server_state.default_headers)) + rest)
        cycle.message_event.set()
        cycle.on_response()
        return True

    def _close_if_idle(self) -> None:
        if not self._is_answering() and not self._head_bytes:  # a head that has begun has its own deadline
            self.transport.close()

    def _is_last(self) -> bool:
        ending: Ending | None = self.app_state.get("ending")
        return self._ends or (ending is not None and ending.begun)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self) -> None:
        if not self._is_answering():  # else these are trailers, and an answer to their request may be under way
            self.transport.write(TOO_LARGE)
        self.transport.close()


@lru_cache(maxsize=1)
def _begin_ok(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Write the status and the server's own headers, which are the same for a second."""
    return b"HTTP/1.1 200 OK\r\n" + b"".join([b"%s: %s\r\n" % header for header in headers])
