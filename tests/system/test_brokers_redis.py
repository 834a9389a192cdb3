"""Redis as the broker: full, hung, emptied and failed over under load, and nobody who sends notices."""

from pathlib import Path

import pytest
import redis

from tests.cli.dev.waiting import wait_until
from tests.servers.ports import unused_port
from tests.servers.redis import RedisServer, redis_program
from tests.servers.sentinel import Watched
from tests.servers.tls import issue_certificate
from tests.system.conftest import MakeService
from tests.system.sender import Sender
from tests.system.slack_stand_in import SlackStandIn
from tests.system.unnoticed import check_handled, check_unnoticed, mixture

PASSWORD = "pass word/1"
ESCAPED = "pass%20word%2F1"

BETWEEN = 30

FAILED_OVER_S = 60.0


def test_every_accepted_event_is_handled_whatever_happens_to_a_redis_behind_tls_and_a_password(
    tmp_path: Path, service_with: MakeService, slack: SlackStandIn, request: pytest.FixtureRequest
) -> None:
    files, port = issue_certificate(tmp_path), unused_port()
    options = {"--tls-port": str(port), "--requirepass": PASSWORD}
    server = RedisServer({**files.for_redis, **options}, program=redis_program())
    request.addfinalizer(server.close)
    server.start()
    url = f"rediss://default:{ESCAPED}@127.0.0.1:{port}/0?ssl_ca_certs={files.authority}"
    service = service_with(environ={"REDIS_URL": url})
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    service.start()

    with (
        redis.Redis(port=server.port, password=PASSWORD) as client,
        sender.load(mixture(), at_once=4, pause_s=0.05) as load,
    ):
        load.wait_for_accepted(BETWEEN)
        client.config_set("maxmemory", 1)
        load.wait_for_accepted(BETWEEN)
        client.config_set("maxmemory", 0)
        load.wait_for_accepted(BETWEEN)
        client.flushall()
        load.wait_for_accepted(BETWEEN)
        server.freeze()
        load.wait_for_accepted(BETWEEN)
        server.thaw()
        load.wait_for_accepted(BETWEEN)

    check_unnoticed(service, sender, load)
    check_handled(service, slack)
    assert service["worker"].runs()


def test_every_accepted_event_is_handled_though_the_master_is_killed_and_its_replica_takes_over(
    tmp_path: Path, service_with: MakeService, slack: SlackStandIn, request: pytest.FixtureRequest
) -> None:
    watched = Watched(password="master", sentinel_password="watcher")
    request.addfinalizer(watched.close)
    watched.start()
    service = service_with(environ={"REDIS_URL": watched.url})
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    service.start()

    with sender.load(mixture(), at_once=4, pause_s=0.05) as load:
        load.wait_for_accepted(BETWEEN)
        watched.first.kill()
        wait_until(lambda: watched.master_port() == watched.second.port, timeout_s=FAILED_OVER_S)
        load.wait_for_accepted(BETWEEN)

    check_unnoticed(service, sender, load)
    check_handled(service, slack)
