"""The workers and sweepers are killed, stopped and restarted."""

from tests.faults.fault import Matrix, Stage
from tests.faults.house import ALL, SWEEPERS, THIRD, WEBS, WORKERS
from tests.system.slack_stand_in import Trouble

matrix = Matrix()

GRACE_S = 10.0

RUNNING = "SELECT count(*) AS n FROM deliveries WHERE state = 'running'"
CRASHES = "SELECT count(*) AS n FROM attempts WHERE outcome = 'crashed'"


def _count(stage: Stage, sql: str) -> int:
    return int(stage.house.database.rows(sql)[0]["n"])


@matrix.fault(
    "worker-killed",
    "Killed while it runs deliveries, once the child, once the master: they run again 30 s later, effects once.",
    takes_s=60,
)
def worker_killed(stage: Stage) -> None:
    """Reach the point without a hook: let a backlog grow, start a worker, kill it when the ledger shows claims."""
    for name, kill in zip(WORKERS, (stage.control.kill_children, stage.control.kill), strict=True):
        for each in WORKERS:
            stage.control.stop(each)
        stage.sending.wait_for(60)
        stage.house.keeper.launch(name)
        stage.house.wait_for(lambda: _count(stage, RUNNING) > 0)
        kill(name)
        stage.remark(f"{_count(stage, RUNNING)} held by the dead")
        stage.house.start(*WORKERS)


@matrix.fault(
    "worker-killed-after-slacks-yes",
    "Slack has the message, we have not yet written so: it is looked for, else posted again and marked as a repeat.",
    stories_per_s=5,
    takes_s=40,
)
def worker_killed_after_yes(stage: Stage) -> None:
    """Slack's stand-in takes the message and holds its answer; the worker is killed while it waits."""
    troubles = [stage.house.slack.expect(Trouble(takes=True, visible=visible, hold=True)) for visible in (True, False)]
    stage.house.wait_for(lambda: all(each.reached.is_set() for each in troubles))
    stage.instant(0.0, 0.5)
    stage.control.kill_all(*WORKERS)
    stage.house.slack.release()
    stage.sending.wait_for(20)


@matrix.fault(
    "worker-restarted",
    "SIGTERM under load: what runs is finished or given back, no crash is counted, it is gone within 10 s.",
    takes_s=34,
)
def worker_restarted(stage: Stage) -> None:
    before = _count(stage, CRASHES)
    for name in WORKERS:
        stage.instant(0.0, 0.5)
        took_s = stage.control.restart(name)
        stage.claim(holds=took_s < GRACE_S, what=f"{name} took {took_s:.1f} s to end")
    stage.sending.wait_for(10)
    stage.claim(holds=_count(stage, CRASHES) == before, what="an orderly stop was counted as a crash")


@matrix.fault(
    "sweepers-killed",
    "Three sweepers, killed again and again while doorbells are lost: everything is handled, nothing twice.",
    takes_s=36,
)
def sweepers_killed(stage: Stage) -> None:
    stage.house.start(THIRD)
    client = stage.house.broker.client()
    for _ in range(4):
        stage.instant(0.2, 1.2)
        client.flushall()
        stage.control.kill(stage.draw.choice((*SWEEPERS, THIRD)))
    client.close()
    stage.house.stop(THIRD)


@matrix.fault(
    "everything-killed",
    "All processes, the broker and the database's server at once, at a random instant: the books balance.",
    answers=("refused", "reset", "503", "timeout"),
    stories_per_s=6,
    takes_s=46,
)
def everything_killed(stage: Stage) -> None:
    stage.instant(0.5, 2.0)
    stage.control.kill_all(*ALL)
    stage.house.broker.kill()
    if stage.house.postgresql is not None:
        stage.house.postgresql.stop_at_once()
        stage.house.postgresql.start()
    stage.instant(0.0, 0.5)
    stage.house.broker.start()
    stage.house.wait_until_all_are_ready()


@matrix.fault(
    "stopped-while-broker-is-away",
    "SIGTERM while the broker hangs: web and worker end within their time all the same.",
    answers=("refused",),
    takes_s=30,
)
def stopped_without_broker(stage: Stage) -> None:
    names = [stage.draw.choice(WEBS), stage.draw.choice(WORKERS), stage.draw.choice(SWEEPERS)]
    stage.control.freeze(stage.house.broker.pid)
    try:
        stage.sending.wait_for(20)
        for name in names:
            took_s = stage.control.stop(name)
            stage.claim(holds=took_s < GRACE_S, what=f"{name} took {took_s:.1f} s to end")
    finally:
        stage.control.thaw(stage.house.broker.pid)
    stage.house.start(*names)
