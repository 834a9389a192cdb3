"""The gate before the API: nobody passes without a token that is good, and no body that is too large or too slow.

It stands before FastAPI, which would read a whole body first and ask who sent it after that.
"""

import asyncio
import time
from http import HTTPStatus

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger import tokens
from ledger.errors import LedgerUnavailable
from ledger.store import Ledger
from ledger.tokens import Bearer
from receivers.answers import problem
from receivers.api.problems import explain

PREFIX = "/api/"

MAX_BODY_BYTES = 1024 * 1024
BODY_TIMEOUT_S = 10.0

MAX_AT_ONCE = 2
# Requests that are worked on. Webhooks come first: every thread takes its share of the one interpreter from them.

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
        self._room = asyncio.Semaphore(MAX_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        try:
            bearer = await to_thread.run_sync(self._check, _token(scope), limiter=self._threads)
        except LedgerUnavailable as error:
            await explain(HTTPStatus.SERVICE_UNAVAILABLE, f"The ledger does not answer: {error}")(scope, receive, send)
            return
        if bearer is None:
            await problem(HTTPStatus.NOT_FOUND)(scope, receive, send)
        elif isinstance(bearer, str):
            await explain(HTTPStatus.UNAUTHORIZED, bearer, REALM)(scope, receive, send)
        elif _announced_bytes(scope) > MAX_BODY_BYTES:
            await explain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)(scope, receive, send)
        else:
            scope[BEARER] = bearer
            async with self._room:
                await self._app(scope, _bounded(receive), send)

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


TOO_LARGE = f"The body is larger than {MAX_BODY_BYTES:,} bytes."


def _token(scope: Scope) -> str | None:
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, token = given[0].decode("latin-1").partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else None


def _announced_bytes(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return max((int(each) for each in lengths if each.isdigit()), default=0)


def _bounded(receive: Receive) -> Receive:
    """Bound a body in size and time."""
    until = asyncio.get_running_loop().time() + BODY_TIMEOUT_S
    read_bytes = 0
    complete = False

    async def receive_bounded() -> Message:
        nonlocal read_bytes, complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from None
        read_bytes += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if read_bytes > MAX_BODY_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return message

    return receive_bounded
