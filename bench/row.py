"""One row of the table: what was measured, against what, and whether that is as good as was wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A bound on the median ratio, on our own figure, or on nothing. `text` is how the table says it."""

    text: str
    ratio_at_least: float | None = None
    ratio_at_most: float | None = None
    ours_at_least: float | None = None
    ours_at_most: float | None = None

    def is_reached(self, *, ours: float | None, ratio: float | None) -> bool | None:
        """Say whether every bound holds; None where there is none, or nothing to judge."""
        bounds = (
            (ratio, self.ratio_at_least, 1),
            (ratio, self.ratio_at_most, -1),
            (ours, self.ours_at_least, 1),
            (ours, self.ours_at_most, -1),
        )
        known = [
            (figure - bound) * sign >= 0 for figure, bound, sign in bounds if bound is not None and figure is not None
        ]
        return all(known) if known else None


REPORTED = Wanted(text="report")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line.

    Attributes:
        name: of the benchmark, as `--only` takes it.
        what: was measured, with its unit.
        against: the peer; "itself" or "-" where there is none.
        ours, theirs: one figure for each round, side by side; empty where there is none.
        wanted: what was hoped for.
        note: what a reader must know to understand the figures.
        skipped: why there are none.
        failed: which of its own checks did not hold.

    """

    name: str
    what: str
    against: str = "-"
    ours: Sequence[float] = ()
    theirs: Sequence[float] = ()
    wanted: Wanted = REPORTED
    note: str = ""
    skipped: str | None = None
    failed: str | None = None

    @property
    def our_median(self) -> float | None:
        """Give our figure, if there is one."""
        return median(self.ours) if self.ours else None

    @property
    def their_median(self) -> float | None:
        """Give the peer's figure, if there is one."""
        return median(self.theirs) if self.theirs else None

    @property
    def ratios(self) -> list[float]:
        """Round by round: what disturbs a round disturbs both of its sides."""
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=False) if theirs]

    @property
    def ratio(self) -> float | None:
        """Give the median of the rounds' ratios."""
        return median(self.ratios) if self.ratios else None

    @property
    def reached(self) -> bool | None:
        """Say whether it is as good as was wanted; None where nothing can be said."""
        return self.wanted.is_reached(ours=self.our_median, ratio=self.ratio)
