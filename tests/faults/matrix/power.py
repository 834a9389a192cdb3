"""A power cut, as far as one machine can show it: nothing is answered before the disk has said yes."""

from tests.cli.dev.waiting import descendants
from tests.faults import trace
from tests.faults.fault import Matrix, Stage
from tests.faults.house import WEBS

matrix = Matrix()

EVENTS = 20


@matrix.fault(
    "sync-before-answer",
    "Each 200 leaves the socket after an fdatasync or fsync that began after its request had come (strace).",
    missing=trace.missing,
    stories_per_s=0,
    soak=False,
    takes_s=8,
)
def sync_before_answer(stage: Stage) -> None:
    """Watch the system calls of web processes, their writers and PostgreSQL, and lay them on one line of time.

    Nothing is sent twice: what is on disk already is answered as a duplicate without another sync.
    """
    house = stage.house
    pids = [pid for name in WEBS for pid in (house[name].pid, *descendants(house[name].pid))]
    if house.postgresql is not None:
        pids += [house.postgresql.pid, *descendants(house.postgresql.pid)]
    with trace.watching(pids, house.place / "strace") as calls:
        for _ in range(EVENTS):
            stage.sending.burst(1, copies=(1, 1), again=False, kinds=("payout", "build"))
            stage.sending.wait_until_over()
    answers = calls.answers()
    unsafe = [each for each in answers if not calls.synced_between(each.began, each.answered)]
    stage.remark(f"{len(answers)} answers, {len(unsafe)} before a sync")
    stage.claim(holds=len(answers) >= EVENTS, what=f"strace saw only {len(answers)} answers of {EVENTS}")
    stage.claim(holds=not unsafe, what=f"{len(unsafe)} answers left before the disk had said yes")
