"""When to try again: the retry schedule of deliveries and effects."""

import random
from dataclasses import dataclass

MINUTE_S = 60.0
HOUR_S = 60 * MINUTE_S
DAY_S = 24 * HOUR_S

STEPS_S = (5.0, 30.0, 2 * MINUTE_S, 10 * MINUTE_S, 30 * MINUTE_S, HOUR_S)
# The last step repeats, hourly, until the window closes.

WINDOW_S = 3 * DAY_S
# Counted from the first attempt: as long as Stripe itself goes on trying.

MAX_CRASHES = 3
# A delivery that was running at three deaths of its worker is taken to be their cause.


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often something failed since its schedule began, and when that was (Unix seconds)."""

    failures: int
    first_attempt_at: float

    def next_due(self, now: float, *, after_s: float | None = None) -> float | None:
        """Say when to try next (Unix seconds), or None when the window has closed.

        Args:
            now: the time of the failure.
            after_s: what the failure asked for; without it the wait is drawn from zero to the step ("full
                jitter"), so that what failed together does not come back together.

        """
        step_s = STEPS_S[min(self.failures, len(STEPS_S) - 1)]
        wait_s = random.uniform(0, step_s) if after_s is None else after_s  # noqa: S311  # spreads load, guards nothing
        due_at = now + wait_s
        return due_at if due_at <= self.first_attempt_at + WINDOW_S else None
