"""Handlers that fail, hang, kill their process, or eat its memory."""

from tests.faults.fault import Matrix, Stage
from tests.faults.needs import Needs
from tests.faults.plugins import FAILING

matrix = Matrix()

MEMORY_BYTES = 16 * 1024**3
# Of addresses, not of memory: less than the hungry handler asks for, more than a worker needs.

FAILING_HANDLERS = Needs(plugins=(("failing", FAILING),), memory_bytes=MEMORY_BYTES)

BUSY = ("503", "timeout")
# With SQLite a handler that hangs holds the one lock that there is, until it is interrupted after 10 s.

POISON = ("raises", "gives_up", "hangs", "kills", "hungry")


@matrix.fault(
    "broker-dies-while-handlers-fail",
    "Deliveries fail twice each while the broker goes and comes back empty: each is tried again until it is done.",
    answers=BUSY,
    needs=FAILING_HANDLERS,
    takes_s=47,
)
def broker_dies_while_handlers_fail(stage: Stage) -> None:
    stage.sending.burst(20, type="stumbles")
    stage.sending.wait_for(20)
    for _ in range(2):
        stage.instant(0.1, 1.0)
        stage.house.note("kill -9 the broker")
        stage.house.broker.kill()
        stage.sending.burst(5, type="stumbles")
        stage.instant(0.5, 1.5)
        stage.house.broker.start()


@matrix.fault(
    "worker-loses-a-thread",
    "A thread of a worker dies: the process ends with status 70, is started again, and nothing is missing.",
    answers=BUSY,
    needs=FAILING_HANDLERS,
    takes_s=36,
)
def worker_loses_a_thread(stage: Stage) -> None:
    before = stage.house.keeper.restarts
    stage.sending.burst(1, type="loses.thread")
    stage.house.wait_for(lambda: stage.house.keeper.restarts > before)


@matrix.fault(
    "poison",
    "A handler that raises is retried, one that gives up is dead at once, one that hangs or kills its worker is dead "
    "after three crashes; all others are handled as ever.",
    states={
        "failing.raises": "failed",
        "failing.hungry": "failed",
        "failing.gives_up": "dead",
        "failing.hangs": "dead",
        "failing.kills": "dead",
    },
    answers=BUSY,
    needs=FAILING_HANDLERS,
    soak=False,
    last=True,
    takes_s=110,
)
def poison(stage: Stage) -> None:
    stage.sending.burst(2, type="poison.hungry")
    stage.house.wait_for(lambda: _all_failed(stage, "failing.hungry"))
    for name in POISON[:-1]:
        stage.sending.burst(1, type=f"poison.{name}")
    stage.sending.wait_for(40)


def _all_failed(stage: Stage, handler: str) -> bool:
    states = stage.house.database.rows(f"SELECT state FROM deliveries WHERE handler = '{handler}'")
    return len(states) > 0 and all(row["state"] == "failed" for row in states)
