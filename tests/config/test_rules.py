"""The rules for alerts: what a file may say, what it means, and how a mistake in it is named."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from config.errors import InvalidRules
from config.rules import KINDS, Rules, load_rules

BERLIN = ZoneInfo("Europe/Berlin")

QUIET = """
time_zone = "Europe/Berlin"
[quiet_hours]
from = "20:00"
to = "07:00"
weekends = true
"""


def rules(tmp_path: Path, text: str) -> Rules:
    path = tmp_path / "alerts.toml"
    path.write_text(text)
    return load_rules(path, finance="#finance", engineering="#engineering")


def problems(tmp_path: Path, text: str) -> str:
    with pytest.raises(InvalidRules) as raised:
        rules(tmp_path, text)
    return str(raised.value)


def at(zone: ZoneInfo, *moment: int) -> float:
    return datetime(*moment, tzinfo=zone).timestamp()  # type: ignore[misc, arg-type]  # year, month, day, hour, minute


def test_without_a_file_every_kind_is_posted_to_its_team_whatever_the_amount(tmp_path: Path) -> None:
    usual = load_rules(tmp_path / "no.toml", finance="#finance", engineering="#engineering")
    assert usual.by_kind.keys() == KINDS.keys()
    assert {rule.channel for rule in usual.by_kind.values()} == {"#finance", "#engineering"}
    assert all(rule.post and rule.wants(Decimal("0.01"), "usd") for rule in usual.by_kind.values())
    assert usual.due_at(usual.by_kind["refund"], 1_000.0) == 1_000.0


def test_the_file_that_comes_with_hookline_says_what_is_usual_anyway(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "config" / "alerts.toml"
    both = [load_rules(path, finance="#f", engineering="#e") for path in (shipped, tmp_path / "no.toml")]
    assert both[0] == both[1]


def test_a_rule_says_where_from_what_amount_and_who_is_called(tmp_path: Path) -> None:
    said = rules(
        tmp_path,
        '[alerts.dispute]\nchannel = "C0QKDISPU1"\nmention = "<!subteam^S0QKFINAN>"\nat_least = {usd = "49.90"}\n'
        "[alerts.refund]\npost = false\n",
    )
    dispute = said.by_kind["dispute"]
    assert (dispute.channel, dispute.mention) == ("C0QKDISPU1", "<!subteam^S0QKFINAN>")
    assert [dispute.wants(Decimal(amount), "usd") for amount in ("49.89", "49.90")] == [False, True]
    assert dispute.wants(Decimal("0.01"), "eur")
    assert not said.by_kind["refund"].post


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('\ntime_zone = "Mars/Olympus"', 2, "is not a time zone"),
        ('[quiet_hours]\nfrom = "20:00"\nto = "7"', 3, "not a time of day"),
        ('[alerts.dispute]\nchanel = "#x"', 2, "no such key"),
        ('# disputes\n[alerts.dispute]\n\nmention = "@here"', 4, "<!here>"),
        ("[alerts.dispute]\nat_least = {usd = -1}", 2, "zero or more"),
        ('[alerts.dispute.at_least]\nUSD = "5"', 2, "not a currency"),
        ('[alerts.dispute.at_least]\nusd = 5\neur = "5 €"', 3, "not an amount"),
        ('[alerts.dispute.at_least]\nusd = "1_0"', 2, "not an amount"),
        ('[alerts.dispute]\nat_least = {usd = "1e3"}', 2, "not an amount"),
        ("[alerts]\n\nrefunds.post = false", 3, "not a kind of alert"),
        ("\n[alerts.chargeback]\npost = true", 2, "not a kind of alert"),
        ('[digest]\nat = "25:00"', 2, "not a time of day"),
        ("[watch]\noldest_delivery_s = 1", 2, "must be 10 or more"),
        ('[alerts.refund]\nchannel = "finance"', 2, "with its #"),
        ("[alerts.refund]\nfold_at = 2.5", 2, "a whole number"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    told = problems(tmp_path, text)
    assert f"alerts.toml, line {line}: " in told
    assert says in told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[alerts]\nrefund = 5", "must be a table"),
        ("[alerts.refund]\npost = 1", "must be true or false"),
        ("[alerts.refund]\nchannel = 1", "must be a text, in quotes"),
        ("[alerts.refund]\nseverity = 'bogus'", "must be 'info', 'warning' or 'critical'"),
        ("[alerts.refund]\nfold_at = 1", "must be 2 or more"),
        ("[alerts.refund]\nat_least = { usd = true }", "must be an amount"),
        ("[alerts.refund]\nat_least = 5", "must be a table"),
        ("[watch]\nsilence_times = '4'", "must be a whole number"),
        ("[quiet_hours]\nfrom = '22:00'", "is missing"),
    ],
)
def test_a_mistake_is_told_in_words_of_the_file_and_once(tmp_path: Path, text: str, says: str) -> None:
    told = problems(tmp_path, text)
    assert says in told
    assert ("alerts.toml, line " in told, told.count("alerts.toml"), "Input" in told) == (True, 1, False)


def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    assert "line 2" in problems(tmp_path, "[digest]\nat = 08:00")


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    told = problems(tmp_path, '[digest]\nat = "x"\n[alerts.refund]\nseverity = "bad"')
    assert "line 2" in told
    assert "line 4" in told


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ((2026, 11, 23, 12, 0), (2026, 11, 23, 12, 0)),  # a Monday at noon
        ((2026, 11, 23, 22, 0), (2026, 11, 24, 7, 0)),
        ((2026, 11, 24, 3, 0), (2026, 11, 24, 7, 0)),
        ((2026, 11, 20, 21, 0), (2026, 11, 23, 7, 0)),  # Friday night ends on Monday
        ((2026, 11, 21, 12, 0), (2026, 11, 23, 7, 0)),
        ((2026, 3, 27, 23, 0), (2026, 3, 30, 7, 0)),  # the clocks go forward on that Sunday
    ],
)
def test_quiet_hours_end_on_the_clocks_of_their_zone(
    tmp_path: Path, now: tuple[int, ...], until: tuple[int, ...]
) -> None:
    said = rules(tmp_path, QUIET)
    assert said.due_at(said.by_kind["refund"], at(BERLIN, *now)) == at(BERLIN, *until)
    assert said.due_at(said.by_kind["dispute"], at(BERLIN, *now)) == at(BERLIN, *now)  # critical


def test_a_digest_is_due_at_its_time_also_on_the_days_on_which_the_clocks_change(tmp_path: Path) -> None:
    said = rules(tmp_path, 'time_zone = "Europe/Berlin"\n[digest]\nat = "02:30"').digest
    forward, back = datetime(2026, 3, 29, 12, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC)
    assert said.last_due(forward.timestamp()).isoformat() == "2026-03-29T03:30:00+02:00"  # 02:30 does not happen
    assert said.last_due(back.timestamp()).isoformat() == "2026-10-25T02:30:00+02:00"  # the first of two
    assert said.last_due(at(BERLIN, 2026, 11, 23, 1, 0)).date().isoformat() == "2026-11-22"
