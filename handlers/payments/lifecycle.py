"""The states that Stripe's objects pass through: which of them is further on, and which is never left."""

from dataclasses import dataclass
from enum import IntEnum


class Standing(IntEnum):
    """How much an event's word counts."""

    PASSING = 0
    CHARGE = 1  # what is refunded was paid: that outdoes the payment's earlier states, and nothing that ends it
    FINAL = 2  # this state is never left


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The states of one kind of object.

    Attributes:
        order: from first to last, as they follow each other within one second; those between which an object goes to
            and fro are in one place together. An unknown state comes before all.
        final: those that are never left.

    """

    order: tuple[str | tuple[str, ...], ...]
    final: frozenset[str]

    def standing(self, state: str) -> Standing:
        """Say how much the object's word counts in this state."""
        return Standing.FINAL if state in self.final else Standing.PASSING

    def recurs(self, state: str) -> bool:
        """Say whether an object may come back to this state."""
        return any(isinstance(there, tuple) and state in there for there in self.order)

    def rank(self, state: str) -> int:
        """Say how far on this state is."""
        for place, there in enumerate(self.order, 1):
            if state == there or (isinstance(there, tuple) and state in there):
                return place
        return 0


TRY_FAILED = "a try failed"
# Stripe calls it `requires_payment_method`, as before the first try, but it comes after that try's states.

PAYMENT = Lifecycle(
    order=(
        "requires_payment_method",
        "requires_confirmation",
        "requires_action",
        "processing",
        "requires_capture",
        TRY_FAILED,
        "canceled",
        "succeeded",
    ),
    final=frozenset({"succeeded", "canceled"}),
)
REFUND = Lifecycle(
    order=("requires_action", "pending", "succeeded", "canceled", "failed"),
    # A bank can send back what Stripe had already called succeeded.
    final=frozenset({"failed", "canceled"}),
)
DISPUTE = Lifecycle(
    order=(
        "warning_needs_response",
        "warning_under_review",
        "warning_closed",
        "needs_response",
        "under_review",
        "lost",
        "appeal_needs_response",
        "appeal_under_review",
        "prevented",
        "won",
    ),
    # What is lost can be appealed, and an inquiry that was closed can come back as a dispute.
    final=frozenset({"won", "prevented"}),
)
