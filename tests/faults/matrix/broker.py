"""The broker is killed, hung, wiped, full, or behind a bad network. No sender may notice."""

from tests.faults.engines import wipe
from tests.faults.fault import Matrix, Stage
from tests.faults.needs import Needs
from tests.faults.proxy import Way
from tests.system.broker import NAMESPACE, make_delayed, make_message, push

matrix = Matrix()

FLUSHES = 20

FULL_BYTES = 1024 * 1024


@matrix.fault("broker-killed", "Killed with -9 under load and started again: 2xx all the time, everything is handled.")
def broker_killed(stage: Stage) -> None:
    for _ in range(2):
        stage.instant(0.0, 0.5)
        stage.house.note("kill -9 the broker")
        stage.house.broker.kill()
        stage.sending.wait_for(20)
        stage.house.broker.start()


@matrix.fault("broker-hangs", "SIGSTOP: connections stay open and nothing is answered. 2xx all the time.")
def broker_hangs(stage: Stage) -> None:
    stage.control.freeze(stage.house.broker.pid)
    stage.sending.wait_for(40)
    stage.instant(0.0, 2.0)
    stage.control.thaw(stage.house.broker.pid)


@matrix.fault(
    "broker-flushed", f"FLUSHALL {FLUSHES} times under load: nothing is lost; what it forgot is rung again.", takes_s=14
)
def broker_flushed(stage: Stage) -> None:
    client = stage.house.broker.client()
    for _ in range(FLUSHES):
        stage.instant(0.05, 0.3)
        client.flushall()
    client.close()
    stage.house.note(f"FLUSHALL, {FLUSHES} times")


@matrix.fault("broker-wiped", "Killed, and started again with nothing on its disk: nothing is lost.")
def broker_wiped(stage: Stage) -> None:
    stage.instant(0.0, 0.5)
    stage.house.note("kill -9 the broker and delete its files")
    stage.house.broker.kill()
    wipe(stage.house.broker)
    stage.sending.wait_for(20)
    stage.house.broker.start()


@matrix.fault(
    "broker-full", "maxmemory 1mb, which it already holds: 2xx all the time; workers go on when there is room."
)
def broker_full(stage: Stage) -> None:
    client = stage.house.broker.client()
    client.set("ballast", b"x" * FULL_BYTES)
    client.config_set("maxmemory", FULL_BYTES)
    stage.sending.wait_for(60)
    stage.instant(0.0, 2.0)
    client.config_set("maxmemory", 0)
    client.delete("ballast")
    client.close()


@matrix.fault(
    "broker-unreachable",
    "The network refuses, then stalls: 2xx all the time, everything is handled.",
    needs=Needs(proxies=True),
    takes_s=26,
)
def broker_unreachable(stage: Stage) -> None:
    for way in (Way.REFUSE, Way.STALL):
        stage.house.note(f"the way to the broker: {way}")
        with stage.house.proxies["broker"].going(way):
            stage.sending.wait_for(30)
            stage.instant(0.0, 1.0)


@matrix.fault(
    "broker-answers-lost",
    "Enqueue, fetch and ack arrive and their answers do not: doubled and stranded doorbells change nothing.",
    needs=Needs(proxies=True),
)
def broker_answers_lost(stage: Stage) -> None:
    proxy = stage.house.proxies["broker"]
    before = proxy.lost
    with proxy.going(Way.LOSE, chance=0.1):
        stage.sending.wait_for(60)
    stage.remark(f"{proxy.lost - before} answers lost")


@matrix.fault(
    "broker-unreadable-messages",
    "Garbage and forged messages among ours: passed over, and what was fetched with them is handled.",
    takes_s=9,
)
def unreadable_messages(stage: Stage) -> None:
    client = stage.house.broker.client()
    finished = [row["id"] for row in stage.house.database.rows("SELECT id FROM deliveries WHERE state = 'done'")]
    forged = [b"not JSON", b"\xff\xfe", b"{}", make_message(), make_message([-1]), make_message(finished[:200])]
    for _ in range(5):
        stage.instant(0.05, 0.3)
        for data in forged:
            push(client, data, queue=stage.draw.choice(("payments", "notifications", "default")))
    client.close()


@matrix.fault(
    "broker-gone-at-the-worst-moment",
    "One delayed message falls due, another waits, and the broker is gone: stock Dramatiq loses a queue's thread here.",
    needs=Needs(environ=(("dramatiq_delay_queue_prefetch", "2"),)),
    soak=False,
    takes_s=46,
)
def broker_gone_at_the_worst_moment(stage: Stage) -> None:
    """Leave one worker only: if it lost a queue and went on, nobody else would do that queue's work."""
    house = stage.house
    stage.control.stop("worker.2")
    client = house.broker.client()
    for due_in_s in (3.0, 3600):
        push(client, make_delayed([4711], queue="payments", due_in_s=due_in_s), queue="payments.DQ")
    house.wait_for(lambda: client.llen(f"{NAMESPACE}:payments.DQ") == 0)
    client.close()
    house.note("kill -9 the broker")
    house.broker.kill()
    stage.instant(5.0, 7.0)
    wipe(house.broker)
    house.broker.start()
    stage.sending.rate(0)
    stage.sending.wait_until_over()
    stage.claim(holds=house.wait_until_quiet(timeout_s=180) is not None, what="one worker does not do all queues' work")
    house.start("worker.2")
