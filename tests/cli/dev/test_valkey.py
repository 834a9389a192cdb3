"""The embedded Valkey: no TCP port, a private socket, and what it acknowledged is kept."""

import asyncio
import shlex
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from cli.dev.errors import SocketPathUnusable
from cli.dev.valkey import prepare_socket_directory, prepare_valkey, wait_for_socket
from config.settings import UNIX_SOCKET_PATH_MAX, Settings, load_settings

PATIENCE_S = 60.0


@contextmanager
def valkey(settings: Settings) -> Iterator[redis.Redis]:
    process = subprocess.Popen(shlex.split(prepare_valkey(settings)))
    try:
        assert asyncio.run(wait_for_socket(settings.valkey_socket, timeout_s=PATIENCE_S))
        with redis.Redis(unix_socket_path=str(settings.valkey_socket), decode_responses=True) as client:
            yield client
    finally:
        process.terminate()
        assert process.wait() == 0


def settings_in(directory: Path) -> Settings:
    return load_settings({"HOOKLINE_DATA_DIR": str(directory)})


def test_it_keeps_what_it_was_given_and_never_throws_it_out(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with valkey(settings) as client:
        wanted = {"port": "0", "appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}
        assert client.config_get(*wanted) == wanted
        client.set("kept", "yes")

    with valkey(settings) as client:
        assert client.get("kept") == "yes"


def test_its_socket_is_for_this_user_alone(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with valkey(settings):
        assert stat.S_IMODE(settings.valkey_socket.stat().st_mode) == 0o700


def test_a_socket_left_by_a_kill_is_no_obstacle(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    killed = subprocess.Popen(shlex.split(prepare_valkey(settings)))
    assert asyncio.run(wait_for_socket(settings.valkey_socket, timeout_s=PATIENCE_S))
    killed.kill()
    killed.wait()
    assert settings.valkey_socket.exists()

    with valkey(settings) as client:
        assert client.ping()


def test_a_data_directory_too_deep_for_a_socket_gets_a_short_one_of_its_own(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * UNIX_SOCKET_PATH_MAX)
    deep.mkdir()
    settings = settings_in(deep)
    with valkey(settings) as client:
        assert client.ping()

    assert not settings.valkey_socket.is_relative_to(deep)
    assert stat.S_IMODE(settings.valkey_socket.parent.stat().st_mode) == 0o700
    assert settings_in(deep).valkey_socket == settings.valkey_socket
    assert settings_in(tmp_path / ("e" * UNIX_SOCKET_PATH_MAX)).valkey_socket != settings.valkey_socket
    settings.valkey_socket.parent.rmdir()


def test_a_socket_s_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(SocketPathUnusable, match="somebody else"):
        prepare_socket_directory(tmp_path / "link" / "valkey.sock")


def test_a_socket_s_path_that_is_too_long_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SocketPathUnusable, match="HOOKLINE_DATA_DIR"):
        prepare_socket_directory(tmp_path / ("d" * UNIX_SOCKET_PATH_MAX) / "valkey.sock")


def test_nothing_listens_where_nothing_was_started(tmp_path: Path) -> None:
    assert not asyncio.run(wait_for_socket(tmp_path / "none.sock", timeout_s=0.1))
