"""How the API's endpoints are declared: each with its scope, its answer, and its refusals."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from ledger.tokens import Scope
from receivers.api.access import needs
from receivers.api.problems import declared, summary_of

Answers = dict[int | str, dict[str, Any]]

RAW: Answers = {200: {"description": "The exact bytes that were signed", "content": {"application/octet-stream": {}}}}


def add_endpoint(
    router: APIRouter,
    path: str,
    endpoint: Callable[..., Any],
    *,
    scope: Scope,
    shape: type[BaseModel] | None,
    refusals: tuple[int, ...],
    method: str = "GET",
    status: int = 200,
) -> None:
    """Add one endpoint; its docstring's first line is its summary.

    Args:
        router: where to.
        path: below the API's own.
        endpoint: a plain function: FastAPI runs it in a thread, and the event loop is free for webhooks meanwhile.
        scope: what a token needs.
        shape: of the answer; None: the bytes of a webhook.
        refusals: statuses of the problems that it may answer with, beside those of every endpoint.
        method: GET, POST or DELETE.
        status: of the answer.

    """
    answers: Answers = {status: {"model": shape}} if shape else RAW
    router.add_api_route(
        path,
        endpoint,
        methods=[method],
        summary=summary_of(endpoint),
        status_code=status,
        dependencies=[needs(scope)],
        response_model=None,
        response_class=JSONResponse if shape else Response,
        responses=answers | declared(*refusals),
    )
