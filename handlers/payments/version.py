"""Which of two events knows better: the order that the whole book is kept in."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple


class Version(NamedTuple):
    """When and how an object was what an event says; versions compare in this order.

    Attributes:
        standing: a state that may still change, then what a refunded charge tells of its payment, then a final state.
        created: the event's own time, in Unix seconds: Stripe gives it no finer.
        rank: within one second, the state that is further on.
        event: the event's id, which decides nothing but the same everywhere.

    """

    standing: int
    created: int
    rank: int
    event: str

    def ties_with(self, other: "Version") -> bool:
        """Say whether nothing but the events' ids tells which came later."""
        return self[:3] == other[:3] and self.event != other.event

    @property
    def columns(self) -> dict[str, int | str]:
        """The same as a row has it."""
        return {f"version_{name}": value for name, value in self._asdict().items()}


def contradict(one: Mapping[str, Any], other: Mapping[str, Any], *, about: Collection[str]) -> bool:
    """Say whether two events' facts cannot both be. What one of them does not say is no contradiction."""
    return any(
        one.get(name) != other.get(name) and one.get(name) is not None and other.get(name) is not None for name in about
    )


def version_of(row: Mapping[str, Any]) -> Version:
    """Read a row's version."""
    return Version(*(row[f"version_{name}"] for name in Version._fields))
