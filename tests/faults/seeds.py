"""Seeds that failed once, with what they had found. `make faults` runs them each time.

A seed fixes the webhooks, the victims and the instants; what the machine's scheduler does in between it does not.
"""

from dataclasses import dataclass

from tests.faults.engines import Engine


@dataclass(frozen=True, slots=True)
class Seed:
    """One run that failed.

    Attributes:
        found: what was wrong then.

    """

    engine: Engine
    fault: str
    seed: int
    found: str


SEEDS = (
    Seed(
        Engine.SQLITE,
        "clocks-jump",
        100,
        "An alert that was planned by a worker whose clock was an hour ahead waited for that hour.",
    ),
    Seed(
        Engine.POSTGRESQL,
        "poison",
        400,
        "A refund's alert died with a handler that kills its worker: freed together, they ran together three times.",
    ),
)
