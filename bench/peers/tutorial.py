"""The endpoint of the tutorials: `construct_event`, then `.send()` of the payload, in the endpoint itself."""

import os
from typing import Annotated

import dramatiq
import stripe
from dramatiq.brokers.redis import RedisBroker
from fastapi import FastAPI, Header, HTTPException, Request

SECRET_VARIABLE = "STRIPE_WEBHOOK_SECRET"  # noqa: S105  # its name
QUEUE = "webhooks"


def create_app() -> FastAPI:
    """Make the app and its broker. No worker is needed: what is sent stays in the queue."""
    broker = RedisBroker(url=os.environ["REDIS_URL"])  # type: ignore[no-untyped-call]  # Dramatiq has no annotations here
    secret = os.environ[SECRET_VARIABLE]
    handle = dramatiq.actor(broker=broker, queue_name=QUEUE)(_handle)
    app = FastAPI()

    @app.post("/webhooks/stripe")
    async def receive(request: Request, stripe_signature: Annotated[str, Header()]) -> dict[str, str]:
        payload = await request.body()
        try:
            stripe.Webhook.construct_event(payload, stripe_signature, secret)
        except (ValueError, stripe.SignatureVerificationError):
            raise HTTPException(400) from None
        handle.send(payload.decode())
        return {"status": "success"}

    return app


def _handle(_payload: str) -> None:
    """Do what a tutorial leaves to its reader."""
