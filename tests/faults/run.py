"""One run: one fault in one house, from the first webhook to the verdict."""

import time
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from random import Random
from statistics import quantiles

from tests.faults.books import Books
from tests.faults.controller import Controller
from tests.faults.fault import Fault, Stage
from tests.faults.house import QUIET_S, House
from tests.faults.record import Facts
from tests.faults.verdict import Complaint, Evidence, Post, doubles, judge

Turn = AbstractContextManager[object]

BEFORE, AFTER = 15, 15
# 2xx before the fault begins, and after it has ended: it must be seen that all works again.

OVER = frozenset({"done", "dead", "dismissed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What is counted in one run, and in no other of the same house.

    Attributes:
        webhooks: that the senders had to send, each counted once.
        refused: the answers that were no 2xx, by kind.
        stored: new events; done, dead, waiting: their deliveries.
        effects, posts, doubles: alerts, messages in Slack, and messages beyond the first of an alert.
        p50_ms, p99_ms: from a webhook's first byte to its 2xx.

    """

    webhooks: int
    attempts: int
    accepted: int
    refused: Counter[str]
    stored: int
    done: int
    dead: int
    waiting: int
    effects: int
    posts: int
    doubles: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one run.

    Attributes:
        seed: repeats it.
        skipped: why it was not run, if it was not.
        complaints: none, if all is well.
        recovered_s: from the last answer until nothing was left to do.
        took_s: all of it; cpu_s: what the house used of the processors.
        alone: it had failed among others, and was repeated with nothing beside it.
        place: where everything about a failed run is.

    """

    engine: str
    fault: str
    seed: int
    skipped: str | None = None
    complaints: Sequence[Complaint] = ()
    remarks: Sequence[str] = ()
    counts: Counts | None = None
    recovered_s: float = 0.0
    took_s: float = 0.0
    cpu_s: float = 0.0
    alone: bool = False
    place: str = ""

    @property
    def passed(self) -> bool:
        """Whether it was run and nobody complains."""
        return self.skipped is None and not self.complaints


def run(house: House, fault: Fault, *, seed: int, patience_s: float = QUIET_S, turn: Turn | None = None) -> Result:
    """Make a fault happen in a house, let all come to rest, and judge. Never raises: what fails is a complaint.

    It happens when its turn has come; the turn is over when all that is left is to wait.
    """
    began, used_s = time.monotonic(), house.meter.used_s()
    complaints: list[Complaint] = []
    remarks: list[str] = []
    counts: Counts | None = None
    quiet_s: float | None = None
    try:
        with turn or nullcontext():
            began, used_s = time.monotonic(), house.meter.used_s()
            house.note(f"run: {fault.name}, seed {seed}")
            before, posts, calls = house.books(), len(house.slack.posts), len(house.slack.calls)
            stage = _make_stage(house, fault, seed)
            complaints += _happen(stage, fault)
        left = {handler for handler, state in fault.outcome.states.items() if state not in OVER}
        quiet_s = house.wait_until_quiet(left=left, timeout_s=patience_s)
        house.note(f"quiet; calls of Slack: {_calls_by_channel(house, calls) or 'none'}")
        house.slack.trouble.clear()
        evidence = _gather(house, fault, stage)
        complaints += [*stage.complaints, *judge(evidence)]
        remarks += stage.remarks
        counts = _count(stage.sending.facts, before, evidence.books, evidence.posts[posts:])
    except Exception:  # noqa: BLE001  # the harness's own failure: the verdict of this run, not the end of all
        complaints.append(Complaint("the run", traceback.format_exc()))
    took_s, cpu_s = time.monotonic() - began, house.meter.used_s() - used_s
    house.note(f"{fault.name} took {took_s:.1f} s and {cpu_s:.1f} s of CPU")
    for complaint in complaints:
        house.note(f"complaint: {complaint.clause}: {complaint.what}")
    return Result(
        engine=house.engine,
        fault=fault.name,
        seed=seed,
        complaints=complaints,
        remarks=remarks,
        counts=counts,
        recovered_s=quiet_s or 0.0,
        took_s=took_s,
        cpu_s=cpu_s,
        place=str(house.place) if complaints else "",
    )


def _calls_by_channel(house: House, first: int) -> str:
    """Say what was posted and changed where since a call: a channel takes one a second."""
    channels = [call.arguments.get("channel") for call in house.slack.calls[first:]]
    counted = Counter(house.slack.name_of(each) for each in channels if each is not None)
    return ", ".join(f"{count} in {channel}" for channel, count in counted.most_common())


def _make_stage(house: House, fault: Fault, seed: int) -> Stage:
    name = f"{fault.name}-{seed}"
    draw = Random(name)  # noqa: S311  # repeats a run, guards nothing
    return Stage(house=house, control=Controller(house), sending=house.send(name, name), draw=draw)


def _happen(stage: Stage, fault: Fault) -> list[Complaint]:
    """Let it happen under load, and let the senders finish whatever came of it."""
    complaints: list[Complaint] = []
    try:
        _under_load(stage, fault)
    except AssertionError as error:
        complaints.append(Complaint("the run", f"did not come to its end: {traceback.format_exc()} {error}"))
        stage.house.slack.release()
    stage.house.note(f"the senders finished in {stage.sending.finish():.1f} s")
    return complaints


def _under_load(stage: Stage, fault: Fault) -> None:
    if fault.stories_per_s:
        stage.sending.rate(fault.stories_per_s)
        stage.sending.wait_for(BEFORE)
    stage.house.note("the fault begins")
    fault.make(stage)
    stage.house.note("the fault is over")
    stage.house.wait_until_all_are_ready()
    if fault.stories_per_s:
        stage.sending.rate(fault.stories_per_s)
        stage.sending.wait_for(AFTER)


def _gather(house: House, fault: Fault, stage: Stage) -> Evidence:
    return Evidence(
        facts=house.facts(),
        answers=stage.sending.facts.answers,
        books=house.books(),
        posts=house.posts(),
        expected=fault.outcome,
    )


def _count(facts: Facts, before: Books, after: Books, posts: Sequence[Post]) -> Counts:
    old = {row["id"] for row in before.deliveries}
    states = Counter(row["state"] for row in after.deliveries if row["id"] not in old)
    took_ms = sorted(answer.took_s * 1000 for answer in facts.answers if answer.accepted)
    steps = quantiles(took_ms, n=100) if len(took_ms) > 1 else [0.0] * 99
    return Counts(
        webhooks=len(facts.sent),
        attempts=sum(each.attempts for each in facts.sent.values()),
        accepted=sum(each.accepted for each in facts.sent.values()),
        refused=Counter(answer.what for answer in facts.answers if not answer.accepted),
        stored=len(after.events) - len(before.events),
        done=states["done"] + states["dismissed"],
        dead=states["dead"],
        waiting=sum(count for state, count in states.items() if state not in OVER),
        effects=len(after.effects) - len(before.effects),
        posts=len(posts),
        doubles=sum(count - 1 for count in doubles(posts).values()),
        p50_ms=steps[49],
        p99_ms=steps[98],
    )
