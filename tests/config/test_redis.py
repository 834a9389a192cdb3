"""Redis and Valkey as the broker: real servers, in every kind of trouble."""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from config.broker import BROKER_ERRORS, is_reachable, make_broker
from config.brokers.redis import ANSWER_TIMEOUT_S
from config.settings import load_settings
from ledger.announce import ring_deliveries
from tests.cli.dev.waiting import wait_until
from tests.servers.ports import unused_port
from tests.servers.redis import RedisServer, redis_program
from tests.servers.sentinel import Watched
from tests.servers.tls import issue_certificate

PASSWORD = "p@ss:w/rd"
ESCAPED = "p%40ss%3Aw%2Frd"

WAITS_S = ANSWER_TIMEOUT_S / 2
# A consumer, for a message, where nobody wakes it.


def broker_at(url: str) -> Any:
    return make_broker(load_settings({"REDIS_URL": url}))


def rings(broker: Any) -> bool:
    """Try to ring; what is raised is one of the errors that everybody who rings expects."""
    try:
        ring_deliveries(broker, "payments", [1])
    except BROKER_ERRORS:
        return False
    return True


@pytest.fixture
def server() -> Iterator[RedisServer]:
    server = RedisServer({"--save": "3600 1", "--enable-debug-command": "local"})
    server.start()
    yield server
    server.close()


def is_full(client: redis.Redis, _server: RedisServer) -> Callable[[], object]:
    client.config_set("maxmemory", 1)
    return lambda: client.config_set("maxmemory", 0)


def is_a_replica(client: redis.Redis, _server: RedisServer) -> Callable[[], object]:
    client.replicaof("127.0.0.1", unused_port())
    return lambda: client.replicaof("NO", "ONE")


def cannot_save(client: redis.Redis, server: RedisServer) -> Callable[[], object]:
    shutil.rmtree(server.place)
    client.bgsave()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
    return lambda: client.config_set("stop-writes-on-bgsave-error", "no")


def wants_a_password(client: redis.Redis, _server: RedisServer) -> Callable[[], object]:
    client.config_set("requirepass", PASSWORD)
    client.client_kill_filter(_type="normal", skipme=True)
    return lambda: client.config_set("requirepass", "")


def is_loading(client: redis.Redis, server: RedisServer) -> Callable[[], object]:
    debug = partial(client.execute_command, "DEBUG")
    debug("POPULATE", "2500")
    client.config_set("loading-process-events-interval-bytes", 1024)
    client.config_set("key-load-delay", 1000)  # microseconds
    reloading = threading.Thread(target=debug, args=["RELOAD"])
    reloading.start()
    wait_until(lambda: not server.answers())
    # Until it has its answer: the server answers others a moment before, and the client is closed next.
    return lambda: wait_until(lambda: server.answers() and not reloading.is_alive())


@pytest.mark.parametrize("trouble", [is_full, is_a_replica, cannot_save, wants_a_password, is_loading])
def test_a_redis_in_trouble_takes_no_messages_and_says_so_until_it_is_over(
    server: RedisServer, trouble: Callable[[redis.Redis, RedisServer], Callable[[], object]]
) -> None:
    broker = broker_at(server.url)
    client = redis.Redis.from_url(server.url)
    assert rings(broker)
    assert is_reachable(broker)

    repair = trouble(client, server)

    assert not rings(broker)
    assert not is_reachable(broker)
    repair()
    assert is_reachable(broker)
    assert rings(broker)
    client.close()
    broker.client.close()


def test_a_demoted_master_is_left_for_whoever_has_its_name_now() -> None:
    """As hosting companies do it: one name, another server behind it, and the old one keeps its connections."""
    server = RedisServer()
    server.start()
    broker = broker_at(server.url)
    assert rings(broker)
    connections = server.client()
    known = {each["id"] for each in connections.client_list()}

    connections.replicaof("127.0.0.1", unused_port())

    assert not rings(broker)
    wait_until(lambda: len({each["id"] for each in connections.client_list()} & known) == 1)
    connections.close()
    broker.client.close()
    server.close()


def test_tls_checks_the_certificate_and_the_password(tmp_path: Path) -> None:
    files, port = issue_certificate(tmp_path), unused_port()
    more = {"--tls-port": str(port), "--requirepass": PASSWORD}
    server = RedisServer({**files.for_redis, **more}, program=redis_program())
    server.start()

    url = f"rediss://default:{ESCAPED}@127.0.0.1:{port}/0"
    known = f"?ssl_ca_certs={files.authority}"
    assert rings(broker_at(url + known))
    assert rings(broker_at(f"{url}?ssl_cert_reqs=none"))
    assert not rings(broker_at(url))  # the system knows nothing of this authority
    assert not rings(broker_at(url.replace(ESCAPED, "wrong") + known))
    assert not rings(broker_at(url.replace("127.0.0.1", "localhost") + known))
    server.close()


def test_with_tls_the_sentinels_are_asked_over_tls_too(tmp_path: Path) -> None:
    watched = Watched(password="master", sentinel_password="watcher", certificate=issue_certificate(tmp_path))
    try:
        watched.start()
        assert rings(broker_at(watched.url))
        assert not rings(broker_at(watched.url.partition("&ssl_ca_certs")[0]))
    finally:
        watched.close()


def test_sentinels_are_asked_again_when_the_master_is_gone() -> None:
    watched = Watched(password="master", sentinel_password="watcher")
    try:
        watched.start()
        broker = broker_at(watched.url)
        assert rings(broker)

        watched.first.kill()

        assert not rings(broker)
        wait_until(lambda: is_reachable(broker))
        assert rings(broker)
        assert watched.master_port() == watched.second.port
        assert not rings(broker_at(watched.url.replace("=watcher", "=wrong")))
        assert not rings(broker_at(watched.url.replace("/ledger/", "/nobody/")))
        broker.client.close()
    finally:
        watched.close()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{port}", "redis+sentinel://127.0.0.1:{port}/ledger"])
def test_a_command_that_fails_is_not_sent_again(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        taken: list[socket.socket] = []
        over = threading.Event()

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    if over.is_set():  # and nobody waits to be let in
                        return
                    continue
                taken.append(connection)
                connection.close()

        answering = threading.Thread(target=hang_up)
        answering.start()
        assert not rings(broker_at(url.format(port=listener.getsockname()[1])))
        over.set()
        answering.join()

    assert len(taken) == 1


def test_a_message_wakes_its_consumer_at_once_and_waiting_takes_nothing_from_the_queue(server: RedisServer) -> None:
    broker = broker_at(server.url)
    broker.declare_queue("payments")
    waiting, other = (broker.consume("payments", timeout=1_000) for _ in range(2))
    assert [next(waiting), next(other)] == [None, None]

    def is_woken() -> bool:
        bell = threading.Timer(0.1, rings, [broker])
        bell.start()
        began = time.monotonic()
        found = next(waiting)  # none: it was woken, and will look; or it has waited for as long as it may
        took_s = time.monotonic() - began
        bell.join()
        message = found or next(other)
        assert message.args == ([1],)
        (waiting if found else other).ack(message)
        assert next(waiting) is None
        return found is None and took_s < WAITS_S * 0.8

    wait_until(is_woken)  # once is proof: on a busy machine the bell may ring too early or too late
    broker.client.close()
