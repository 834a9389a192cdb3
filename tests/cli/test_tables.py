"""What the tables show, on terminals of several widths and in pipes."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.show import Column, Part, cell, short_time
from ledger.event import EffectState
from ledger.store import Ledger
from tests.cli.shell import Shell
from tests.cli.stock import AT, DEAD, ERROR, add_effect, fill
from tests.ledger.making import new_event, store

ALL = ("--since", "all")

EVENTS_AT_80 = """\
id  received (utc)  source  type                           state        externa…
6   2021-11-23      stripe  unknown                        unparseable  sha256:…
5   2021-11-23      slack   app_mention                    unhandled    Ev0Ment…
4   2021-11-23      github  secret_scanning_alert.created  pending      373d88d…
3   2021-11-23      stripe  charge.dispute.created         dead         evt_3De…
2   2021-11-23      github  workflow_run.completed         failed       4bbaa3a…
1   2021-11-23      stripe  payment_intent.payment_failed  done         evt_3Qa…
"""

EVENTS_AT_160 = """\
id  received (utc)  source  type                           state        handlers                                 external id
6   2021-11-23      stripe  unknown                        unparseable                                           sha256:c0ffee
5   2021-11-23      slack   app_mention                    unhandled                                             Ev0Mention
4   2021-11-23      github  secret_scanning_alert.created  pending      repositories.leaked_secret               373d88d6-01c8
3   2021-11-23      stripe  charge.dispute.created         dead         notifications.dispute, payments.dispute  evt_3Dead
2   2021-11-23      github  workflow_run.completed         failed       repositories.run                         4bbaa3ab-9ef1-4fd2-949b-747756d6accb
1   2021-11-23      stripe  payment_intent.payment_failed  done         payments.payment                         evt_3Qabcdefghijklmnopqrstu
"""  # noqa: E501  # as wide as the terminal

DELIVERIES_AT_80 = """\
id  event  handler                     state   attempts  last error
5   4      repositories.leaked_secret  queued  0
4   3      payments.dispute            dead    7         ValueError: no charge …
3   3      notifications.dispute       dead    7         ValueError: no charge …
2   2      repositories.run            failed  2         RetryLater: GitHub is …
1   1      payments.payment            done    1
"""

SOURCES_AT_160 = """\
source  configured  last event (utc)  events 24h  rejected 24h  usual gap  last type
github  no          2021-11-23        0           0             2 min      secret_scanning_alert.created
slack   no          2021-11-23        0           0                        app_mention
stripe  yes         2021-11-23        0           0             2.5 min    unknown
"""

REQUESTS_AT_80 = """\
id  received (utc)  source  status  reason              path
1   2021-11-23      stripe  401     signature_mismatch  /webhooks/stripe
"""

DEAD_EVENT = f"""\
event 3  dead
  source           stripe
  external id      evt_3Dead
  type             charge.dispute.created
  received at      2021-11-23 04:32:53 UTC
  livemode         true
  secret position  0 (the newest)
  body             9 bytes of application/json
                   sha256 {"0" * 64}

delivery 3  notifications.dispute  dead
  attempt 7   retry      2021-11-23 04:32:34 UTC  dead
    ValueError: no charge in
      the payload of du_1Qabc
  run it again: hookline retry 3

delivery 4  payments.dispute  dead
  run it again: hookline retry 4

effect 1  #finance  dead
  Dispute opened \N{REPLACEMENT CHARACTER}[31m by <!channel>
  second line
  key stripe/dispute/3
    channel_not_found

headers
  user-agent: test

body
  {{
    "id": 1
  }}
"""


def test_the_lists_show_what_matters_at_80_and_at_160_columns(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    quiet = shell.having(NO_COLOR="1")
    assert quiet.on_terminal(80, "events", "list", *ALL) == EVENTS_AT_80
    assert quiet.on_terminal(160, "events", "list", *ALL) == EVENTS_AT_160
    assert quiet.on_terminal(80, "deliveries", "list", *ALL) == DELIVERIES_AT_80
    assert quiet.on_terminal(80, "requests", "list", "--rejected", *ALL) == REQUESTS_AT_80


def test_the_statistics_are_an_object_and_the_sources_show_no_secret(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    quiet = shell.having(NO_COLOR="1", STRIPE_WEBHOOK_SECRET="whsec_of_nobody_at_all")
    assert quiet.on_terminal(160, "sources") == SOURCES_AT_160
    assert "whsec_" not in quiet.run("sources", "--json").stdout
    (stats,) = quiet.objects("stats", "--since", "2021-11-23", "--until", "2021-11-24")
    assert stats["by_state"] == dict.fromkeys(["dead", "failed", "pending", "done", "unhandled", "unparseable"], 1)
    assert stats["buckets"][4] == {"at": "2021-11-23T04:00:00.000Z", "events": 6}


def test_a_pipe_gets_all_of_every_line_so_that_grep_works(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    narrow = shell.having(COLUMNS="80")
    assert narrow.run("events", "list", *ALL).stdout == EVENTS_AT_160
    assert f" {' '.join(ERROR.split())}\n" in narrow.run("deliveries", "list", *ALL).stdout


def test_colours_are_for_terminals_that_want_them(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    words = ("events", "list", "--state", "done", *ALL)
    assert "\x1b[32mdone" in shell.on_terminal(80, *words)
    assert "\x1b" not in shell.having(NO_COLOR="1").on_terminal(80, *words)
    assert "\x1b" not in shell.run(*words).stdout


def test_an_event_is_shown_with_its_errors_whole_and_nothing_in_it_reaches_the_terminal(
    shell: Shell, ledger: Ledger
) -> None:
    fill(ledger)
    text = "Dispute opened \x1b[31m by <!channel>\nsecond line"
    add_effect(ledger, event_id=DEAD, delivery_id=3, state=EffectState.DEAD, text=text)
    assert shell.having(NO_COLOR="1").on_terminal(80, "events", "get", "evt_3Dead") == DEAD_EVENT


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
