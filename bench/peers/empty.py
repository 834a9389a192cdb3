"""An empty FastAPI endpoint: it reads the body and answers 200. Nothing less can be called a receiver."""

from fastapi import FastAPI, Request, Response


def create_app() -> FastAPI:
    """Make the app."""
    app = FastAPI()
    for path in ("/webhooks/stripe", "/webhooks/github"):
        app.add_api_route(path, receive, methods=["POST"])
    return app


async def receive(request: Request) -> Response:
    """Read the body."""
    await request.body()
    return Response()
