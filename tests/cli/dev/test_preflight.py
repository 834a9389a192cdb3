"""What is looked at before anything is started."""

import os
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli.dev.errors import AlreadyRunning, DataDirectoryUnusable, PortUnusable
from cli.dev.preflight import check_broker, check_database, check_port, lock_data_directory, make_data_directory
from config.errors import BrokerUnreachable, DatabaseUnreachable, InvalidSettings
from config.settings import load_settings
from tests.servers.ports import unused_port
from tests.servers.redis import RedisServer

ANY_ADDRESS = "0.0.0.0"  # noqa: S104  # bound for a moment, to see whether it could be

PASSWORD = "hunter2hunter2hunter2"

SOON_S = 20.0
# It takes two seconds; without a limit it would take for ever.

HOLD_LOCK = """
import sys
from pathlib import Path
from cli.dev.preflight import lock_data_directory
with lock_data_directory(Path(sys.argv[1])):
    print(flush=True)
    sys.stdin.read()
"""


def test_the_data_directory_is_made_for_this_user_alone(tmp_path: Path) -> None:
    make_data_directory(tmp_path / "a" / "var")

    assert stat.S_IMODE((tmp_path / "a" / "var").stat().st_mode) == 0o700


def test_a_data_directory_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    make_data_directory(tmp_path)

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_data_directory_below_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataDirectoryUnusable, match="cannot be written"):
        make_data_directory(tmp_path / "file" / "var")


def test_a_second_one_on_the_same_data_directory_is_told_who_has_it(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()

    with pytest.raises(AlreadyRunning, match=f"process {holder.pid}"), lock_data_directory(tmp_path):
        pass
    holder.communicate()

    with lock_data_directory(tmp_path):
        assert (tmp_path / "dev.lock").read_text() == f"{os.getpid()}\n"


def test_whoever_inherits_the_lock_holds_it_until_it_is_gone(tmp_path: Path) -> None:
    with lock_data_directory(tmp_path) as lock:
        heir = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[lock])
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "dev.lock").write_text(f"{gone.pid}\n")  # as after a kill -9

    with ThreadPoolExecutor(1) as threads:
        taking = threads.submit(_take_and_give_back, tmp_path)
        with pytest.raises(TimeoutError):
            taking.result(0.3)
        heir.communicate()  # ends it
        taking.result()

    assert heir.returncode == 0


def _take_and_give_back(directory: Path) -> None:
    with lock_data_directory(directory):
        pass


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortUnusable, match=f"port {port} .*set PORT"):
            check_port("127.0.0.1", port)


def test_a_free_port_stays_free() -> None:
    port = unused_port()

    check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ANY_ADDRESS])
def test_a_port_that_is_taken_on_one_of_the_host_s_addresses_is_taken(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(PortUnusable, match="in use"):
        check_port(host, server.getsockname()[1])


@pytest.mark.parametrize("host", ["localhost", ANY_ADDRESS])
def test_a_host_with_several_addresses_can_be_listened_on(host: str) -> None:
    check_port(host, unused_port())


def test_a_host_that_is_not_ours_is_one_sentence() -> None:
    with pytest.raises(PortUnusable, match="HOST"):
        check_port("192.0.2.1", 8000)


def test_a_redis_that_does_not_answer_is_named_without_its_password() -> None:
    port = unused_port()
    with pytest.raises(BrokerUnreachable) as caught:
        check_broker(load_settings({"REDIS_URL": f"redis://me:{PASSWORD}@127.0.0.1:{port}/0"}))

    assert str(caught.value).startswith(f"nothing answers at REDIS_URL (127.0.0.1:{port}/0): ")
    assert PASSWORD not in str(caught.value)


def test_a_redis_that_accepts_and_says_nothing_is_given_up_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"redis://127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(BrokerUnreachable):
            check_broker(load_settings({"REDIS_URL": url}))

    assert time.monotonic() - started < SOON_S


@pytest.mark.parametrize("url", ["http://127.0.0.1", f"redis://:half/{PASSWORD}@127.0.0.1/0", "localhost:6379"])
def test_a_redis_url_that_is_none_is_one_sentence_without_its_text(url: str) -> None:
    with pytest.raises(InvalidSettings, match="REDIS_URL") as caught:
        check_broker(load_settings({"REDIS_URL": url}))

    assert PASSWORD not in str(caught.value)


def test_a_redis_that_refuses_access_says_so_and_the_password_is_not_shown() -> None:
    server = RedisServer({"--requirepass": "another"})
    server.start()
    with pytest.raises(BrokerUnreachable) as caught:
        check_broker(load_settings({"REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0"}))
    server.close()

    assert str(caught.value).startswith(f"what answers at REDIS_URL (127.0.0.1:{server.port}/0) refuses access: ")
    assert PASSWORD not in str(caught.value)


def test_a_master_that_no_sentinel_knows_is_named_without_its_password() -> None:
    port = unused_port()
    with pytest.raises(BrokerUnreachable) as caught:
        check_broker(load_settings({"REDIS_URL": f"redis+sentinel://:{PASSWORD}@127.0.0.1:{port}/ledger"}))

    assert str(caught.value).startswith(f"nothing answers at REDIS_URL (127.0.0.1:{port}/ledger/0): No master found")
    assert PASSWORD not in str(caught.value)


def test_without_redis_url_there_is_nothing_to_ask() -> None:
    check_broker(load_settings({}))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_database_that_does_not_answer_is_named_without_its_password(scheme: str) -> None:
    port = unused_port()
    with pytest.raises(DatabaseUnreachable) as caught:
        check_database(load_settings({"DATABASE_URL": f"{scheme}://me:{PASSWORD}@127.0.0.1:{port}/hookline"}))

    assert str(caught.value).startswith(f"nothing answers at DATABASE_URL (127.0.0.1:{port}/hookline): ")
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://h/d", f"postgresql://u@h:{PASSWORD}/d", "hookline"])
def test_a_database_url_that_is_none_is_one_sentence_without_its_text(url: str) -> None:
    with pytest.raises(InvalidSettings, match="DATABASE_URL") as caught:
        check_database(load_settings({"DATABASE_URL": url}))

    assert PASSWORD not in str(caught.value)


def test_a_ledger_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"This is no database. " * 100)

    with pytest.raises(DatabaseUnreachable, match="cannot be opened"):
        check_database(load_settings({"HOOKLINE_DATA_DIR": str(tmp_path)}))
