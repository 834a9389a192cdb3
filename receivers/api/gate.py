"""The gate before the API: nobody passes without a token that is good, and no body that is too large or too slow.

It stands before FastAPI, which would read a whole body first and ask who sent it after that. Whoever is let in waits
for a room, and not without end. The rooms are few, and who waits for a turn to write takes not all of them.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus

from anyio import CapacityLimiter, to_thread
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger import tokens
from ledger.errors import LedgerUnavailable
from ledger.store import Ledger
from ledger.tokens import Bearer
from receivers.answers import problem
from receivers.api.knocks import Knocks, address_of
from receivers.api.problems import explain
from receivers.body import Budget, read_body
from receivers.provider import MIB, Headers, Rejected

PREFIX = "/api/"

MAX_BODY_BYTES = MIB
MAX_IN_FLIGHT_BYTES = 32 * MIB

MAX_AT_ONCE = 2
# Requests that are worked on. Webhooks come first: every thread takes its share of the one interpreter from them.

MAX_WRITING = 1
# Of those. What writes may wait for its turn for seconds; who only reads must not wait for that.

ROOM_S = 10.0
# How long a request waits until it is worked on.

READING = frozenset({"GET", "HEAD", "OPTIONS"})
LOOKING = ("/selection", "/preview")
# How the paths end at which a POST only asks.

KNOWN_S = 5.0
# How long it may take until a new token passes, from an address that is held back.

BEARER = "hookline.bearer"
# Where in a request's scope the endpoints find who asks.

REALM = {"WWW-Authenticate": 'Bearer realm="hookline"'}


class Gate:
    """Lets requests to the API through, and everything else past it."""

    def __init__(self, app: ASGIApp, *, ledger: Ledger) -> None:
        """Take what is behind the gate, and the ledger that knows the tokens."""
        self._app = app
        self._ledger = ledger
        self._threads = CapacityLimiter(MAX_AT_ONCE)
        self._budget = Budget(MAX_IN_FLIGHT_BYTES)
        self._rooms = asyncio.Semaphore(MAX_AT_ONCE)
        self._writing = asyncio.Semaphore(MAX_WRITING)
        self._knocks = Knocks()
        self._known: frozenset[str] = frozenset()
        self._known_until = -math.inf
        self._asking = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        try:
            scope[BEARER] = await self._bearer(scope)
            with self._budget.share() as share:
                # While others are worked on: it may come slowly.
                body = await read_body(receive, Headers(scope["headers"]), MAX_BODY_BYTES, share)
                async with self._room(scope):
                    await self._app(scope, _given(body, receive), send)
        except LedgerUnavailable as error:
            await explain(HTTPStatus.SERVICE_UNAVAILABLE, f"The ledger does not answer: {error}")(scope, receive, send)
        except Rejected as rejected:
            await _refusal(rejected.status)(scope, receive, send)
        except _Stopped as stopped:
            await stopped.answer(scope, receive, send)

    async def _bearer(self, scope: Scope) -> Bearer:
        """Say who asks.

        Raises:
            LedgerUnavailable: nobody can say.
            _Stopped: they may not.

        """
        token, address = _token(scope), address_of(scope.get("client"))
        wait_s = self._knocks.wait_s(address)
        if wait_s > 0 and not await self._is_known(token):
            again = {"Retry-After": str(math.ceil(wait_s))}
            raise _Stopped(explain(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY, again))
        self._knocks.note(address)  # now, so that many at once do not all pass
        bearer = await to_thread.run_sync(self._check, token, limiter=self._threads)
        if bearer is None:  # there is no API, and nobody is to learn of it by knocking
            self._knocks.forgive(address)
            raise _Stopped(problem(HTTPStatus.NOT_FOUND))
        if isinstance(bearer, str):
            raise _Stopped(explain(HTTPStatus.UNAUTHORIZED, bearer, REALM))
        self._knocks.forgive(address)
        return bearer

    async def _is_known(self, token: str | None) -> bool:
        """Say whether a token was good a moment ago. The ledger is asked once for all who come meanwhile."""
        if token is None:
            return False
        async with self._asking:
            if time.monotonic() > self._known_until:
                self._known = await to_thread.run_sync(self._good, limiter=self._threads)
                self._known_until = time.monotonic() + KNOWN_S
        return tokens.digest(token) in self._known

    def _good(self) -> frozenset[str]:
        with self._ledger.read() as db:
            return tokens.good_digests(db, now=time.time())

    def _check(self, token: str | None) -> Bearer | str | None:
        """Say who asks; or what is wrong with their token; or None: there is no API."""
        now = time.time()
        with self._ledger.read() as db:
            bearer = tokens.check(db, token, now=now) if token is not None else None
            if bearer is None and not tokens.any_good(db, now=now):
                return None
        if token is None:
            return "Send a token: Authorization: Bearer hkl_…"
        return bearer or "This token is not one, or was revoked, or has expired."

    @asynccontextmanager
    async def _room(self, scope: Scope) -> AsyncIterator[None]:
        writes = scope["method"] not in READING and not scope["path"].endswith(LOOKING)
        async with AsyncExitStack() as rooms:
            try:
                async with asyncio.timeout(ROOM_S):
                    if writes:
                        await rooms.enter_async_context(self._writing)
                    await rooms.enter_async_context(self._rooms)
            except (TimeoutError, asyncio.CancelledError):  # uvicorn cancels what waits when it ends
                raise _Stopped(_refusal(HTTPStatus.SERVICE_UNAVAILABLE)) from None
            yield


class _Stopped(Exception):
    """A request goes no further than the gate."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


TOO_MANY = "Too many requests without a good token came from this address."
REFUSALS = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"The body is larger than {MAX_BODY_BYTES:,} bytes.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Others are asking: too many of them came before this.",
}


def _token(scope: Scope) -> str | None:
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, token = given[0].decode("latin-1").partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else None


def _refusal(status: HTTPStatus) -> Response:
    return explain(status, REFUSALS[status]) if status in REFUSALS else problem(status)


def _given(body: bytes, receive: Receive) -> Receive:
    """Give what was read as if it came now."""
    message: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def receive_it() -> Message:
        nonlocal message
        if message is None:
            return await receive()
        given, message = message, None
        return given

    return receive_it
