"""Slack is busy, broken, away, or answers into the void."""

from tests.faults.fault import Matrix, Stage
from tests.faults.needs import Needs
from tests.faults.proxy import Way
from tests.system.slack_stand_in import FINANCE, Trouble

matrix = Matrix()

BUSY_S = 3


@matrix.fault("slack-429", "The whole channel waits as long as Slack asks, and no attempt is counted.", stories_per_s=5)
def slack_busy(stage: Stage) -> None:
    slack, first = stage.house.slack, len(stage.house.slack.calls)
    slack.be_busy(FINANCE, after_s=BUSY_S)
    stage.house.wait_for(lambda: any(call.status == 429 for call in slack.calls[first:]))
    stage.sending.wait_for(20)
    stage.house.wait_for(lambda: any(call.status == 200 for call in slack.calls[first:]))
    busy = [call for call in slack.calls[first:] if call.status == 429]
    stage.remark(f"{len(busy)} calls told to wait")
    counted = stage.house.database.rows("SELECT key FROM effects WHERE last_error LIKE '%429%' AND failures > 0")
    stage.claim(holds=not counted, what=f"{len(counted)} effects count a 429 as a failure")


@matrix.fault(
    "slack-fails",
    "500, 502, dropped before and after the message was taken, silence: tried again, and marked where it may repeat.",
    stories_per_s=5,
    takes_s=22,
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
