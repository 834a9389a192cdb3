"""Slack is slow, busy, broken, away, or not there at all: every alert arrives, and none is sent twice."""

import pytest

from tests.system.conftest import House
from tests.system.ledger_file import Row
from tests.system.parcel import make_dispute, make_parcel
from tests.system.posting import REPEAT, messages_for, post_without_trouble
from tests.system.service import Service
from tests.system.slack_stand_in import ENGINEERING, FINANCE, Trouble

PAUSE_S = 3
LANES = 2
# Messages to one channel that may be on their way when the first is told to wait.

FIRST_STEP_S = 60.0
# The first retry comes within 5 s; if Slack is still away by then, the second one within 30 s.


def only_effect(service: Service, external_id: str) -> Row:
    (effect,) = service.ledger.effects(external_id)
    return effect


def test_429_makes_the_whole_channel_wait_and_uses_up_no_attempt(house: House) -> None:
    service, slack = house.service, house.slack
    service.wait_until_idle()
    first = len(slack.calls)
    slack.be_busy(FINANCE, after_s=PAUSE_S)
    disputes = [make_dispute() for _ in range(5)]
    build = make_parcel("github", "workflow_run.completed")

    house.sender.send_all([*disputes, build])

    service.wait_until_idle()
    calls = slack.calls[first:]
    busy = [call for call in calls if call.status == 429]
    taken = {call.arguments["channel"]: call.at for call in reversed(calls) if call.status == 200}
    assert 1 <= len(busy) <= LANES
    assert taken[FINANCE] - busy[0].at >= PAUSE_S
    assert taken[ENGINEERING] < taken[FINANCE]
    for parcel in disputes:
        effect = only_effect(service, parcel.external_id)
        assert (effect["state"], effect["attempts"], effect["failures"]) == ("sent", 1, 0)
        assert len(slack.posts_of(effect["key"])) == 1


def test_500_is_tried_again(house: House) -> None:
    service, slack = house.service, house.slack
    service.wait_until_idle()
    slack.expect(Trouble(status=500))
    parcel = make_dispute()

    house.sender.send(parcel)

    service.wait_for(lambda: service.ledger.is_done(parcel.external_id), timeout_s=FIRST_STEP_S)
    effect = only_effect(service, parcel.external_id)
    assert (effect["attempts"], effect["failures"], effect["lost_answers"]) == (2, 1, 0)
    (post,) = slack.posts_of(effect["key"])
    assert "repeat" not in post.says


def test_what_cannot_be_sent_while_slack_is_down_is_sent_when_it_is_back(house: House) -> None:
    service, slack = house.service, house.slack
    service.wait_until_idle()
    slack.stop()
    parcel = make_dispute()
    try:
        house.sender.send(parcel)
        service.wait_for(lambda: [row["failures"] for row in service.ledger.effects(parcel.external_id)] == [1])
        assert "cannot be reached" in only_effect(service, parcel.external_id)["last_error"]
    finally:
        slack.start()

    service.wait_for(lambda: service.ledger.is_done(parcel.external_id), timeout_s=FIRST_STEP_S)

    effect = only_effect(service, parcel.external_id)
    (post,) = slack.posts_of(effect["key"])
    assert "repeat" not in post.says


@pytest.mark.parametrize("visible", [True, False], ids=["and_found", "and_not_found"])
def test_a_dropped_connection_after_the_message_was_taken_is_looked_for(house: House, *, visible: bool) -> None:
    service, sender, slack = house.service, house.sender, house.slack
    post_without_trouble(service, sender)
    service.wait_until_idle()
    slack.page_size = 2  # what is looked for is not on the first page
    slack.expect(Trouble(takes=True, visible=visible, answers=False))
    parcel = make_dispute()
    sender.send(parcel)
    service.wait_for(lambda: [row["lost_answers"] for row in service.ledger.effects(parcel.external_id)] == [1])
    sender.send_all([make_dispute() for _ in range(4)])

    service.wait_until_idle(timeout_s=FIRST_STEP_S)

    slack.page_size = 200
    messages = messages_for(service, slack, parcel)
    assert [REPEAT in message for message in messages] == ([False] if visible else [False, True])
    (effect,) = service.ledger.effects(parcel.external_id)
    assert (effect["state"], effect["attempts"], effect["failures"]) == ("sent", 2, 1)


def test_an_answer_that_does_not_come_is_waited_for_five_seconds_and_taken_for_lost(house: House) -> None:
    service, sender, slack = house.service, house.sender, house.slack
    post_without_trouble(service, sender)
    service.wait_until_idle()
    trouble = slack.expect(Trouble(takes=False, hold=True, answers=False))
    parcel = make_dispute()

    sender.send(parcel)

    service.wait_for(lambda: [row["lost_answers"] for row in service.ledger.effects(parcel.external_id)] == [1])
    trouble.release.set()
    service.wait_until_idle(timeout_s=FIRST_STEP_S)
    assert [REPEAT in message for message in messages_for(service, slack, parcel)] == [True]
