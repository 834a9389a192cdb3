"""`hookline dev` as people start it: real processes, the real Valkey, a data directory of its own."""

import asyncio
import json
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.dev.guardian import kill
from cli.dev.secrets import read_dev_secrets
from cli.dev.valkey import valkey_command, wait_for_socket
from config.settings import CHECKOUT
from tests.cli.dev.waiting import descendants, groups_below, members, processes, wait_until
from tests.servers.ports import unused_port
from tests.system.ledger_file import LedgerFile

START_S = 60.0
# Five Pythons that start at once on two cores that may be busy; ready after two seconds when they are not.

STOP_S = REFUSE_S = 60.0
# Ten seconds are promised; tests/cli/dev/test_supervisor.py looks at what they are made of.

PASSWORD = "hunter2hunter2hunter2"

COMMAND = [sys.executable, "-c", "import os, sys; from cli.dev import run; sys.exit(run(os.environ))"]
RUNNING = {"web": "uvicorn", "worker": "dramatiq", "sweeper": "workers.sweep", "valkey": "valkey-server"}


class Dev:
    """One `hookline dev`, its output in a file."""

    def __init__(self, data_directory: Path, port: int) -> None:
        self.port = port
        self.data_directory = data_directory
        self.environ = clean_environ() | {"HOOKLINE_DATA_DIR": str(data_directory), "PORT": str(port)}
        self._printed = data_directory.with_suffix(".out")
        self._groups: set[int] = set()
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, command: list[str] = COMMAND, *, embedded: bool = True) -> subprocess.Popen[bytes]:
        with self._printed.open("wb") as stdout:
            process = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env=self.environ,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        wait_until(lambda: self.is_ready() or process.poll() is not None, timeout_s=START_S)
        assert self.is_ready(), self.printed()
        wanted = len(RUNNING) + embedded  # the guardian comes on top, and Valkey may not
        wait_until(lambda: len(groups_below(process.pid) - {process.pid}) == wanted)
        return process

    @property
    def last(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        return self._processes[-1]

    @property
    def pid(self) -> int:
        return self.last.pid

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the `hookline` command in another shell, as a person would."""
        words = (sys.executable, "-m", "cli", *words)
        return subprocess.run(
            words, cwd=CHECKOUT, env=self.environ, capture_output=True, text=True, timeout=START_S, check=False
        )

    def printed(self) -> str:
        return self._printed.read_text()

    def is_ready(self) -> bool:
        return "ready in" in self.printed()

    def groups(self, process: subprocess.Popen[bytes]) -> set[int]:
        """Give all process groups of a running one; they are ended when the test is over."""
        self._groups |= groups_below(process.pid) | {process.pid}
        return set(self._groups)

    def leader(self, process: subprocess.Popen[bytes], name: str) -> int | None:
        """Give the process of one line of the Procfile, or None when it is not there."""
        leaders = {pid for pid, _, group in processes() if pid == group} & descendants(process.pid)
        return next((pid for pid in leaders if RUNNING[name] in command_of(pid)), None)

    def wait_for_leader(self, process: subprocess.Popen[bytes], name: str, *, other_than: int | None = None) -> int:
        """Wait until the process of one line of the Procfile is there, and give it."""
        wait_until(lambda: self.leader(process, name) not in {None, other_than}, timeout_s=START_S)
        leader = self.leader(process, name)
        assert leader is not None
        return leader

    def close(self) -> None:
        for process in self._processes:
            self.groups(process)
        for group in self._groups:
            kill(group)
        for process in self._processes:
            process.wait()


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    dev = Dev(tmp_path / "var", unused_port())
    yield dev
    dev.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One that runs, for tests that only look at it."""
    dev = Dev(tmp_path_factory.mktemp("running") / "var", unused_port())
    try:
        dev.start()
        yield dev
    finally:
        dev.close()


def clean_environ() -> dict[str, str]:
    """Give an environment with nothing in it that Hookline reads."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}


def command_of(pid: int) -> str:
    done = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout


def refused(environ: dict[str, str]) -> str:
    """Run one that cannot start, and give the one sentence that says why."""
    done = subprocess.run(
        COMMAND,
        cwd=CHECKOUT,
        env=clean_environ() | environ,
        capture_output=True,
        text=True,
        timeout=REFUSE_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


def test_what_it_makes_is_for_this_user_alone(running: Dev) -> None:
    secrets = read_dev_secrets(running.data_directory / "dev-secrets.env")
    shown = running.printed()

    assert set(secrets) == {"STRIPE_WEBHOOK_SECRET", "GITHUB_WEBHOOK_SECRET", "SLACK_SIGNING_SECRET"}
    assert all(f"{name}={secret}" in shown for name, secret in secrets.items())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in running.data_directory.rglob("*")}
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def test_the_ready_line_says_what_to_try_next(running: Dev) -> None:
    line = next(line for line in running.printed().splitlines() if "ready in" in line)
    assert f"http://127.0.0.1:{running.port}" in line
    assert f"PORT={running.port} HOOKLINE_DATA_DIR={running.data_directory}" in line
    assert line.endswith("hookline trigger stripe charge.dispute.created")


def test_hookline_trigger_in_another_shell_shows_an_alert_here_and_keeps_it_where_no_token_is(running: Dev) -> None:
    """The README's two commands."""
    triggered = running.cli("trigger", "stripe", "charge.dispute.created")

    assert triggered.returncode == 0, triggered.stderr
    assert triggered.stdout.startswith("stripe charge.dispute.created: 200")
    wait_until(lambda: "└─ kept, not sent" in running.printed(), timeout_s=START_S)
    assert "│ TEST: Dispute opened: $49.00" in running.printed()
    ledger = LedgerFile(running.data_directory / "ledger.db")
    wait_until(lambda: ledger.unfinished() == 0, timeout_s=START_S)
    assert ledger.column("SELECT state FROM effects") == ["kept"]
    listed = running.cli("events", "list", "--json")
    (event,) = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (event["source"], event["type"], event["state"]) == ("stripe", "charge.dispute.created", "done")
    assert "Traceback" not in running.printed()


def test_a_second_one_on_the_same_data_directory_is_refused(running: Dev) -> None:
    sentence = refused({"HOOKLINE_DATA_DIR": str(running.data_directory), "PORT": str(unused_port())})

    assert f"already running on {running.data_directory} (process {running.pid})" in sentence


def test_a_process_that_is_killed_is_started_again_and_ctrl_c_ends_everything(running: Dev) -> None:
    """The last test of what runs: it ends it."""
    process = running.last
    groups = running.groups(process)
    killed = {name: running.wait_for_leader(process, name) for name in RUNNING}

    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)

    for name, pid in killed.items():
        running.wait_for_leader(process, name, other_than=pid)
        assert f"{name} was ended by SIGKILL; it is started again in 0.2 s" in running.printed()
    assert not members(set(killed.values()))
    groups |= running.groups(process)

    process.send_signal(signal.SIGINT)

    assert process.wait(STOP_S) == 0
    assert not members(groups)
    assert "Traceback" not in running.printed()


@pytest.mark.skipif(shutil.which("make") is None and "CI" not in os.environ, reason="make is not installed")
def test_kill_9_of_it_or_of_make_leaves_nothing_behind_and_the_next_one_starts_with_what_it_made(
    dev: Dev, tmp_path: Path
) -> None:
    """The next one is given a Redis of its own, which it uses instead of one that it would start."""
    process = dev.start()
    groups = dev.groups(process)
    for name in RUNNING:
        dev.wait_for_leader(process, name)
    secrets = (dev.data_directory / "dev-secrets.env").read_bytes()

    process.kill()
    process.wait()

    wait_until(lambda: not members(groups), timeout_s=STOP_S)
    own = tmp_path / "own"
    own.mkdir()
    valkey = subprocess.Popen(shlex.split(valkey_command(directory=own, socket_path=own / "v.sock")))
    try:
        assert asyncio.run(wait_for_socket(own / "v.sock", timeout_s=STOP_S))
        dev.environ["REDIS_URL"] = f"unix://{own / 'v.sock'}"
        make = dev.start(["make", "-f", str(makefile_beside(dev)), "run"], embedded=False)
        groups = dev.groups(make)
        dev.wait_for_leader(make, "web")
        assert not dev.leader(make, "valkey")
        assert (dev.data_directory / "dev-secrets.env").read_bytes() == secrets

        make.kill()
        make.wait()

        wait_until(lambda: not members(groups), timeout_s=STOP_S)
    finally:
        valkey.terminate()
        valkey.wait()


def makefile_beside(dev: Dev) -> Path:
    """Write a Makefile that runs it as people's own does."""
    makefile = dev.data_directory.with_suffix(".mk")
    command = [f"'{word}'" for word in COMMAND]
    makefile.write_text("run:\n\t@exec env HOOKLINE_DEV_PARENT=$$PPID " + " ".join(command) + "\n")
    assert "exec env HOOKLINE_DEV_PARENT=$$PPID" in (CHECKOUT / "Makefile").read_text()
    return makefile


@pytest.mark.thorough  # tests/cli/dev/test_preflight.py asks without a process
def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])

        sentence = refused({"HOOKLINE_DATA_DIR": str(tmp_path), "PORT": port})

    assert f"cannot listen on 127.0.0.1 port {port}" in sentence
    assert "set PORT" in sentence


@pytest.mark.thorough  # tests/cli/dev/test_preflight.py asks without a process
def test_a_data_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    sentence = refused({"HOOKLINE_DATA_DIR": str(tmp_path / "file" / "var"), "PORT": str(unused_port())})

    assert "HOOKLINE_DATA_DIR" in sentence


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        pytest.param("REDIS_URL", "redis://:{password}@127.0.0.1:{port}/0", marks=pytest.mark.thorough),
        ("DATABASE_URL", "postgresql://hookline:{password}@127.0.0.1:{port}/hookline"),
    ],
)
def test_a_url_that_nothing_answers_is_refused_without_its_password(tmp_path: Path, variable: str, url: str) -> None:
    port = unused_port()
    environ = {"HOOKLINE_DATA_DIR": str(tmp_path / "var"), "PORT": str(unused_port())}

    sentence = refused(environ | {variable: url.format(password=PASSWORD, port=port)})

    assert f"nothing answers at {variable} (127.0.0.1:{port}/" in sentence
    assert PASSWORD not in sentence


@pytest.mark.thorough  # tests/cli/dev/test_preflight.py asks without a process
def test_a_secret_that_is_too_short_is_refused(tmp_path: Path) -> None:
    environ = {"HOOKLINE_DATA_DIR": str(tmp_path / "var"), "PORT": str(unused_port())}

    sentence = refused(environ | {"STRIPE_WEBHOOK_SECRET": "short"})

    assert "STRIPE_WEBHOOK_SECRET" in sentence
