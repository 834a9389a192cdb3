"""What can go wrong with a broker while it is used."""

import redis
from dramatiq.errors import ConnectionFailed, DramatiqError
from pika.adapters.utils.connection_workflow import (
    AMQPConnectorException,
    AMQPConnectorPhaseErrorBase,
    AMQPConnectorStackTimeout,
)
from pika.exceptions import AMQPError

BROKER_ERRORS = (redis.RedisError, AMQPError, AMQPConnectorException, DramatiqError, OSError)
# What a broker that is away, full or hung makes `enqueue` raise. Redis: also read-only after a failover, loading its
# data, out of memory, unable to save, refusing the password. pika's AMQPConnectorException is none of its AMQPError.


def describe(error: BaseException) -> str:
    """Say what went wrong in one line; pika and Dramatiq wrap what the system or RabbitMQ said."""
    inner = error.message if isinstance(error, DramatiqError) else next(iter(error.args), None)
    if isinstance(error, AMQPConnectorPhaseErrorBase):
        inner = error.exception
    if isinstance(inner, BaseException):
        return describe(inner)
    if isinstance(error, AMQPConnectorStackTimeout):
        return "it does not answer in time"
    return " ".join(str(error).partition("\n")[0].split()).rstrip(".:") or type(error).__name__


def failed(error: BaseException) -> ConnectionFailed:
    """Give Dramatiq's own error, on which its workers connect again; others they take for mistakes of their own."""
    return ConnectionFailed(describe(error))  # type: ignore[no-untyped-call]  # Dramatiq's errors have no annotations
