"""The round trip of each source: what is posted, what becomes of it, what is answered."""

import json

from tests.system.conftest import House
from tests.system.parcel import make_dispute, make_parcel
from tests.system.slack_stand_in import ENGINEERING, FINANCE

SLACK_PATIENCE_S = 3.0


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
