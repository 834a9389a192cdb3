"""The fault matrix: one file for each part that fails."""

from collections.abc import Sequence
from itertools import chain

from tests.faults.fault import Fault
from tests.faults.matrix import broker, clocks, database, deploy, handlers, load, power, slack, web, workers

FILES = (web, workers, broker, database, slack, load, power, clocks, deploy, handlers)


def all_faults() -> Sequence[Fault]:
    """Give all faults, in the order of the table."""
    return tuple(chain.from_iterable(file.matrix for file in FILES))
