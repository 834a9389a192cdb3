"""How large a run is: rounds, seconds, sizes, and the directory it works in."""

import math
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 32

MIN_JUDGED_ROUNDS = 5
# The median of fewer says little, so it is shown and not judged.


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much each benchmark does; see `QUICK`, `USUAL` and `FULL`."""

    drained_events: int  # in one round
    sustained_s: float
    idle_events: int
    small_ledger: int  # events
    large_ledger: int  # events
    handled_before: int  # events, before memory is looked at for the first time
    handled_after: int  # events, before it is looked at again
    backlog: int  # deliveries that wait while memory is looked at
    large_body_s: float  # of one round with and one without large bodies
    starts: int


QUICK = Sizes(
    drained_events=600,
    sustained_s=2,
    idle_events=5,
    small_ledger=1_000,
    large_ledger=3_000,
    handled_before=100,
    handled_after=300,
    backlog=200,
    large_body_s=2,
    starts=1,
)
# A smoke run: does every benchmark still run, and do its own checks hold?

USUAL = Sizes(
    drained_events=3_000,
    sustained_s=60,
    idle_events=150,
    small_ledger=10_000,
    large_ledger=1_000_000,
    handled_before=10_000,
    handled_after=30_000,
    backlog=12_000,
    large_body_s=3,
    starts=5,
)
# Fits into ten minutes on two cores, which is why memory is looked at after less than the full number.

FULL = Sizes(
    drained_events=9_000,
    sustained_s=60,
    idle_events=600,
    small_ledger=10_000,
    large_ledger=1_000_000,
    handled_before=10_000,
    handled_after=1_000_000,
    backlog=200_000,
    large_body_s=10,
    starts=5,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run."""

    rounds: int
    seconds: float  # of load in one round
    sizes: Sizes
    place: Path  # an empty directory on the disk that is measured
    smoke: bool  # only to see that everything works: no times are judged
    limit_s: float = math.inf  # what would not end by then is left out, and named

    @property
    def judged(self) -> bool:
        """Say whether the figures are worth a verdict."""
        return not self.smoke and self.rounds >= MIN_JUDGED_ROUNDS
