"""kill -9 of a worker between Slack's yes and our commit. The message is looked for before it is sent again."""

import logging
import time

from tests.system.parcel import make_build, make_dispute
from tests.system.posting import REPEAT, messages_for, post_without_trouble
from tests.system.sender import Sender
from tests.system.service import Service
from tests.system.slack_stand_in import SlackStandIn, Trouble

log = logging.getLogger(__name__)

FREED_S = 60.0
# The sweeper gives a worker 30 s to show a sign of life.


def test_what_slack_took_before_the_kill_is_found_or_else_posted_again_as_a_possible_repeat(
    service: Service, sender: Sender, slack: SlackStandIn
) -> None:
    service.start()
    post_without_trouble(service, sender)
    post_without_trouble(service, sender, make_build())
    parcels = [make_dispute(), make_build()]
    for parcel, visible in zip(parcels, [True, False], strict=True):  # each channel has one on its way
        trouble = slack.expect(Trouble(takes=True, visible=visible, hold=True))
        sender.send(parcel)
        assert trouble.reached.wait(30)

    service["worker"].kill_children()

    killed_at = time.monotonic()
    assert service["worker"].wait_for_end() != 0
    slack.release()
    assert [row["state"] for row in service.ledger.rows("SELECT state FROM effects")] == [
        "sent",
        "sent",
        "sending",
        "sending",
    ]
    service["worker"].start()
    service.wait_until_idle(timeout_s=FREED_S)
    log.info("all sent %.1f s after the kill", time.monotonic() - killed_at)
    effects = [effect for parcel in parcels for effect in service.ledger.effects(parcel.external_id)]
    assert [(row["state"], row["attempts"], row["lost_answers"]) for row in effects] == [("sent", 2, 1)] * 2
    found, not_found = (messages_for(service, slack, parcel) for parcel in parcels)
    assert [REPEAT in message for message in found] == [False]
    assert [REPEAT in message for message in not_found] == [False, True]
    assert len(slack.calls_of("conversations.history", status=200)) == 2
