"""What tests ask about the messages of one event."""

from collections import Counter

from tests.system.parcel import Parcel, make_dispute
from tests.system.sender import Sender
from tests.system.service import Service
from tests.system.slack_stand_in import SlackStandIn

REPEAT = "This may be a repeat"

STORM = "storm/"
# How the key of a message begins that tells of many alerts.


def post_without_trouble(service: Service, sender: Sender, parcel: Parcel | None = None) -> None:
    """Post one alert, a dispute's if not told otherwise: Slack's answer says which id the channel has."""
    parcel = parcel or make_dispute()
    sender.send(parcel)
    service.wait_for(lambda: service.ledger.is_done(parcel.external_id))


def messages_for(service: Service, slack: SlackStandIn, parcel: Parcel) -> list[str]:
    """Give all messages in Slack about an event's one effect."""
    (effect,) = service.ledger.effects(parcel.external_id)
    return [post.says for post in slack.posts_of(effect["key"])]


def check_told_once(service: Service, slack: SlackStandIn, *, alerts: int) -> None:
    """Check that there are so many alerts and Slack has each once: by itself, or told in the message of a storm."""
    effects = service.ledger.rows("SELECT id, key, parent, folded_into FROM effects")
    planned = [each for each in effects if each["parent"] is None and not each["key"].startswith(STORM)]
    assert len(planned) == alerts
    by_itself = [each["key"] for each in effects if each["folded_into"] is None]
    assert Counter(post.key for post in slack.posts) == dict.fromkeys(by_itself, 1)
    storms = {each["id"] for each in effects if each["key"].startswith(STORM) and each["parent"] is None}
    assert {each["folded_into"] for each in planned} <= {None, *storms}
