"""What the engineers are told of their repositories."""

from typing import Any

import pytest

from handlers.errors import GiveUp
from handlers.repositories.vulnerable_dependency import vulnerable_dependency
from tests.handlers.desk import Desk, sample

RUN, SECRET, DEPENDENCY = "workflow_run.completed", "secret_scanning_alert.created", "dependabot_alert.created"


def told(desk: Desk, type_: str, *changes: dict[str, Any]) -> list[str]:
    for each in changes:
        action = each.get("action", type_.partition(".")[2])
        desk.deliver(sample(type_, "github", **each), source="github", type_=f"{type_.partition('.')[0]}.{action}")
    assert all(post.channel == "#engineering" for post in desk.posts())
    return [post.header for post in desk.posts()]


@pytest.mark.parametrize(
    ("conclusion", "header"),
    [
        ("failure", "Build failed on main: example-software/ledgerline"),
        ("timed_out", "Build timed out on main: example-software/ledgerline"),
        ("startup_failure", "Build could not start on main: example-software/ledgerline"),
    ],
)
def test_a_build_that_breaks_on_the_default_branch_is_told(desk: Desk, conclusion: str, header: str) -> None:
    assert told(desk, RUN, {"workflow_run__conclusion": conclusion}) == [header]


@pytest.mark.parametrize(
    "changes",
    [
        {"workflow_run__conclusion": "success"},
        {"workflow_run__conclusion": "cancelled"},
        {"workflow_run__conclusion": None},
        {"workflow_run__head_branch": "year-end"},
        {"workflow_run__head_branch": None},
        {"workflow_run__head_repository": None},
        {"workflow_run__head_repository__id": 1},  # a fork's main
    ],
)
def test_other_runs_are_nobodys_business(desk: Desk, changes: dict[str, Any]) -> None:
    assert told(desk, RUN, changes) == []


def test_each_attempt_of_a_run_is_told_once(desk: Desk) -> None:
    assert len(told(desk, RUN, {}, {}, {"workflow_run__run_attempt": 2})) == 2


def test_a_finding_is_told_once_and_again_each_time_that_it_gets_worse(desk: Desk) -> None:
    again = {"action": "reopened", "alert__updated_at": "2026-10-31T09:00:00Z"}
    later = {"action": "reopened", "alert__updated_at": "2026-11-02T09:00:00Z"}
    edited = {"alert__updated_at": "2026-11-03T09:00:00Z"}
    assert told(desk, SECRET, {}, edited, again, again, later, {"action": "publicly_leaked"}) == [
        "Secret found: Stripe API Key in example-software/ledgerline",
        "Secret alert reopened: Stripe API Key in example-software/ledgerline",
        "Secret alert reopened: Stripe API Key in example-software/ledgerline",
        "Secret leaked to the public: Stripe API Key in example-software/ledgerline",
    ]


@pytest.mark.parametrize("action", ["reopened", "reintroduced", "auto_reopened"])
def test_a_dependency_that_is_vulnerable_again_is_told_again(desk: Desk, action: str) -> None:
    headers = told(desk, DEPENDENCY, {}, {"action": action}, {"action": action})
    assert headers == [
        "Vulnerable dependency (high): ledgerparse in example-software/ledgerline",
        "Vulnerable dependency is back (high): ledgerparse in example-software/ledgerline",
    ]


def test_the_repositorys_name_does_not_matter_to_what_is_told_once(desk: Desk) -> None:
    assert len(told(desk, DEPENDENCY, {}, {"repository__full_name": "example-software/renamed"})) == 1


def test_an_address_that_is_not_plain_https_is_left_out(desk: Desk) -> None:
    told(desk, RUN, {"workflow_run__html_url": "https://evil.example|Open> <!channel>"})
    assert [block["type"] for block in desk.posts()[0].blocks] == ["header", "section", "context"]


def test_a_type_that_does_not_fit_the_body_tells_nothing(desk: Desk) -> None:
    event = desk.store(sample(DEPENDENCY, "github", action="fixed"), source="github", type_=DEPENDENCY)
    desk.run(vulnerable_dependency, event)
    assert desk.posts() == []


@pytest.mark.parametrize(
    ("type_", "changes", "named"),
    [
        (RUN, {"workflow_run__id": "1"}, r"workflow_run\.id"),
        (RUN, {"repository": None}, "repository"),
        (SECRET, {"alert__number": True}, r"alert\.number"),
        (DEPENDENCY, {"alert__security_advisory": {}}, r"alert\.security_advisory\.ghsa_id"),
    ],
)
def test_a_body_of_another_shape_is_given_up_and_named(
    desk: Desk, type_: str, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(GiveUp, match=named):
        told(desk, type_, changes)
