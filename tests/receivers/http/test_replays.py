"""What was signed once and is sent again: each event counts once, and cannot be passed off as another."""

import uuid

import pytest

from tests.receivers.http.server import Server
from tests.receivers.http.webhooks import FORM, PATHS, Webhook, make_body, webhook

each_path = pytest.mark.parametrize("path", PATHS)


@each_path
def test_the_same_bytes_again_are_a_duplicate_and_leave_one_row(server: Server, path: str) -> None:
    asked = webhook(path)
    before = server.count("events")
    answers = [server.post(asked) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert server.count("events") == before + 1


def test_a_duplicate_is_answered_with_the_event_it_repeats(server: Server) -> None:
    asked = webhook("/webhooks/stripe")
    first, second = server.post(asked).json(), server.post(asked).json()
    assert first == {"status": "accepted", "event": first["event"]}
    assert second == {"status": "duplicate", "event": first["event"]}


@each_path
def test_copies_that_arrive_at_once_are_one_event(server: Server, path: str) -> None:
    asked = webhook(path)
    before, deliveries = server.count("events"), server.count("deliveries")
    assert [answer.status_code for answer in server.post_at_once([asked] * 12)] == [200] * 12
    assert server.count("events") == before + 1
    assert server.count("deliveries") <= deliveries + 1


def test_a_stripe_id_that_is_known_keeps_its_first_body(server: Server) -> None:
    first = webhook("/webhooks/stripe", b'{"object":"event","id":"evt_kept","type":"plan.created","n":1}')
    second = webhook("/webhooks/stripe", b'{"object":"event","id":"evt_kept","type":"plan.created","n":2}')
    event_id = server.post(first).json()["event"]
    assert server.post(second).json() == {"status": "duplicate", "event": event_id}
    assert server.body_of(event_id) == first.body


def test_githubs_redelivery_is_a_duplicate(server: Server) -> None:
    asked = webhook("/webhooks/github").with_headers(x_github_hook_id="7")
    event_id = server.post(asked).json()["event"]
    assert server.post(asked.with_headers(user_agent="GitHub-Hookshot/2")).json() == {
        "status": "duplicate",
        "event": event_id,
    }


def test_a_github_body_under_a_new_guid_is_an_event_of_its_own_with_the_same_hash(server: Server) -> None:
    # GitHub signs no header. Effects are keyed by what the body says, so they are not repeated.
    asked = webhook("/webhooks/github")
    ids = [server.post(asked).json()["event"], server.post(_with_new_guid(asked)).json()["event"]]
    hashes = server.rows("SELECT DISTINCT body_sha256 FROM events WHERE id IN (?, ?)", *ids)
    assert len(set(ids)) == 2
    assert len(hashes) == 1


def test_a_guid_that_is_taken_does_not_keep_another_body_out(server: Server) -> None:
    # Else somebody with one signed body could make us deaf to an event whose GUID he knows.
    first, second = webhook("/webhooks/github"), webhook("/webhooks/github")
    taken = first.headers["x-github-delivery"]
    assert server.post(first).json()["status"] == "accepted"
    assert server.post(second.with_headers(x_github_delivery=taken)).json()["status"] == "accepted"


BODIES = {
    "ping": make_body("/webhooks/github", action=None, issue=None, zen="z", hook={"id": 1}),
    "issues": make_body("/webhooks/github"),
    "pull_request": make_body("/webhooks/github", issue=None, number=1, pull_request={"id": 1}),
    "workflow_run": make_body("/webhooks/github", action="completed", issue=None, workflow_run={"id": 1}),
}


@pytest.mark.parametrize("event", BODIES)
@pytest.mark.parametrize("claimed", ["ping", "issues", "pull_request", "push", "workflow_run", "secret_scanning_alert"])
def test_a_github_body_sent_as_another_event_is_kept_as_unparseable_and_handled_by_nobody(
    server: Server, event: str, claimed: str
) -> None:
    if event == claimed:
        return
    asked = webhook("/webhooks/github", BODIES[event]).with_headers(x_github_event=claimed)
    answer = server.post(_with_new_guid(asked))
    stored = server.event(answer.json()["event"])
    assert answer.status_code == 200
    assert stored["state"] == "unparseable"
    assert stored["deliveries"] == []


def test_a_signed_body_sent_as_a_form_is_kept_as_unparseable_and_not_cut_at_its_ampersands(server: Server) -> None:
    title = "a&payload=%7B%22action%22%3A%22completed%22%2C%22workflow_run%22%3A%7B%7D%7D&b"
    body = make_body("/webhooks/github", title=title)
    asked = webhook("/webhooks/github", body).with_headers(content_type=FORM, x_github_event="workflow_run")
    assert server.event(server.post(asked).json()["event"])["state"] == "unparseable"


@pytest.mark.parametrize("path", ["/webhooks/slack/commands", "/webhooks/slack/interactivity"])
def test_a_signed_slack_event_sent_to_another_path_is_kept_as_unparseable_and_handled_by_nobody(
    server: Server, path: str
) -> None:
    text = "x&command=/hookline&text=status&payload=%7B%22type%22%3A%22block_actions%22%7D&y="
    event = webhook("/webhooks/slack/events", make_body("/webhooks/slack/events", text=text))
    moved = Webhook(path=path, body=event.body, headers=event.headers).with_headers(content_type=FORM)
    assert server.post(moved).status_code == 200
    (newest,) = server.rows("SELECT id FROM events ORDER BY id DESC LIMIT 1")
    assert server.event(newest["id"])["state"] == "unparseable"


def _with_new_guid(asked: Webhook) -> Webhook:
    return asked.with_headers(x_github_delivery=str(uuid.uuid4()))
