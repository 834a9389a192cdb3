"""Whether the broker that the environment names answers."""

import redis
from pika import BlockingConnection, ConnectionParameters
from pika.exceptions import ProbableAccessDeniedError, ProbableAuthenticationError

from cli.dev.preflight import nothing_answers
from config.brokers.errors import BROKER_ERRORS, describe
from config.brokers.rabbitmq import connection_parameters
from config.brokers.redis import make_client
from config.brokers.url import RabbitmqUrl, RedisUrl, parse_rabbitmq_url, parse_redis_url
from config.errors import BrokerUnreachable
from config.settings import Settings


def check_named_broker(settings: Settings) -> None:
    """See that it answers. Raises BrokerUnreachable, as `cli.dev.preflight.check_broker`."""
    if settings.rabbitmq_url is not None:
        _check_rabbitmq(parse_rabbitmq_url(settings.rabbitmq_url))
    elif settings.redis_url is not None:
        _check_redis(parse_redis_url(settings.redis_url))


def _check_redis(url: RedisUrl) -> None:
    with make_client(url) as client:
        try:
            client.ping()
        except redis.BusyLoadingError:
            return
        except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
            raise BrokerUnreachable(_access_refused("REDIS_URL", url.place, error)) from None
        except redis.RedisError as error:
            raise BrokerUnreachable(nothing_answers("REDIS_URL", url.place, error)) from None


def _check_rabbitmq(url: RabbitmqUrl) -> None:
    try:
        BlockingConnection([ConnectionParameters(**each) for each in connection_parameters(url)]).close()
    except (ProbableAuthenticationError, ProbableAccessDeniedError) as error:
        raise BrokerUnreachable(_access_refused("RABBITMQ_URL", url.place, error)) from None
    except BROKER_ERRORS as error:
        raise BrokerUnreachable(nothing_answers("RABBITMQ_URL", url.place, error)) from None


def _access_refused(variable: str, place: str, error: BaseException) -> str:
    return f"what answers at {variable} ({place}) refuses access: {describe(error)}"
