"""All benchmarks, in the order of the table."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import active_children, get_context

from bench.errors import CheckFailed, Skipped
from bench.plan import Plan
from bench.rounds import say
from bench.row import Row
from bench.rows import (
    ack,
    drain,
    growth,
    idle,
    ingest,
    large_body,
    memory,
    postgresql,
    receivers,
    start,
    sustained,
)
from bench.service import end_in_order

MAX_FAILURE_CHARS = 300

Measure = Callable[[Plan], Iterator[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One thing that is measured, and how long that usually takes."""

    measure: Measure
    takes_s: float


BENCHMARKS: Mapping[str, Benchmark] = {
    module.NAME: Benchmark(measure=module.measure, takes_s=module.TAKES_S)
    for module in (
        ingest,
        drain,
        receivers,
        sustained,
        idle,
        ack,
        growth,
        memory,
        postgresql,
        large_body,
        start,
    )
}

SMOKE_AT_ONCE = 4


def usual_s(names: Sequence[str]) -> float:
    """Say how long these take with five rounds on two cores that have nothing else to do."""
    return sum(BENCHMARKS[name].takes_s for name in names)


def measure_all(names: Sequence[str], plan: Plan) -> Iterator[Row]:
    """Measure one after the other; where no times are judged, several at once, because each mostly waits."""
    if not plan.smoke:
        until = time.monotonic() + plan.limit_s
        for name in names:
            fits = time.monotonic() + BENCHMARKS[name].takes_s <= until
            yield from measure(name, plan) if fits else [_left_out(name, plan)]
        return
    pool = ProcessPoolExecutor(SMOKE_AT_ONCE, mp_context=get_context("spawn"), initializer=end_in_order)
    try:
        for rows in pool.map(partial(_measure_in_pool, plan=plan), names):
            yield from rows
    except BaseException:
        for process in active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _left_out(name: str, plan: Plan) -> Row:
    why = f"it would not have ended within {plan.limit_s / 60:g} minutes, this machine is slower (--only {name})"
    return Row(name=name, what=name, skipped=why)


def _measure_in_pool(name: str, plan: Plan) -> list[Row]:
    try:
        return measure(name, plan)
    except SystemExit:
        os._exit(1)  # the pool's worker would take it for the end of this one, and begin the next


def measure(name: str, plan: Plan) -> list[Row]:
    """Run one benchmark. What cannot be measured, or should not be believed, is a row all the same."""
    say(f"{name} …")
    began = time.monotonic()
    rows: list[Row] = []
    try:
        rows.extend(BENCHMARKS[name].measure(plan))
    except Skipped as skipped:
        rows.append(Row(name=name, what=name, skipped=str(skipped)))
    except (CheckFailed, AssertionError) as failed:  # AssertionError: what the tests' helpers say of a dead process
        rows.append(Row(name=name, what=name, failed=" ".join(str(failed).split())[:MAX_FAILURE_CHARS]))
    say(f"  {name} took {time.monotonic() - began:.0f} s")
    return rows
