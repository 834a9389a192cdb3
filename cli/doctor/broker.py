"""The broker: does it take messages, and will it keep them until they are taken?"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import redis

from cli.doctor import clock
from cli.doctor.finding import Finding, ok, problem, warning, worst
from cli.doctor.installation import Installation
from config.broker import BROKER_ERRORS, make_broker
from config.brokers.errors import describe
from config.brokers.rabbitmq import RabbitmqDoorbells
from config.brokers.redis import RedisDoorbells, make_client
from config.brokers.url import parse_redis_url
from config.settings import Settings

BROKER = "broker"

MIB = 1024 * 1024

FULL_AT = 0.7

AWAY = "events are taken in all the same, and wait in the ledger"


def check_broker(installation: Installation) -> Iterator[Finding]:
    """Look at the broker that the environment names."""
    settings = installation.settings
    broker = make_broker(settings)
    try:
        if isinstance(broker, RedisDoorbells | RabbitmqDoorbells):
            broker.probe()
    except BROKER_ERRORS as error:
        yield from _away(installation, describe(error))
    else:
        if isinstance(broker, RabbitmqDoorbells):
            yield ok(BROKER, "RabbitMQ, takes messages")
    finally:
        broker.close()
    if settings.rabbitmq_url is None:
        yield from _check_redis(installation)


def _away(installation: Installation, reason: str) -> Iterator[Finding]:
    settings = installation.settings
    if not settings.embeds_valkey:
        name = "RABBITMQ_URL" if settings.rabbitmq_url else "REDIS_URL"
        fix = f"start it, make room in it, or set {name} right"
        yield problem(BROKER, f"the server of {name} takes no messages ({reason}): {AWAY}", fix)
    elif installation.is_development:
        fix = "start it with `hookline dev` (`make run`), which also starts the broker"
        yield warning(BROKER, "the embedded Valkey does not run", fix)
    else:
        fix = "set REDIS_URL or RABBITMQ_URL; only `hookline dev` starts a broker of its own"
        yield problem(BROKER, f"no broker is named, and the embedded Valkey does not answer: {reason}", fix)


def _check_redis(installation: Installation) -> Iterator[Finding]:
    with make_client(parse_redis_url(installation.settings.resolved_redis_url)) as client:
        try:
            info: Mapping[str, Any] = client.info()
            began = time.time()
            seconds, microseconds = client.time()
            ended = time.time()
        except redis.RedisError:
            return  # that it does not answer was said before
    yield ok(BROKER, _name(info, installation.settings))
    yield from _check_role(info)
    yield _check_policy(info)
    yield from _check_memory(info)
    yield _persistence(info)
    yield clock.judge("the broker's", (began + ended) / 2 - seconds - microseconds / 1e6)


def _name(info: Mapping[str, Any], settings: Settings) -> str:
    valkey = info.get("valkey_version")
    name = f"Valkey {valkey}" if valkey else f"Redis {info.get('redis_version', '')}"
    return f"{name}, embedded" if settings.embeds_valkey else name


def _check_role(info: Mapping[str, Any]) -> Iterator[Finding]:
    if info.get("cluster_enabled"):
        fix = "use a server without cluster mode, or Sentinels (redis+sentinel://…): Dramatiq's scripts touch many keys"
        yield problem(BROKER, "this is a Redis Cluster, which cannot be used", fix)
    if info.get("role") == "slave":
        fix = "set REDIS_URL to the master, or name the Sentinels (redis+sentinel://…), which know it"
        yield problem(BROKER, "this is a replica: it can only be read", fix)


def _check_policy(info: Mapping[str, Any]) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    found = f"maxmemory-policy {policy}"
    if policy != "noeviction":
        fix = "CONFIG SET maxmemory-policy noeviction, and in its configuration file; give caches a server of their own"
        return problem("broker eviction", f"{found}: when it is full, it throws messages away", fix)
    return ok("broker eviction", found)


def _check_memory(info: Mapping[str, Any]) -> Iterator[Finding]:
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not limit:
        yield ok("broker memory", f"{used / MIB:,.0f} MiB used, no limit is set")
        return
    found = f"{used / MIB:,.0f} of {limit / MIB:,.0f} MiB used"
    fix = "raise maxmemory, or see who else uses this server: Hookline's own messages are ids and small"
    yield worst("broker memory", used / limit, warn_at=FULL_AT, problem_at=0.95, found=found, fix=fix)


def _persistence(info: Mapping[str, Any]) -> Finding:
    how = "append-only file" if info.get("aof_enabled") else "snapshots at most"
    return ok("broker persistence", f"{how}; not needed: the ledger is the record, and lost doorbells are rung again")
