"""A fault: what is done to a house, and what must come of it."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from tests.faults.controller import Controller
from tests.faults.engines import Engine
from tests.faults.house import House
from tests.faults.needs import Needs
from tests.faults.record import Answer
from tests.faults.sending import Sending
from tests.faults.verdict import Complaint, Expected

BOTH = (Engine.SQLITE, Engine.POSTGRESQL)


@dataclass(slots=True)
class Stage:
    """Where a fault happens: a house under load, and all that is drawn from the seed."""

    house: House
    control: Controller
    sending: Sending
    draw: Random
    complaints: list[Complaint] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def instant(self, earliest_s: float, latest_s: float) -> None:
        """Wait for an instant that nobody chose."""
        time.sleep(self.draw.uniform(earliest_s, latest_s))

    def claim(self, *, holds: bool, what: str) -> None:
        """Complain unless something holds that only this fault can know."""
        if not holds:
            self.complaints.append(Complaint("what this fault claims", what))

    def remark(self, text: str) -> None:
        """Say something in the table."""
        self.remarks.append(text)

    def answers_to(self, external_id: str) -> list[Answer]:
        """Give all answers to one webhook so far."""
        return self.sending.facts.sent[external_id].answers


Make = Callable[[Stage], None]


def _nothing() -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row of the matrix.

    Attributes:
        name: as it is given to `--fault`.
        expected: in one sentence.
        make: makes it happen at instants drawn from the seed, and makes it end.
        engines: where there is such a thing.
        needs: of the house.
        outcome: what is not as usual in the verdict.
        stories_per_s: the load while it happens.
        missing: says what this machine lacks for it.
        soak: whether it may be drawn in a soak.
        takes_s: about how long it takes, most of it waiting; it only divides the work.
        heavy: it needs the whole machine: nothing may happen beside it.
        last: it leaves a house in which nothing else can happen.

    """

    name: str
    expected: str
    make: Make
    engines: Collection[Engine] = BOTH
    needs: Needs = field(default_factory=Needs)
    outcome: Expected = field(default_factory=Expected)
    stories_per_s: float = 10.0
    missing: Callable[[], str | None] = _nothing
    soak: bool = True
    takes_s: float = 20.0
    heavy: bool = False
    last: bool = False


class Matrix:
    """The faults of one file, in their order."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def fault(
        self,
        name: str,
        expected: str,
        *,
        answers: Collection[str] = (),
        states: Mapping[str, str] | None = None,
        engines: Collection[Engine] = BOTH,
        needs: Needs | None = None,
        stories_per_s: float = 10.0,
        missing: Callable[[], str | None] = _nothing,
        soak: bool = True,
        takes_s: float = 20.0,
        heavy: bool = False,
        last: bool = False,
    ) -> Callable[[Make], Make]:
        """Make a fault of a function."""

        def add(make: Make) -> Make:
            outcome = Expected(answers=frozenset(answers), states=states or {})
            self._faults.append(
                Fault(
                    name=name,
                    expected=expected,
                    make=make,
                    engines=engines,
                    needs=needs or Needs(),
                    outcome=outcome,
                    stories_per_s=stories_per_s,
                    missing=missing,
                    soak=soak,
                    takes_s=takes_s,
                    heavy=heavy,
                    last=last,
                ),
            )
            return make

        return add
