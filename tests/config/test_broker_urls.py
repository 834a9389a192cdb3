"""REDIS_URL and RABBITMQ_URL: what they may say."""

from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from config.brokers.url import Account, Malformed, Tls, parse_rabbitmq_url, parse_redis_url
from config.errors import InvalidSettings
from config.settings import load_settings

PASSWORD = "hunter2hunter2hunter2"


def test_a_redis_url_says_host_port_and_database() -> None:
    url = parse_redis_url("redis://cache.example:7000/3")

    assert (url.hosts, url.database, url.tls) == ((("cache.example", 7000),), 3, None)


@pytest.mark.parametrize("url", ["redis://cache.example", "redis://cache.example/", "redis://cache.example:6379/0"])
def test_what_a_redis_url_leaves_out_is_the_usual(url: str) -> None:
    assert parse_redis_url(url) == parse_redis_url("redis://cache.example:6379?db=0")


def test_a_user_and_a_password_may_hold_anything_that_is_escaped() -> None:
    account = Account(username="us/er", password="p@ss:w/rd?#%")

    assert parse_redis_url("redis://us%2Fer:p%40ss%3Aw%2Frd%3F%23%25@h").account == account
    assert parse_rabbitmq_url("amqp://us%2Fer:p%40ss%3Aw%2Frd%3F%23%25@h").account == account


def test_a_redis_password_needs_no_user() -> None:
    assert parse_redis_url("redis://:secret@h").account == Account(password="secret")


def test_rediss_checks_the_certificate() -> None:
    url = parse_redis_url("rediss://h")

    assert url.tls == Tls(verify=True)
    assert url.hosts == (("h", 6379),)


def test_an_authority_of_ones_own_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))

    assert parse_redis_url(f"rediss://h?ssl_ca_certs={file}").tls == Tls(ca_file=str(file))
    assert parse_rabbitmq_url(f"amqps://h?ssl_ca_certs={file}").tls == Tls(ca_file=str(file))


def test_a_certificate_goes_unchecked_only_when_that_is_said() -> None:
    assert parse_redis_url("rediss://h?ssl_cert_reqs=none").tls == Tls(verify=False)
    assert parse_redis_url("rediss://h?ssl_cert_reqs=required").tls == Tls()


def test_a_unix_socket_is_a_path() -> None:
    url = parse_redis_url("unix://:secret@/run/my%20redis.sock?db=2")

    assert (url.path, url.hosts, url.database, url.account.password) == ("/run/my redis.sock", (), 2, "secret")


def test_sentinels_are_a_list_and_the_service_s_name_comes_first_in_the_path() -> None:
    url = parse_redis_url("redis+sentinel://me:secret@one:26380,two,[::1]:7/ledger/4")

    assert url.hosts == (("one", 26380), ("two", 26379), ("::1", 7))
    assert (url.service, url.database, url.account) == ("ledger", 4, Account(username="me", password="secret"))


def test_sentinels_may_have_a_password_of_their_own() -> None:
    url = parse_redis_url("rediss+sentinel://one/ledger?sentinel_username=watch&sentinel_password=p%40ss")

    assert (url.sentinel, url.account) == (Account(username="watch", password="p@ss"), Account())
    assert url.tls == Tls()
    assert url.database == 0


def test_a_rabbitmq_url_says_hosts_and_virtual_host() -> None:
    url = parse_rabbitmq_url("amqp://one,two:5673/hook%2Fline")

    assert (url.hosts, url.vhost, url.tls) == ((("one", 5672), ("two", 5673)), "hook/line", None)
    assert parse_rabbitmq_url("amqps://one").hosts == (("one", 5671),)


@pytest.mark.parametrize("url", ["amqp://h", "amqp://h/", "amqp://h/%2f"])
def test_without_a_name_the_virtual_host_is_rabbitmq_s_own(url: str) -> None:
    assert parse_rabbitmq_url(url).vhost == "/"


def test_the_place_of_a_broker_can_be_shown() -> None:
    sentinels = parse_redis_url(f"redis+sentinel://me:{PASSWORD}@one,[::1]/ledger?sentinel_password={PASSWORD}")
    rabbitmq = parse_rabbitmq_url(f"amqp://me:{PASSWORD}@one/vhost")

    assert sentinels.place == "one:26379,[::1]:26379/ledger/0"
    assert parse_redis_url(f"unix://:{PASSWORD}@/run/redis.sock").place == "/run/redis.sock"
    assert rabbitmq.place == "one:5672/vhost"
    assert PASSWORD not in repr([sentinels, rabbitmq])


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "redis:",
        "redis://",
        "redis://:6379",
        "redis:///0",
        "redis://h:port/0",
        "redis://h:0/0",
        "redis://h:65536/0",
        "redis://h/-1",
        "redis://h/0/1",
        "redis://h/ledger",
        "redis://one,two/0",
        f"redis://:half/{PASSWORD}@h/0",
        f"redis://:half?{PASSWORD}@h/0",
        f"redis://:half#{PASSWORD}@h/0",
        f"redis://h/0?{PASSWORD}=1",
        f"redis://h/0?socket_timeout={PASSWORD}",
        f"redis://h?db={PASSWORD}",
        "redis://h?ssl_ca_certs=/etc/ssl/certs/ca-certificates.crt",
        f"rediss://h?ssl_ca_certs=/nowhere/{PASSWORD}",
        f"rediss://h?ssl_ca_certs={__file__}",
        f"rediss://h?ssl_cert_reqs={PASSWORD}",
        "unix://",
        "unix://h/run/redis.sock",
        "redis+sentinel://one:26379",
        "redis+sentinel:///ledger",
        "redis+sentinel://one/ledger/0/1",
        "redis+sentinel://one,,two/ledger",
        "redis://[::1/0",
        f"http://me:{PASSWORD}@h",
        f"amqp://me:{PASSWORD}@h",
    ],
)
def test_a_redis_url_that_is_none_is_one_sentence_without_its_text(url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^REDIS_URL cannot be used: ") as caught:
        load_settings({"REDIS_URL": url})

    assert PASSWORD not in str(caught.value)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    "url",
    [
        "localhost:5672",
        "amqp://",
        "amqp:///vhost",
        "amqp://h:port",
        "amqp://h/a/b",
        f"amqp://me:half/{PASSWORD}@h/vhost",
        f"amqp://h?heartbeat={PASSWORD}",
        f"amqp://h?{PASSWORD}",
        "amqp://h?ssl_cert_reqs=none",
        f"amqps://h?ssl_ca_certs={__file__}",
        f"redis://me:{PASSWORD}@h",
    ],
)
def test_a_rabbitmq_url_that_is_none_is_one_sentence_without_its_text(url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^RABBITMQ_URL cannot be used: ") as caught:
        load_settings({"RABBITMQ_URL": url})

    assert PASSWORD not in str(caught.value)
    assert len(caught.value.problems) == 1


@given(st.text(), st.sampled_from(["redis", "rediss", "unix", "redis+sentinel", "amqp", "amqps", ""]))
def test_any_text_is_a_url_or_one_that_is_refused(text: str, scheme: str) -> None:
    for parse in (parse_redis_url, parse_rabbitmq_url):
        try:
            parse(f"{scheme}://{text}")
        except Malformed as error:
            assert "\n" not in str(error)


def test_without_either_url_the_broker_is_the_embedded_valkey() -> None:
    assert load_settings({}).embeds_valkey
    assert not load_settings({"REDIS_URL": "redis://h"}).embeds_valkey
    assert not load_settings({"RABBITMQ_URL": "amqp://h"}).embeds_valkey
