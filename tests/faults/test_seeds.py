"""The lists of the harness fit together, and one broken Hookline is caught for real."""

import pytest

from tests.faults.engines import Engine
from tests.faults.house import House
from tests.faults.matrix import all_faults
from tests.faults.mutants import MUTANTS, Mutant
from tests.faults.run import run
from tests.faults.seeds import SEEDS
from tests.faults.verdict import CLAUSES
from tests.servers.redis import installed

SEED = 1


def test_faults_have_names_of_their_own() -> None:
    names = [fault.name for fault in all_faults()]

    assert len(set(names)) == len(names)


def test_old_seeds_and_mutants_name_faults_that_there_are() -> None:
    names = {fault.name for fault in all_faults()}

    assert {seed.fault for seed in SEEDS} | {mutant.fault for mutant in MUTANTS} <= names
    assert {mutant.clause for mutant in MUTANTS} <= CLAUSES.keys() | {"what this fault claims"}


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_every_mutant_still_finds_the_line_that_it_changes(mutant: Mutant) -> None:
    for change in mutant.changes:
        assert change.fits(), f"{change.path} does not say {change.old!r} any more"


@pytest.mark.thorough  # it starts two of everything; tests/faults/test_verdict.py catches each clause's culprit without
def test_a_hookline_that_does_not_wait_for_the_disk_is_caught() -> None:
    installed("strace", package="strace")
    mutant = next(each for each in MUTANTS if each.name == "does-not-wait-for-the-disk")
    fault = mutant.made()
    house = House(Engine.SQLITE, needs=fault.needs, seed=str(SEED))
    try:
        house.open()
        complaints = run(house, fault, seed=SEED).complaints
    finally:
        house.close()

    assert mutant.clause in {each.clause for each in complaints}
