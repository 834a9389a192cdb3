"""Which runs share a house: all of them are run, none spoils another's house, and a herd has the machine for itself."""

from collections import Counter

from tests.faults.engines import Engine
from tests.faults.matrix import all_faults
from tests.faults.needs import Needs, join
from tests.faults.plan import make_old_runs, make_rows, make_runs

ENGINES = list(Engine)
RUNS = [*make_runs(ENGINES, all_faults(), 1), *make_old_runs(ENGINES, all_faults())]


def test_every_fault_is_run_once_on_each_engine_where_there_is_such_a_thing() -> None:
    planned = Counter((run.engine, run.fault.name, run.seed) for row in make_rows(RUNS) for run in row.runs)

    assert planned == Counter((run.engine, run.fault.name, run.seed) for run in RUNS)
    assert {(engine, fault.name) for fault in all_faults() for engine in fault.engines} <= {
        (engine, name) for engine, name, _ in planned
    }


def test_a_house_has_what_each_of_its_faults_needs() -> None:
    for row in make_rows(RUNS):
        for run in row.runs:
            assert row.engine is run.engine
            assert join([row.needs, run.fault.needs]) == row.needs


def test_a_fault_that_needs_nothing_shares_no_house_with_one_that_does() -> None:
    for row in make_rows(RUNS):
        assert len({run.fault.needs == Needs() for run in row.runs}) == 1


def test_nothing_happens_to_a_house_after_what_must_be_the_last() -> None:
    for row in make_rows(RUNS * 3):
        assert not any(run.fault.last for run in row.runs[:-1])


def test_what_needs_the_whole_machine_comes_after_all_others_and_shares_its_house_with_nothing_light() -> None:
    rows = make_rows(RUNS)

    assert [row.heavy for row in rows] == sorted(row.heavy for row in rows)
    assert all(run.fault.heavy for row in rows if row.heavy for run in row.runs)
