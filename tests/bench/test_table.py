"""What the table says, and what it does not."""

import json

import pytest

from bench.errors import CheckFailed
from bench.load import Load
from bench.rounds import alternate
from bench.row import Row, Wanted
from bench.table import as_brief_markdown, as_json, as_markdown, as_text, from_json

AT_LEAST = Wanted(text="≥ 1.0", ratio_at_least=1.0)
AT_MOST = Wanted(text="≤ 20 ms", ours_at_most=20)


def test_rounds_alternate_so_that_nobody_is_always_second() -> None:
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return 1.0

    figures = alternate({"a": lambda: measure("a"), "b": lambda: measure("b")}, rounds=3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert figures == {"a": [1.0] * 3, "b": [1.0] * 3}


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # The second round was disturbed, on both sides alike.
    row = Row(name="x", what="x", ours=[100, 10, 120], theirs=[50, 5, 50], wanted=AT_LEAST)
    assert row.ratio == 2.0
    assert row.reached is True


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row(name="x", what="x", ours=[1.0], theirs=[2.0], wanted=AT_LEAST), "no"),
        (Row(name="x", what="x", ours=[19.0], wanted=AT_MOST), "yes"),
        (Row(name="x", what="x", ours=[1.0]), "not judged"),
        (Row(name="x", what="x", skipped="node is not installed", wanted=AT_LEAST), "skipped: node is not installed"),
        (Row(name="x", what="x", failed="2 forged events got in", wanted=AT_LEAST), "FAILED: 2 forged events got in"),
    ],
)
def test_each_row_says_whether_it_is_reached_or_why_nothing_can_be_said(row: Row, verdict: str) -> None:
    machine = {"machine": "2 cores"}
    assert verdict in as_text(machine, [row], judged=True)
    assert verdict in as_markdown(machine, [row], judged=True)
    assert "2 cores" in as_text(machine, [row], judged=True)


def test_a_smoke_run_judges_no_times() -> None:
    row = Row(name="x", what="x", ours=[1.0], theirs=[2.0], wanted=AT_LEAST)
    assert "not judged" in as_text({}, [row], judged=False)
    assert json.loads(as_json({}, [row], judged=False))["rows"][0]["reached"] is None


def test_json_holds_every_round() -> None:
    row = Row(name="x", what="x", ours=[1.0, 3.0], theirs=[2.0, 2.0], wanted=AT_LEAST)
    [found] = json.loads(as_json({"machine": "2 cores"}, [row], judged=True))["rows"]
    assert (found["ours"], found["theirs"], found["ratios"]) == ([1.0, 3.0], [2.0, 2.0], [0.5, 1.5])


def test_a_run_that_was_kept_as_json_can_be_shown_again() -> None:
    rows = [
        Row(name="x", what="x", against="y", ours=[1.0, 3.0], theirs=[2.0, 2.0], wanted=AT_LEAST, note="why"),
        Row(name="z", what="z", skipped="no node"),
    ]
    written = as_json({"machine": "2 cores"}, rows, judged=True)
    machine, read, judged = from_json(written)
    assert as_text(machine, read, judged=judged) == as_text({"machine": "2 cores"}, rows, judged=True)
    assert "| x | y | 1.00 | ≥ 1.0 | yes |" in as_brief_markdown(machine, read, judged=judged)


def load(*, sent: int, accepted: int, refused: int, lost: int = 0) -> Load:
    return Load(sent=sent, accepted=accepted, refused=refused, lost=lost, seconds=1, p50_ms=1, p99_ms=1)


def test_a_load_counts_only_when_each_forged_request_was_refused_and_no_other() -> None:
    load(sent=2_000, accepted=1_998, refused=2).check(forged_refused=True)
    for wrong in (
        load(sent=2_000, accepted=2_000, refused=0),
        load(sent=2_000, accepted=1_997, refused=3),
        load(sent=2_000, accepted=1_997, refused=2, lost=1),
        load(sent=0, accepted=0, refused=0),
    ):
        with pytest.raises(CheckFailed):
            wrong.check(forged_refused=True)
