"""The retry schedule."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.schedule import DAY_S, HOUR_S, STEPS_S, WINDOW_S, Schedule

NOW = 1_800_000_000.0


def test_the_steps_are_5_s_30_s_2_min_10_min_30_min_and_then_hourly_for_3_days() -> None:
    assert list(STEPS_S) == [5, 30, 120, 600, 1800, 3600]
    assert WINDOW_S == 3 * DAY_S


@given(failures=st.integers(0, 500))
def test_a_wait_is_drawn_between_nothing_and_its_step(failures: int) -> None:
    due_at = Schedule(failures, NOW).next_due(NOW)
    assert due_at is not None
    assert 0 <= due_at - NOW <= STEPS_S[min(failures, 5)]


def test_waits_are_spread_over_their_step() -> None:
    waits = [(Schedule(5, NOW).next_due(NOW) or 0) - NOW for _ in range(500)]
    assert min(waits) < HOUR_S / 10
    assert max(waits) > HOUR_S * 0.9


def test_what_a_handler_asks_for_is_honoured() -> None:
    assert Schedule(3, NOW).next_due(NOW, after_s=77) == NOW + 77


@given(age=st.floats(0, WINDOW_S), failures=st.integers(0, 100))
def test_nothing_is_tried_after_three_days_from_the_first_attempt(age: float, failures: int) -> None:
    due_at = Schedule(failures, NOW - age).next_due(NOW)
    assert due_at is None or due_at <= NOW - age + WINDOW_S


def test_three_days_after_the_first_attempt_it_is_over() -> None:
    assert Schedule(80, NOW - WINDOW_S - 1).next_due(NOW) is None
    assert Schedule(0, NOW).next_due(NOW, after_s=WINDOW_S + 1) is None
