"""The layers under an endpoint, one by one: a bare ASGI callable, and the same as a route of Starlette's."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = "/webhooks/stripe"


def create_bare() -> Any:  # noqa: ANN401  # an ASGI callable, which has no public type
    """Make the least that uvicorn can serve."""
    return bare


async def bare(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401
    """Read the body and answer 200."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def _live(receive: Any, send: Any) -> None:  # noqa: ANN401
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def create_starlette() -> Starlette:
    """Make the same as a route of Starlette's."""
    return Starlette(routes=[Route(PATH, _endpoint, methods=["POST"])])


async def _endpoint(request: Request) -> Response:
    await request.body()
    return Response()
