"""A worker without a broker: deliveries are handed to it by the tests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from slack_sdk import WebClient

from config.metrics import Metrics, uncounted
from config.traces import Traces
from handlers.context import Channels, Context
from handlers.router import Ahead, Handler, Router
from ledger.event import Event
from ledger.store import Ledger
from tests.system.slack_stand_in import TOKEN, SlackStandIn
from workers.deliver import Deliverer
from workers.post import Slack
from workers.report import Report
from workers.send import Sender
from workers.watch import Watch

ENDS_S = 60.0
# For a watch that is told to: in the middle of a transaction it needs its ledger.


@dataclass
class Bench:
    """A deliverer whose one handler, `topic.run`, does what the test says."""

    ledger: Ledger
    watch: Watch
    run: Callable[[Event, Context], None] = field(default=lambda _event, _context: None)
    ahead: Ahead | None = None
    rung: int = 0
    handler_limit_s: float = 60.0
    turn_s: float = 60.0
    metrics: Metrics = field(default_factory=uncounted)

    def deliver(self, ids: object) -> None:
        """Hand a message to a worker."""
        handler = Handler(
            name="topic.run", source="stripe", types=("*",), queue="payments", run=self.run, ahead=self.ahead
        )
        self.deliverer(Router([handler])).deliver(ids)

    def deliverer(self, router: Router) -> Deliverer:
        """Make a worker's deliverer."""
        return Deliverer(
            ledger=self.ledger,
            router=router,
            channels=Channels(finance="#finance", engineering="#engineering"),
            watch=self.watch,
            ring_effects=self._ring,
            report=Report(metrics=self.metrics, traces=Traces()),
            handler_limit_s=self.handler_limit_s,
            turn_s=self.turn_s,
        )

    def _ring(self) -> None:
        self.rung += 1


@pytest.fixture
def bench(ledger: Ledger) -> Iterator[Bench]:
    watch = Watch(ledger, tick_s=0.01)
    watch.start()
    yield Bench(ledger, watch)
    watch.stop(ENDS_S)


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    slack = SlackStandIn()
    slack.start()
    yield slack
    slack.stop()
    assert slack.refused == []
    assert slack.too_fast == 0


@pytest.fixture
def sender(ledger: Ledger, slack: SlackStandIn) -> Iterator[Sender]:
    watch = Watch(ledger)
    watch.start()
    client = WebClient(token=TOKEN, base_url=slack.environ["SLACK_API_URL"], timeout=5, retry_handlers=[])
    yield Sender(ledger=ledger, slack=Slack(client), watch=watch, report=Report(metrics=uncounted(), traces=Traces()))
    watch.stop(ENDS_S)
