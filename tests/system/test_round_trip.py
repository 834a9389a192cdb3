"""The round trip of each source: what is posted, what becomes of it, what is answered."""

import json
from collections.abc import Iterator

import pytest

from tests.system.conftest import House, run_house
from tests.system.parcel import Parcel, make_dispute, make_parcel
from tests.system.sender import Sender
from tests.system.slack_stand_in import ENGINEERING, FINANCE

SLACK_PATIENCE_S = 3.0

MARA, JON = "U0QKMARA01", "U0QKJON002"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house in which one person may press buttons and ask, and another may not."""
    yield from run_house(tmp_path_factory.mktemp("house"), {"SLACK_ALLOWED_USERS": MARA})


def make_press(action: str, case: str, *, user: str) -> Parcel:
    """Make what Slack posts when somebody presses a button under a case."""
    its = {"user.id": user, "actions.0.action_id": action, "actions.0.value": case}
    return make_parcel("slack", "block_actions", *(f"{name}={value}" for name, value in its.items()))


def ask(sender: Sender, text: str, *, user: str) -> str:
    """Type a command; give the answer, which only that person sees."""
    answer = sender.send(make_parcel("slack", "slash_command", f"text={text}", f"user_id={user}")).json
    assert answer["response_type"] == "ephemeral"
    return str(answer["text"])


def test_a_signed_dispute_ends_as_a_row_in_the_book_and_an_alert_in_slack(house: House) -> None:
    parcel = make_dispute()
    dispute = json.loads(parcel.body)["data"]["object"]

    answer = house.sender.send(parcel)

    assert answer.status == 200
    event = house.service.ledger.event(parcel.external_id)
    assert answer.json == {"status": "accepted", "event": event["id"]}
    assert event["body"] == parcel.body
    house.service.wait_for(lambda: house.service.ledger.is_done(parcel.external_id))
    rows = house.service.ledger.rows("SELECT * FROM disputes WHERE id = ?", dispute["id"])
    assert [(row["amount"], row["currency"], row["status"]) for row in rows] == [(4900, "usd", "needs_response")]
    (post,) = house.slack.posts_about(dispute["id"])
    assert post.channel == FINANCE
    assert post.text.startswith("TEST: Dispute opened: $49.00")
    assert post.arguments["unfurl_links"] is post.arguments["unfurl_media"] is False
    (effect,) = house.service.ledger.effects(parcel.external_id)
    assert (effect["ts"], effect["attempts"], effect["lost_answers"]) == (post.ts, 1, 0)


def test_a_failing_build_on_the_default_branch_is_told_to_engineering(house: House) -> None:
    parcel = make_parcel("github", "workflow_run.completed")
    run = json.loads(parcel.body)["workflow_run"]["id"]

    answer = house.sender.send(parcel)

    assert answer.json["status"] == "accepted"
    house.service.wait_for(lambda: house.service.ledger.is_done(parcel.external_id))
    (post,) = house.slack.posts_about(f"/runs/{run}")
    assert post.channel == ENGINEERING


def test_a_mention_in_slack_is_stored(house: House) -> None:
    parcel = make_parcel("slack", "app_mention")

    answer = house.sender.send(parcel)

    assert answer.json["status"] == "accepted"
    assert house.service.ledger.event(parcel.external_id)["type"] == "app_mention"


def test_the_status_command_is_answered_with_counts_by_state_before_slack_gives_up(house: House) -> None:
    house.sender.send(make_dispute())
    house.service.wait_until_idle()
    rows = house.service.ledger.rows("SELECT state, count(*) AS n FROM deliveries GROUP BY state ORDER BY state")
    counts = ", ".join(f"{row['n']} {row['state']}" for row in rows)
    sent = house.service.ledger.value("SELECT count(*) FROM effects WHERE state = 'sent'")
    parcel = make_parcel("slack", "slash_command")

    answer = house.sender.send(parcel)

    assert answer.took_s < SLACK_PATIENCE_S
    assert answer.json == {
        "response_type": "ephemeral",
        "text": f"*Deliveries*: {counts}\n*Alerts*: {sent} sent",
    }
    assert house.service.ledger.event(parcel.external_id)["type"] == "slash_command"


def test_a_button_is_answered_empty_and_stored(house: House) -> None:
    parcel = make_parcel("slack", "block_actions")

    answer = house.sender.send(parcel)

    assert (answer.status, answer.body) == (200, "")
    assert house.service.ledger.event(parcel.external_id)["type"] == "block_actions"


def test_slacks_url_verification_is_echoed_and_not_stored(house: House) -> None:
    parcel = make_parcel("slack", "url_verification")
    events = house.service.ledger.value("SELECT count(*) FROM events")

    answer = house.sender.send(parcel)

    assert (answer.status, answer.body) == (200, json.loads(parcel.body)["challenge"])
    assert house.service.ledger.value("SELECT count(*) FROM events") == events


def test_the_same_event_200_times_at_once_is_one_event_and_one_effect(house: House) -> None:
    parcel = make_dispute()
    dispute = json.loads(parcel.body)["data"]["object"]["id"]

    answers = house.sender.send_all([parcel] * 200, at_once=200)

    event = house.service.ledger.event(parcel.external_id)
    assert {answer.status for answer in answers} == {200}
    assert {answer.json["event"] for answer in answers} == {event["id"]}
    said = sorted(answer.json["status"] for answer in answers)
    assert said == ["accepted"] + ["duplicate"] * 199
    house.service.wait_for(lambda: house.service.ledger.is_done(parcel.external_id))
    assert [row["attempts"] for row in house.service.ledger.deliveries(parcel.external_id)] == [1, 1]
    assert len(house.service.ledger.rows("SELECT * FROM disputes WHERE id = ?", dispute)) == 1
    assert len(house.slack.posts_about(dispute)) == 1


def test_a_wrong_signature_is_refused_and_leaves_no_event(house: House) -> None:
    parcel = make_dispute()

    answer = house.sender.send(parcel, secret="whsec_of_somebody_else")

    assert answer.status == 401
    assert parcel.external_id not in house.service.ledger.external_ids()


def test_a_press_changes_the_case_where_everybody_sees_it_and_whoever_may_not_is_told_so_alone(
    house: House,
) -> None:
    service, sender, slack = house.service, house.sender, house.slack
    told = len(slack.posts)
    dispute = make_dispute("livemode=true")
    sender.send(dispute)
    service.wait_until_idle()
    (root,) = slack.posts[told:]

    sender.send_all([make_press("acknowledge", root.key, user=MARA), make_press("snooze", root.key, user=JON)])
    service.wait_until_idle()

    (root, line) = slack.posts[told:]
    assert f"Acknowledged by <@{MARA}>" in root.says
    assert (line.thread_ts, line.text) == (root.ts, f"<@{MARA}> has it in hand.")
    assert [(each["user"], each["channel"]) for each in slack.whispers] == [(JON, "#finance")]
    assert slack.too_fast == 0

    first = json.loads(dispute.body)["id"]
    sender.send(make_press("replay", root.key, user=MARA))
    service.wait_for(lambda: {row["attempts"] for row in service.ledger.deliveries(first)} == {2})
    service.wait_until_idle()
    assert [post.key for post in slack.posts[told:] if post.thread_ts is None] == [root.key]

    answer = ask(sender, "disputes", user=MARA)  # tests' money is not counted
    assert answer.startswith(f"*{service.ledger.value('SELECT count(*) FROM disputes')} open dispute")
    assert ", $49.00*\n" in answer
    assert "Disputed: 1 · $49.00" in ask(sender, "payments today", user=MARA)
    assert ask(sender, "disputes", user=JON).startswith("You may not ask")
