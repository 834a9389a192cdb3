"""The app's front door, which lets webhooks through past the rest of the house.

FastAPI finds their routes too, and shows them in the OpenAPI page; on the way it builds what an endpoint might want
(routes are matched one by one, exit stacks, dependencies), which takes three times as long as to verify a signature.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Response
from starlette.types import Receive, Scope, Send

Endpoint = Callable[[Scope, Receive], Awaitable[Response]]


class Front(FastAPI):
    """A FastAPI app that answers some POSTs without FastAPI."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  # FastAPI's own
        """Take FastAPI's options."""
        super().__init__(**options)
        self._endpoints: dict[str, Endpoint] = {}

    def let_through(self, path: str, endpoint: Endpoint) -> None:
        """Answer POSTs to this path by this endpoint, which must not raise for anything that a request may hold."""
        self._endpoints[path] = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self._endpoints.get(scope["path"])
            if endpoint is not None:
                response = await endpoint(scope, receive)
                await response(scope, receive, send)
                return
        await super().__call__(scope, receive, send)
