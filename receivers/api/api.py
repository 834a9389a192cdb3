"""Puts the API into the app: the gate, the endpoints, and how each error is answered."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from config.settings import Settings
from handlers.choice import UnknownHandler
from handlers.payments.views import SeveralObjects
from handlers.router import Handler
from ledger.errors import LedgerUnavailable, SeveralEvents, Unknown
from ledger.names import UnknownName
from ledger.selection import NeverHandled
from ledger.store import Ledger
from receivers.api.book import Book
from receivers.api.counting import Counting
from receivers.api.doing import Doing
from receivers.api.gate import Gate
from receivers.api.looking import Looking
from receivers.api.names import Names
from receivers.api.problems import Refused, declared, explain
from receivers.api.running import Running

PREFIX = "/api/v1"

MAX_TOLD = 5
# Mistakes in one request that are told.


def add_api(
    app: FastAPI,
    ledger: Ledger,
    handlers: Mapping[str, Handler],
    settings: Settings,
    *,
    configured: Mapping[str, bool],
) -> None:
    """Add the API.

    Args:
        app: what to.
        ledger: for it alone: it must not take the connections that webhooks need.
        handlers: by name.
        settings: how old things are when they may go.
        configured: whether each source has a secret.

    """
    bearer = HTTPBearer(auto_error=False, description="`hookline tokens create` makes one.")
    router = APIRouter(
        prefix=PREFIX,
        tags=["api"],
        dependencies=[Security(bearer)],
        responses=declared(401, 403, 422, 429, 503),
    )
    known = Names(sources=configured, handlers=handlers)
    Looking(ledger, known).add_to(router)
    Counting(ledger, known, configured).add_to(router)
    Book(ledger).add_to(router)
    Doing(ledger, known, handlers).add_to(router)
    Running(ledger, settings).add_to(router)
    app.include_router(router)
    app.add_middleware(Gate, ledger=ledger)
    for error, answer in (
        (Refused, _refused),
        (RequestValidationError, _unusable),
        (LedgerUnavailable, _unavailable),
        (UnknownName, _unknown_name),
        (UnknownHandler, _unknown_name),
        (NeverHandled, _unknown_name),
        (Unknown, _unknown),
        (SeveralEvents, _ambiguous),
        (SeveralObjects, _ambiguous),
    ):
        app.add_exception_handler(error, answer)


async def _refused(_request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, Refused) else HTTPStatus.BAD_REQUEST
    return explain(status, str(error))


async def _unusable(_request: Request, error: Exception) -> Response:
    """Say what is wrong, and never what was sent: it may be no text at all."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    sentences = [f"{'.'.join(str(part) for part in each['loc'][:3])}: {each['msg']}" for each in problems[:MAX_TOLD]]
    detail = "; ".join(sentences).encode("utf-8", "replace").decode()
    return explain(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


async def _unavailable(_request: Request, error: Exception) -> Response:
    return explain(HTTPStatus.SERVICE_UNAVAILABLE, f"The ledger does not answer: {error}")


async def _unknown_name(_request: Request, error: Exception) -> Response:
    return explain(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))


async def _unknown(_request: Request, error: Exception) -> Response:
    return explain(HTTPStatus.NOT_FOUND, str(error))


async def _ambiguous(_request: Request, error: Exception) -> Response:
    return explain(HTTPStatus.CONFLICT, str(error))
