"""What the tables show in pipes, in colour and of what is hostile; test_golden has what they show on terminals."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.show import Column, Part, cell, short_time
from ledger.store import Ledger
from tests.cli.shell import Shell
from tests.cli.stock import AT, ERROR, fill
from tests.ledger.making import new_event, store

ALL = ("--since", "all")


def test_the_statistics_are_an_object_and_the_sources_show_no_secret(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    quiet = shell.having(STRIPE_WEBHOOK_SECRET="whsec_of_nobody_at_all")
    assert "whsec_" not in quiet.run("sources", "--json").stdout
    (stats,) = quiet.objects("stats", "--since", "2021-11-23", "--until", "2021-11-24")
    assert stats["by_state"] == dict.fromkeys(["dead", "failed", "pending", "done", "unhandled", "unparseable"], 1)
    assert stats["buckets"][4] == {"at": "2021-11-23T04:00:00.000Z", "events": 6}


def test_a_pipe_gets_all_of_every_line_so_that_grep_works(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    narrow = shell.having(COLUMNS="80")
    shown = narrow.run("events", "list", *ALL).stdout
    assert {"evt_3Dead", "4bbaa3ab-9ef1-4fd2-949b-747756d6accb", "payments.dispute"} <= set(shown.split())
    assert f" {' '.join(ERROR.split())}\n" in narrow.run("deliveries", "list", *ALL).stdout


def test_colours_are_for_terminals_that_want_them(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    words = ("events", "list", "--state", "done", *ALL)
    assert "\x1b[32mdone" in shell.on_terminal(80, *words)
    assert "\x1b" not in shell.having(NO_COLOR="1").on_terminal(80, *words)
    assert "\x1b" not in shell.run(*words).stdout


def test_the_raw_body_comes_out_as_it_came_in(shell: Shell, ledger: Ledger, tmp_path: Path) -> None:
    body = b'{"name": "Zo\xc3\xab\xff",\r\n "n": 1e2}'
    store(ledger, new_event(body=body))
    with (tmp_path / "body").open("wb") as file, shell.start("events", "get", "1", "--raw", stdout=file.fileno()):
        pass
    assert (tmp_path / "body").read_bytes() == body


def test_an_empty_list_says_so_beside_the_output(shell: Shell) -> None:
    done = shell.run("events", "list", "--state", "dead")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no events match\n")


def test_a_time_of_this_year_is_short_and_one_of_another_year_says_the_year() -> None:
    now = datetime.fromtimestamp(time.time(), UTC)
    assert short_time(now.isoformat()) == now.strftime("%m-%d %H:%M:%S")
    assert short_time(datetime.fromtimestamp(AT, UTC).isoformat()) == "2021-11-23"


@pytest.mark.parametrize("hostile", ["a\x1b[2Jb", "a\x9b2Jb", "a\u202eb", "a\x07b"])
def test_a_cell_cannot_steer_the_terminal(hostile: str) -> None:
    text = cell("last_error", hostile).text
    assert "\N{REPLACEMENT CHARACTER}" in text
    assert text.isprintable()


def test_a_state_is_a_word_in_its_colour() -> None:
    assert cell("state", "dead") == Part("dead", "bold red")
    assert cell("type", "dead") == Part("dead")
    assert Column("received_at").heading == "received (utc)"
