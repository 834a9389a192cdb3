"""What tests ask about the messages of one event."""

from tests.system.parcel import Parcel, make_dispute
from tests.system.sender import Sender
from tests.system.service import Service
from tests.system.slack_stand_in import SlackStandIn

REPEAT = "This may be a repeat"


def post_without_trouble(service: Service, sender: Sender, parcel: Parcel | None = None) -> None:
    """Post one alert, a dispute's if not told otherwise: Slack's answer says which id the channel has."""
    parcel = parcel or make_dispute()
    sender.send(parcel)
    service.wait_for(lambda: service.ledger.is_done(parcel.external_id))


def messages_for(service: Service, slack: SlackStandIn, parcel: Parcel) -> list[str]:
    """Give all messages in Slack about an event's one effect."""
    (effect,) = service.ledger.effects(parcel.external_id)
    return [post.says for post in slack.posts_of(effect["key"])]
