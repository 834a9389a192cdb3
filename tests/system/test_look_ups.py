"""Where Stripe can be asked, real workers ask: through a queue of its own, and what is told twice counts once."""

import json

from tests.system.conftest import MakeService
from tests.system.parcel import make_parcel
from tests.system.sender import Sender
from tests.system.slack_stand_in import SlackStandIn
from tests.workers.stripe_stand_in import KEY, open_stripe


def test_a_thin_event_is_fetched_told_and_counted_once_with_its_twin(
    service_with: MakeService, slack: SlackStandIn
) -> None:
    with open_stripe() as stripe:
        service = service_with(environ={"STRIPE_API_KEY": KEY, "STRIPE_API_URL": stripe.url})
        service.start()
        sender = Sender(service.url, service.place / "sender.jsonl")
        thin, twin = make_parcel("stripe", "v1.charge.dispute.created"), make_parcel("stripe", "charge.dispute.created")
        told = json.loads(twin.body)
        dispute = told["data"]["object"]["id"]
        stripe.now = told["created"] + 5
        stripe.objects[f"/v2/core/events/{thin.external_id}"] = {
            **json.loads(thin.body),
            "snapshot_event": twin.external_id,
        }
        stripe.objects[f"/v1/events/{twin.external_id}"] = told

        assert sender.send(thin).status == 200
        service.wait_for(lambda: len(slack.posts_about(dispute)) == 1)
        assert sender.send(twin).json["status"] == "duplicate"
        service.wait_until_idle()

        assert stripe.asked == [f"/v2/core/events/{thin.external_id}", f"/v1/events/{twin.external_id}"]
        assert len(slack.posts_about(dispute)) == 1
        [row] = service.ledger.rows("SELECT * FROM disputes WHERE id = ?", dispute)
        assert row["status"] == "needs_response"
        [attempt] = service.ledger.rows(
            "SELECT attempts.* FROM attempts JOIN deliveries ON deliveries.id = delivery_id WHERE queue = 'lookups'"
        )
        assert attempt["outcome"] == "done"
