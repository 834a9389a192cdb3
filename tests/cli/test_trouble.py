"""Whatever is wrong, the command says so in one sentence, and pipes that close early are fine."""

import os
import re
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import CHECKOUT
from ledger.names import REASONS
from ledger.store import Ledger
from tests.cli.shell import Shell
from tests.cli.stock import fill
from tests.ledger.making import new_event, store


def test_a_command_that_only_looks_makes_no_ledger(bare_shell: Shell, tmp_path: Path) -> None:
    assert f"there is no ledger at {tmp_path}/ledger.db" in bare_shell.refused("events", "list")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_without_tables_says_to_migrate_it(bare_shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    assert "run `hookline migrate` first" in bare_shell.refused("retry", "1")


def test_a_ledger_that_is_something_else_says_so(bare_shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(os.urandom(8_192))
    assert "file is not a database" in bare_shell.refused("events", "get", "1")
    assert "file is not a database" in bare_shell.refused("migrate")


def test_a_ledger_that_is_a_directory_says_so(bare_shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    assert "unable to open database file" in bare_shell.refused("deliveries", "list")


def test_a_data_directory_that_is_a_file_says_so(bare_shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shell = bare_shell.having(HOOKLINE_DATA_DIR=str(tmp_path / "file"))
    assert "set HOOKLINE_DATA_DIR to another one" in shell.refused("migrate")


def test_a_ledger_that_somebody_else_holds_says_so(shell: Shell, ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger)
    holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert "database is locked" in shell.refused("retry", "3")
    holder.execute("ROLLBACK")
    holder.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://hookline:hunter2hunter2@127.0.0.1:1/hookline", "Connection refused"),
        ("mysql://localhost/x", "DATABASE_URL names mysql"),
        ("sqlite:///file:nothing/here.db?uri=true", "cannot be"),
    ],
)
def test_a_database_that_cannot_be_reached_says_so_without_the_password(
    bare_shell: Shell, url: str, reason: str
) -> None:
    said = bare_shell.having(DATABASE_URL=url).refused("events", "list")
    assert reason in said
    assert "hunter2" not in said


def test_a_setting_that_cannot_be_used_is_named(bare_shell: Shell) -> None:
    assert "PORT cannot be used" in bare_shell.having(PORT="http").refused("events", "list")


@pytest.mark.parametrize("unknown", ["9" * 30, "", "-événement"])
def test_an_unknown_event_is_not_found(shell: Shell, unknown: str) -> None:
    assert shell.refused("events", "get", "--", unknown) == f"there is no event {unknown or repr(unknown)}"


def test_too_little_of_an_id_is_not_found_and_says_how_much_is_enough(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    enough = "(the beginning of an id is enough, but of 5 characters or more)"
    assert shell.refused("events", "get", "evt") == f"there is no event evt {enough}"
    assert shell.refused("retry", "evt", "--yes") == f"there is no event evt {enough}; nothing was retried"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("events", "list", "--since", "tomorrow"), "30m, 24h"),
        (("events", "list", "--since", "1h", "--until", "2h"), "earlier"),
        (("events", "list", "--state", "odd"), "'--state': 'odd' is not one of 'dead'"),
        (("retry",), "--handler"),
        (("events", "get", os.fsdecode(b"\xff")), "UTF-8"),
    ],
)
def test_wrong_usage_is_2_and_teaches(bare_shell: Shell, words: tuple[str, ...], hint: str) -> None:
    done = bare_shell.run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert hint in done.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("events", "list", "--source", "paypal"), "github, slack, stripe"),
        (("events", "list", "--handler", "nosuch"), "notifications.dispute"),
        (("deliveries", "list", "--handler", "nosuch"), "notifications.dispute"),
        (("requests", "list", "--reason", "foo"), "signature_mismatch"),
        (("events", "tail", "--source", "paypal"), "github, slack, stripe"),
        (("stats", "--source", "paypal"), "github, slack, stripe"),
        (("retry", "--source", "paypal"), "github, slack, stripe"),
        (("tokens", "create", "ann", "--scope", "read", "--expires", "0d"), "no time at all"),
        (("trigger", "stripe", "refund.created", "--shuffle"), "one event"),
    ],
)
def test_a_name_or_a_number_that_cannot_be_is_wrong_usage(
    shell: Shell, ledger: Ledger, words: tuple[str, ...], named: str
) -> None:
    fill(ledger)
    done = shell.having(COLUMNS="400").run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr


def test_a_handler_and_a_reason_that_can_be_are_no_slip_though_nothing_is_there(shell: Shell) -> None:
    assert shell.run("events", "list", "--source", "github", "--handler", "payments.refund").returncode == 0
    assert shell.run("requests", "list", "--reason", "body_too_slow").returncode == 0
    code = "".join(path.read_text() for path in (CHECKOUT / "receivers").rglob("*.py"))
    assert set(re.findall(r'Rejected\("([a-z_]+)"', code)) == REASONS


def test_migrate_makes_a_ledger_says_where_and_can_be_run_again(bare_shell: Shell, tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "data" / "ledger.db")
    shell = bare_shell.having(HOOKLINE_DATA_DIR=str(tmp_path / "deep" / "data"))
    assert shell.run("migrate").stdout == f"the ledger's tables are up to date ({path})\n"
    assert shell.objects("migrate") == [{"action": "migrate", "ledger": path, "status": "up to date"}]
    assert stat.S_ISREG(Path(path).stat().st_mode)


@pytest.mark.parametrize(
    "words",
    [
        ("events", "list", "--json"),
        ("events", "list"),
        ("events", "get", "1"),
        ("events", "get", "1", "--raw"),
        ("deliveries", "list"),
        ("stats",),
        ("trigger",),
        ("--help",),
        ("retry", "--help"),
    ],
)
def test_a_pipe_that_closes_early_is_fine_and_quiet(shell: Shell, ledger: Ledger, words: tuple[str, ...]) -> None:
    store(ledger, *(new_event(body=b"x" * 200_000) for _ in range(20)))
    reader, writer = os.pipe()
    os.close(reader)
    with shell.start(*words, stdout=writer) as process:
        os.close(writer)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("words", [("events", "list"), ("events", "get", "1"), ("--help",), ("retry", "--help")])
def test_output_that_cannot_be_written_is_said_in_one_sentence(
    shell: Shell, ledger: Ledger, words: tuple[str, ...]
) -> None:
    store(ledger, new_event())
    with Path("/dev/full").open("w") as full, shell.start(*words, stdout=full.fileno()) as process:
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "hookline: standard output cannot be written: No space left on device\n")


@pytest.mark.parametrize("closed", [">&- 2>&-", "<&- 2>&-"])
def test_a_stream_that_is_closed_fails_nothing(shell: Shell, ledger: Ledger, closed: str) -> None:
    store(ledger, new_event(), new_event())
    command = f"{sys.executable} -m cli events list --limit 1 {closed}"
    done = subprocess.run(["sh", "-c", command], env=shell.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert ("evt_" in done.stdout) == (not closed.startswith(">"))


def test_help_teaches_by_examples_that_stay_lines(bare_shell: Shell) -> None:
    narrow = bare_shell.having(COLUMNS="80")
    for words, examples in (
        ((), ["hookline trigger stripe charge.dispute.created ", "hookline replay 1 "]),
        (("events", "list"), ["hookline events list --source stripe --type 'charge.*' --since 7d\n"]),
        (("retry",), ["hookline retry 17 18\n", "hookline retry --handler notifications.dispute\n"]),
        (("trigger",), ["--override data.object.amount=500 --override data.object.currency=jpy\n"]),
    ):
        shown = narrow.run(*words, "--help")
        lines = [line.rstrip() + " \n" for line in shown.stdout.splitlines()]
        assert max(len(line) for line in lines) <= 80 + len(" \n")
        assert all(any(example.strip() in line for line in lines) for example in examples)
