"""Forged and broken messages in the queues: they do nothing, and all others are handled."""

import logging

from tests.system.broker import make_message, push, valkey
from tests.system.parcel import make_dispute
from tests.system.posting import check_told_once
from tests.system.sender import Sender
from tests.system.service import VALKEY, Service
from tests.system.slack_stand_in import SlackStandIn

log = logging.getLogger(__name__)

WRONG = [
    make_message(),
    make_message([1], [2]),
    make_message(["1"]),
    make_message([1.5]),
    make_message([True]),
    make_message([-1]),
    make_message([2**63]),
    make_message([2**70]),
    make_message([[1]]),
    make_message({"1": 2}),
    make_message("1"),
    make_message(None),
    make_message(list(range(1, 100_000))),
    make_message([1], evil=1),
    make_message([4711]),
    make_message([1], actor="send"),
    make_message([1], queue="nowhere"),
    make_message([1], queue="default"),
    make_message([1], actor="os.system"),
    make_message("rm -rf /", actor=""),
]

TOGETHER = 6

UNREADABLE = [b"not JSON", b"\xff\xfe", b"[]", b"null", b"{}", b'{"queue_name": "payments"}', b'"deliver"']


def test_forged_and_unreadable_messages_do_nothing_and_the_others_are_handled(
    service: Service, sender: Sender, slack: SlackStandIn
) -> None:
    service.start(VALKEY, "web", "sweeper")
    _check_that_what_is_fetched_with_unreadable_ones_is_handled(service, sender)
    done = make_dispute()
    sender.send(done)
    service.wait_for(lambda: service.ledger.is_done(done.external_id))
    over = service.ledger.column("SELECT id FROM deliveries")
    many = [make_message([1], queue="nowhere") for _ in range(20)]  # more than a worker holds at a time

    with valkey(service) as client:
        for message in [*WRONG, *many, *(make_message([each]) for each in over), make_message(over)]:
            push(client, message)
        new = make_dispute()
        sender.send(new)
        service.wait_for(lambda: client.llen("hookline:payments") == 0)
    service.wait_until_idle()
    assert service["worker"].runs()
    service["worker"].stop()  # when it has ended, it has done all that it had fetched
    assert all(service.ledger.column("SELECT state = 'done' AND attempts = 1 FROM deliveries"))
    assert service.ledger.value("SELECT count(*) FROM attempts") == 2 * service.ledger.value(
        "SELECT count(*) FROM events"
    )
    check_told_once(service, slack, alerts=TOGETHER + 2)


def _check_that_what_is_fetched_with_unreadable_ones_is_handled(service: Service, sender: Sender) -> None:
    disputes = [make_dispute() for _ in range(TOGETHER)]
    with valkey(service) as client:
        sender.send_all(disputes[: TOGETHER // 2])
        for data in UNREADABLE:
            push(client, data)
        sender.send_all(disputes[TOGETHER // 2 :])

    service.start("worker")

    took_s = service.wait_until_idle()
    log.info("all handled after %.1f s", took_s)
