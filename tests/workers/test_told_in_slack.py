"""An alarm and a digest on their way into Slack, with several who look at the same moment."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from slack_sdk import WebClient
from sqlalchemy import update

from config.metrics import uncounted
from config.traces import Traces
from handlers.context import Channels, usual_rules
from ledger.store import Ledger
from ledger.tables import deliveries, effects
from tests.ledger.making import new_event, store
from tests.system.slack_stand_in import ENGINEERING, FINANCE, TOKEN, SlackStandIn
from tests.workers.conftest import ENDS_S
from workers.digest import DigestRound
from workers.post import Slack
from workers.report import Report
from workers.send import Sender
from workers.watch import Watch
from workers.watchman import INTERVAL_S, Watchman

CHANNELS = Channels(finance=FINANCE, engineering=ENGINEERING)

AT_ONCE = 4
YESTERDAY_S = 2 * 86_400


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    slack = SlackStandIn()
    slack.start()
    yield slack
    slack.stop()
    assert slack.refused == []


@pytest.fixture
def sender(ledger: Ledger, slack: SlackStandIn) -> Iterator[Sender]:
    watch = Watch(ledger)
    watch.start()
    client = WebClient(token=TOKEN, base_url=slack.environ["SLACK_API_URL"], timeout=5, retry_handlers=[])
    yield Sender(ledger=ledger, slack=Slack(client), watch=watch, report=Report(metrics=uncounted(), traces=Traces()))
    watch.stop(ENDS_S)


def at_once(*deeds: Callable[[], None]) -> None:
    """Do all of them at the same moment, each in a thread of its own."""
    gate = threading.Barrier(len(deeds))
    failed: list[BaseException] = []

    def run(deed: Callable[[], None]) -> None:
        gate.wait()
        try:
            deed()
        except BaseException as error:  # noqa: BLE001  # given to the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_an_alarm_is_posted_once_and_the_same_message_says_that_it_healed(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    passed_s = 0.0
    watchmen = [
        Watchman(ledger, rules=usual_rules(), channels=CHANNELS, monotonic=lambda: time.monotonic() + passed_s)
        for _ in range(AT_ONCE)
    ]
    store(ledger, new_event())
    with ledger.write() as db:
        db.execute(update(deliveries).values(state="dead"))
    at_once(*(each.look for each in watchmen))
    sender.send()
    [post] = slack.posts
    assert (post.channel, post.changes) == (ENGINEERING, 0)
    assert post.text.startswith("Dead: 1 delivery.")
    with ledger.write() as db:
        db.execute(update(deliveries).where(deliveries.c.state == "dead").values(state="dismissed"))
    passed_s = INTERVAL_S
    at_once(*(each.look for each in watchmen))
    sender.send()
    [post] = slack.posts
    assert post.changes == 1
    assert post.text.startswith("Healed after")


def test_a_digest_is_posted_once_whoever_looks_and_whenever_they_were_started(
    ledger: Ledger, slack: SlackStandIn, sender: Sender
) -> None:
    store(ledger, new_event(received_at=time.time() - YESTERDAY_S, handlers=()))
    noon = time.time() // 86_400 * 86_400 + 43_200
    for _ in range(2):
        rounds = [
            DigestRound(ledger, rules=usual_rules(), channels=CHANNELS, clock=lambda: noon) for _ in range(AT_ONCE)
        ]
        at_once(*(each.make for each in rounds))
    with ledger.write() as db:
        db.execute(update(effects).values(due_at=0))  # noon may still be to come
    sender.send()
    [post] = slack.posts
    assert post.channel == FINANCE
    assert "in figures" in post.text
