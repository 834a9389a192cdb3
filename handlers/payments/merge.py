"""Puts together what events say of one object: the same whatever their order, number and repetitions.

Of most facts, what the greatest version says counts, also where it says that there is none. What an object belongs to,
whose it is and what it cost is kept once it is known, because not every event and not every version of Stripe's API
says it: of these, the greatest version that says something counts. What only grows is the most that was ever said.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from handlers.payments.names import LINKS
from handlers.payments.version import Version

PLAIN = ("kind", "state", "amount", "currency", "failure_code", "reason")
LASTING = ("customer", *LINKS, "fee", "net", "settled_currency", "made_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that is known of one object.

    Attributes:
        version: the greatest that said something.
        facts: PLAIN and LASTING, by name.
        details: what else its kind has.
        known_since: of each lasting fact, the version that said it, where that is not `version`.
        reached: when each state was first seen, by state, in Unix seconds.

    """

    version: Version
    facts: Mapping[str, Any]
    details: Mapping[str, Any]
    known_since: Mapping[str, Version]
    reached: Mapping[str, int]

    def since(self, name: str) -> Version:
        """Say which version a lasting fact is of."""
        return self.known_since.get(name, self.version)


def merge(one: Page, other: Page, *, growing: Collection[str]) -> Page:
    """Put two pages of one object together. In any order and however often, the same comes of it."""
    later, earlier = (one, other) if one.version > other.version else (other, one)
    lasting = {name: _known_better(name, later, earlier) for name in LASTING}
    return Page(
        version=later.version,
        facts={
            **{name: later.facts[name] for name in PLAIN},
            **{name: page.facts[name] for name, page in lasting.items()},
        },
        details={**later.details, **_grown(later, earlier, growing)},
        known_since={
            name: page.since(name)
            for name, page in lasting.items()
            if page.facts[name] is not None and page.since(name) != later.version
        },
        reached={
            state: min(page.reached[state] for page in (one, other) if state in page.reached)
            for state in sorted({*one.reached, *other.reached})
        },
    )


def _known_better(name: str, later: Page, earlier: Page) -> Page:
    if later.facts[name] is None or earlier.facts[name] is None:
        return later if earlier.facts[name] is None else earlier
    return later if later.since(name) >= earlier.since(name) else earlier


def _grown(later: Page, earlier: Page, growing: Collection[str]) -> dict[str, Any]:
    return {
        name: max(page.details[name] for page in (later, earlier) if name in page.details)
        for name in growing
        if name in later.details or name in earlier.details
    }
