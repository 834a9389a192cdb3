"""Slack is busy, broken, away, or answers into the void."""

from tests.faults.fault import Matrix, Stage
from tests.faults.needs import Needs
from tests.faults.proxy import Way
from tests.system.slack_stand_in import Call, SlackStandIn, Trouble

matrix = Matrix()

BUSY, BUSY_S = "#refund", 3

OK, TOO_MANY = 200, 429

COUNTED = "SELECT key FROM effects WHERE last_error LIKE '%429%' AND failures > 0 AND folded_into IS NULL"
# What is folded into a storm is put aside with a failure of its own.


@matrix.fault("slack-429", "The whole channel waits as long as Slack asks, and no attempt is counted.", stories_per_s=5)
def slack_busy(stage: Stage) -> None:
    slack = stage.house.slack
    first = len(slack.calls)
    slack.be_busy(BUSY, after_s=BUSY_S)
    stage.house.wait_for(lambda: any(call.status == TOO_MANY for call in _calls(slack, first)))
    stage.sending.wait_for(20)
    stage.house.wait_for(lambda: any(call.status == OK for call in _calls(slack, first)))
    calls = _calls(slack, first)
    told = next(call for call in calls if call.status == TOO_MANY)
    early = [call for call in calls if told.at < call.at < told.at + BUSY_S]
    stage.remark(f"{len(early) + 1} calls told to wait")
    stage.claim(holds=not early, what=f"{len(early)} calls came before {BUSY_S} s were over")
    counted = stage.house.database.rows(COUNTED)
    stage.claim(holds=not counted, what=f"{len(counted)} effects count a 429 as a failure")


def _calls(slack: SlackStandIn, first: int) -> list[Call]:
    """Give the calls since `first` that came to the busy channel."""
    busy = (BUSY, slack.channels[BUSY])
    return [call for call in slack.calls[first:] if call.arguments.get("channel") in busy]


@matrix.fault(
    "slack-fails",
    "500, 502, dropped before and after the message was taken, silence: tried again, and marked where it may repeat.",
    stories_per_s=5,
    takes_s=30,
)
def slack_fails(stage: Stage) -> None:
    troubles = [
        Trouble(status=500),
        Trouble(status=502),
        Trouble(takes=False, answers=False),
        Trouble(takes=True, answers=False),
        Trouble(takes=True, visible=False, answers=False),
        Trouble(takes=True, hold=True),  # longer than we wait
    ]
    stage.draw.shuffle(troubles)
    for trouble in troubles:
        stage.instant(0.0, 0.3)
        stage.house.slack.expect(trouble)
    stage.house.wait_for(lambda: all(trouble.reached.is_set() for trouble in troubles))
    stage.instant(5.5, 6.5)
    stage.house.slack.release()


@matrix.fault(
    "slack-unreachable",
    "The network refuses, loses answers, trickles: every alert arrives, and what may repeat says so.",
    needs=Needs(proxies=True),
    stories_per_s=5,
)
def slack_unreachable(stage: Stage) -> None:
    proxy = stage.house.proxies["slack"]
    for way in (Way.REFUSE, Way.LOSE, Way.TRICKLE):
        stage.house.note(f"the way to Slack: {way}")
        with proxy.going(way, chance=0.5):
            stage.instant(1.0, 2.0)
