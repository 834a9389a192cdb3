"""What the systemd units start is the service: their commands are run here as they are, with their own environment."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from config.settings import CHECKOUT
from deploy import healthcheck
from tests.cli.dev.waiting import members, wait_until
from tests.deploy.units import UNITS, Unit, read_example, read_unit
from tests.servers.http import get
from tests.servers.ports import unused_port
from tests.servers.redis import RedisServer, installed
from tests.system.ledger_file import LedgerFile
from tests.system.parcel import make_dispute
from tests.system.process import Process
from tests.system.secrets import SECRETS
from tests.system.sender import Sender
from tests.system.service import START_S, clean_environ

OF_SYSTEMD = ("sysinit", "basic", "shutdown", "network-online", "multi-user", "timers")
SERVICES = {
    "release": "hookline-release.service",
    "web": "hookline-web@.service",
    "worker": "hookline-worker.service",
    "sweeper": "hookline-sweeper.service",
    "prune": "hookline-prune.service",
}


class Host:
    """A host with our units, without systemd."""

    def __init__(self, place: Path, redis_url: str) -> None:
        self.port = unused_port()
        self.ledger = LedgerFile(place / "var" / "ledger.db")
        self._place = place
        self._file = read_example() | SECRETS | {"REDIS_URL": redis_url}
        self._processes: dict[str, Process] = {}
        for name in ("var", "run"):
            (place / name).mkdir()

    def unit(self, name: str) -> Unit:
        places = {
            "/opt/hookline": CHECKOUT,
            "/var/lib/hookline": self._place / "var",
            "/run/hookline": self._place / "run",
        }
        return read_unit(SERVICES[name], {**{old: str(new) for old, new in places.items()}, "%i": str(self.port)})

    def start(self, name: str) -> Process:
        """Do what systemd does for `systemctl start`."""
        unit = self.unit(name)
        environ = clean_environ() | unit.environ | self._file
        log = self._place / f"{name}.log"
        process = Process(name, unit.command, directory=CHECKOUT, environ=environ, log=log)
        self._processes[name] = process
        process.start()
        return process

    def __getitem__(self, name: str) -> Process:
        return self._processes[name]

    def is_ready(self) -> bool:
        try:
            return get(f"http://127.0.0.1:{self.port}/readyz").is_success
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        for process in self._processes.values():
            process.close()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host on which everything was started."""
    redis = RedisServer()
    redis.start()
    host = Host(tmp_path_factory.mktemp("host"), redis.url)
    try:
        assert host.start("release").wait_for_end(timeout_s=START_S) == 0, host["release"].printed()
        for name in ("web", "worker", "sweeper"):
            host.start(name)
        wait_until(lambda: host.is_ready() or not host["web"].runs(), timeout_s=START_S)
        host["worker"].wait_for_line("Worker process is ready for action", timeout_s=START_S)
        host["sweeper"].wait_for_line("sweeper started", timeout_s=START_S)
        yield host
    finally:
        host.close()
        redis.close()


def test_the_units_start_a_service_that_handles_events(host: Host, tmp_path: Path) -> None:
    parcel = make_dispute()
    answer = Sender(f"http://127.0.0.1:{host.port}", tmp_path / "sender.jsonl").send(parcel)
    assert answer.status == httpx.codes.OK, host["web"].printed()
    wait_until(lambda: host.ledger.is_done(parcel.external_id), timeout_s=60)


def test_the_prune_unit_prunes(host: Host) -> None:
    assert host.start("prune").wait_for_end(timeout_s=START_S) == 0, host["prune"].printed()


def test_a_container_is_healthy_while_its_web_process_answers(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1").symlink_to(f"/proc/{host['web'].pid}")
    assert healthcheck.runs_web(tmp_path)
    monkeypatch.setenv("PORT", str(host.port))
    healthcheck.check()
    os.kill(host["web"].pid, signal.SIGSTOP)
    try:
        with pytest.raises(OSError, match="timed out"):
            healthcheck.check()
    finally:
        os.kill(host["web"].pid, signal.SIGCONT)


@pytest.mark.parametrize("name", ["worker", "sweeper"])
def test_a_container_of_another_process_is_not_asked(host: Host, tmp_path: Path, name: str) -> None:
    (tmp_path / "1").symlink_to(f"/proc/{host[name].pid}")
    assert not healthcheck.runs_web(tmp_path)


@pytest.mark.parametrize("name", ["web", "worker", "sweeper"])
def test_sigterm_to_the_main_process_ends_all_of_a_unit_in_time(host: Host, name: str) -> None:
    process = host[name]
    process.stop(timeout_s=host.unit(name).stops_within_s)
    wait_until(lambda: not members({process.pid}))


def test_the_units_are_clean(tmp_path: Path) -> None:
    program = installed("systemd-analyze", package="systemd")
    units = make_root(tmp_path)
    done = subprocess.run(
        [program, "verify", f"--root={tmp_path}", *units], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def make_root(root: Path) -> list[str]:
    """Make what a host would have: our units, the commands they name, and systemd's own targets. Give our units."""
    units = root / "etc" / "systemd" / "system"
    shutil.copytree(UNITS, units)
    for target in OF_SYSTEMD:
        (units / f"{target}.target").write_text("[Unit]\nDescription=one of systemd's own\n")
    for program, here in (("opt/hookline/deploy/run", CHECKOUT / "deploy" / "run"), ("usr/bin/env", "/usr/bin/env")):
        (root / program).parent.mkdir(parents=True)
        shutil.copy(here, root / program)
    return sorted(path.name.replace("@", "@8000") for path in UNITS.glob("hookline*.*") if path.suffix in KINDS)


KINDS = (".service", ".target", ".timer")
