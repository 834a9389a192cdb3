"""Clocks that are wrong, and clocks that jump."""

from tests.faults import clock
from tests.faults.fault import Matrix, Stage
from tests.faults.house import WEBS, WORKERS
from tests.faults.needs import Needs

matrix = Matrix()

NEEDS = Needs(clocks=True)

HOUR_S = 3_600
TOLERANCE_S = 300


@matrix.fault(
    "web-clock-wrong",
    "Within 300 s of the senders' clock all is taken; beyond it 401 for what is signed with a time.",
    answers=("401",),
    needs=NEEDS,
    missing=clock.missing,
    soak=False,
)
def web_clock_wrong(stage: Stage) -> None:
    for off_s in (TOLERANCE_S - 20, -(TOLERANCE_S - 20)):
        stage.house.set_clock(WEBS[0], off_s)
        before = stage.sending.count(lambda what: what == "401")
        stage.sending.wait_for(30)
        refused = stage.sending.count(lambda what: what == "401") - before
        stage.claim(holds=refused == 0, what=f"{refused} were refused with a clock {off_s} s off")
    stage.house.set_clock(WEBS[0], stage.draw.choice((-1, 1)) * (TOLERANCE_S + 60))
    stage.sending.wait_for(5, lambda what: what == "401")
    stage.house.set_clock(WEBS[0], 0)


@matrix.fault(
    "clocks-jump",
    "A worker's and a sweeper's clock jump an hour to and fro: no claim is freed, everything is handled once.",
    answers=("401",),
    needs=NEEDS,
    missing=clock.missing,
    soak=False,
    takes_s=62,
)
def clocks_jump(stage: Stage) -> None:
    before = _crashed(stage)
    for _ in range(6):
        name = stage.draw.choice((WORKERS[0], "sweeper.1"))
        stage.house.set_clock(name, stage.draw.uniform(-HOUR_S, HOUR_S))
        stage.instant(0.3, 1.0)
    for name in (WORKERS[0], "sweeper.1"):
        stage.house.set_clock(name, 0)
    crashed = _crashed(stage) - before
    stage.claim(holds=crashed == 0, what=f"{crashed} claims were freed by a clock")


def _crashed(stage: Stage) -> int:
    return int(stage.house.database.rows("SELECT count(*) AS n FROM attempts WHERE outcome = 'crashed'")[0]["n"])
