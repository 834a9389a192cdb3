"""The stories hold together: the same objects from beginning to end, in rising time, and every handler takes them."""

import json
from random import Random
from typing import Any

import pytest

from cli.sample import ID_MARK, SAMPLED_AT
from cli.scenario import SCENARIOS, tell
from tests.engines import DESK_ON_SQLITE
from tests.handlers.desk import Desk

NOW = SAMPLED_AT + 3_000_000.0


def told(name: str, seed: int = 1) -> list[dict[str, Any]]:
    webhooks = tell(SCENARIOS[name], [], now=NOW, random=Random(seed))  # noqa: S311  # no secret
    return [json.loads(webhook.body) for _, webhook in webhooks]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_story_ends_now_in_rising_time_with_an_event_of_its_own_for_each_step(name: str) -> None:
    events = told(name)
    times = [event["created"] for event in events]
    assert times == sorted(set(times))
    assert times[-1] == NOW
    assert len({event["id"] for event in events}) == len(events)
    assert ID_MARK not in json.dumps(events)


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_an_object_was_made_with_stays_the_same_and_lies_before_each_of_its_events(name: str) -> None:
    made: dict[str, int] = {}
    for event in told(name):
        thing = event["data"]["object"]
        assert made.setdefault(thing["id"], thing["created"]) == thing["created"] <= event["created"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_events_of_a_story_are_about_objects_that_belong_together(name: str) -> None:
    first = {event["data"]["object"]["id"][-20:] for event in told(name)}
    other = {event["data"]["object"]["id"][-20:] for event in told(name, seed=2)}
    assert len(first) == 1
    assert first != other


@DESK_ON_SQLITE
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_story_passes_the_handlers_in_order_and_backwards(desk: Desk, name: str) -> None:
    for seed, step in ((1, 1), (2, -1)):
        for event in told(name, seed)[::step]:
            desk.deliver(event)


def test_how_the_stories_end() -> None:
    assert told("dispute-lost")[-1]["data"]["object"]["status"] == "lost"
    assert told("dispute-won")[-1]["data"]["object"]["status"] == "won"
    assert told("subscription-failing")[-2]["data"]["object"]["next_payment_attempt"] is None
    assert told("subscription-failing")[-1]["data"]["object"]["status"] == "canceled"
