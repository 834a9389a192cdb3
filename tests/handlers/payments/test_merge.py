"""Two pages of one object become one, whichever comes first and however often."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from handlers.payments.merge import LASTING, PLAIN, Page, merge
from handlers.payments.version import Version

GROWING = frozenset({"amount_refunded"})
NUMBERS = st.integers(0, 3)
MAYBE = st.none() | st.sampled_from(["one", "two"])


@st.composite
def pages(draw: st.DrawFn) -> list[Page]:
    """Draw what some events say of one object; each event says one thing."""
    return [draw(page(f"evt_{number}")) for number in range(draw(st.integers(1, 6)))]


@st.composite
def page(draw: st.DrawFn, event: str) -> Page:
    version = Version(draw(st.integers(0, 2)), draw(NUMBERS), draw(NUMBERS), event)
    state = draw(st.sampled_from(["open", "paid", "void"]))
    facts: dict[str, Any] = {name: draw(MAYBE) for name in (*PLAIN, *LASTING)}
    details = draw(st.dictionaries(st.sampled_from(["amount_refunded", "number"]), NUMBERS))
    reached = {state: version.created}
    return Page(version=version, facts={**facts, "state": state}, details=details, known_since={}, reached=reached)


def merged(told: list[Page]) -> Page:
    whole, *rest = told
    for each in rest:
        whole = merge(whole, each, growing=GROWING)
    return whole


@given(told=pages(), data=st.data())
def test_any_order_with_repetitions_and_in_any_groups_gives_the_same_page(
    told: list[Page], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(told), max_size=4))
    arrivals = data.draw(st.permutations([*told, *again]))
    middle = data.draw(st.integers(1, len(arrivals)))
    halves = [merged(half) for half in (arrivals[:middle], arrivals[middle:]) if half]
    assert merged(halves) == merged(told)


@given(told=pages())
def test_the_greatest_version_that_says_something_counts(told: list[Page]) -> None:
    whole = merged(told)
    greatest = max(told, key=lambda each: each.version)
    assert {name: whole.facts[name] for name in PLAIN} == {name: greatest.facts[name] for name in PLAIN}
    for name in LASTING:
        said = [each for each in told if each.facts[name] is not None]
        newest = max(said, key=lambda each: each.version, default=None)
        assert whole.facts[name] == (newest.facts[name] if newest else None)


@given(told=pages())
def test_what_only_grows_is_the_most_that_was_ever_said_and_a_state_began_when_it_was_first_seen(
    told: list[Page],
) -> None:
    whole = merged(told)
    most = max((each.details["amount_refunded"] for each in told if "amount_refunded" in each.details), default=None)
    assert whole.details.get("amount_refunded") == most
    first: dict[str, list[int]] = {each.facts["state"]: [] for each in told}
    for each in told:
        first[each.facts["state"]].append(each.version.created)
    assert whole.reached == {state: min(times) for state, times in first.items()}
