"""A press of a button in Slack, and a command typed there, with real processes: who may, and who may not."""

import json
from pathlib import Path

from tests.system.conftest import MakeService
from tests.system.parcel import Parcel, make_dispute, make_parcel
from tests.system.sender import Sender
from tests.system.slack_stand_in import SlackStandIn

MARA, JON = "U0QKMARA01", "U0QKJON002"


def make_press(action: str, case: str, *, user: str) -> Parcel:
    """Make what Slack posts when somebody presses a button under a case."""
    its = {"user.id": user, "actions.0.action_id": action, "actions.0.value": case}
    return make_parcel("slack", "block_actions", *(f"{name}={value}" for name, value in its.items()))


def ask(sender: Sender, text: str, *, user: str) -> str:
    """Type a command; give the answer, which only that person sees."""
    answer = sender.send(make_parcel("slack", "slash_command", f"text={text}", f"user_id={user}")).json
    assert answer["response_type"] == "ephemeral"
    return str(answer["text"])


def test_a_press_changes_the_case_where_everybody_sees_it_and_whoever_may_not_is_told_so_alone(
    service_with: MakeService, slack: SlackStandIn, tmp_path: Path
) -> None:
    service = service_with(environ={"SLACK_ALLOWED_USERS": MARA})
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    service.start()
    dispute = make_dispute("livemode=true")
    sender.send(dispute)
    service.wait_until_idle()
    (root,) = slack.posts

    sender.send_all([make_press("acknowledge", root.key, user=MARA), make_press("snooze", root.key, user=JON)])
    service.wait_until_idle()

    (root, line) = slack.posts
    assert f"Acknowledged by <@{MARA}>" in root.says
    assert (line.thread_ts, line.text) == (root.ts, f"<@{MARA}> has it in hand.")
    assert [(each["user"], each["channel"]) for each in slack.whispers] == [(JON, "#finance")]
    assert slack.too_fast == 0

    first = json.loads(dispute.body)["id"]
    sender.send(make_press("replay", root.key, user=MARA))
    service.wait_for(lambda: {row["attempts"] for row in service.ledger.deliveries(first)} == {2})
    service.wait_until_idle()
    assert [post.key for post in slack.posts if post.thread_ts is None] == [root.key]

    assert "*1 open dispute, $49.00*" in ask(sender, "disputes", user=MARA)
    assert "Disputed: 1 · $49.00" in ask(sender, "payments today", user=MARA)
    assert ask(sender, "disputes", user=JON).startswith("You may not ask")
