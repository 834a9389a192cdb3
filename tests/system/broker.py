"""Write to the service's queues from outside, as something broken or hostile might."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from dramatiq import Message

from tests.system.service import Service

NAMESPACE = "hookline"


@contextmanager
def valkey(service: Service) -> Iterator[redis.Redis]:
    """Connect to the service's Valkey."""
    client = redis.Redis.from_url(service.settings.resolved_redis_url)
    try:
        yield client
    finally:
        client.close()


def make_message(
    *args: object,
    actor: str = "deliver",
    queue: str = "payments",
    options: dict[str, Any] | None = None,
    **kwargs: object,
) -> bytes:
    """Make a message that Dramatiq can read, with anything in it."""
    own = {"redis_message_id": str(uuid.uuid4()), **(options or {})}
    message: Message[None] = Message(queue_name=queue, actor_name=actor, args=args, kwargs=kwargs, options=own)
    return message.encode()


def make_delayed(*args: object, queue: str, due_in_s: float) -> bytes:
    """Make a message of the kind that we never send: one that waits in the worker's memory."""
    eta = round((time.time() + due_in_s) * 1000)
    return make_message(*args, queue=f"{queue}.DQ", options={"eta": eta})


def push(client: redis.Redis, data: bytes, *, queue: str = "payments") -> None:
    """Put bytes into a queue, where Dramatiq's own enqueue would put them (dramatiq 2.2, docs/advanced.rst)."""
    message_id = _id_in(data)
    client.hset(f"{NAMESPACE}:{queue}.msgs", message_id, data)
    client.rpush(f"{NAMESPACE}:{queue}", message_id)


def _id_in(data: bytes) -> str:
    try:
        return str(json.loads(data)["options"]["redis_message_id"])
    except (ValueError, TypeError, KeyError):
        return str(uuid.uuid4())
