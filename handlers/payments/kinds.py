"""The kinds of objects that the book keeps: which events tell of them, what states they pass through, what is kept.

A new kind is a `Kind` in KINDS, a name in `handlers.payments.names`, and a shape in `handlers.payments.kept` where it
calls things by other names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache

from handlers.payments.kept import (
    Kept,
    KeptBalance,
    KeptCharge,
    KeptCreditNote,
    KeptInvoice,
    KeptInvoicePayment,
    KeptPayout,
    KeptReport,
    KeptReserve,
    KeptReview,
    KeptSchedule,
    KeptSession,
    KeptSubscription,
    KeptTopup,
    KeptTransfer,
    KeptWarning,
)
from handlers.payments.lifecycle import Lifecycle


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of object.

    Attributes:
        name: as Stripe calls it (`object`), without what it is part of.
        types: of the events that tell of it; `*` stands for anything.
        shape: what is read of it.
        lifecycle: its states.
        details: what else is kept, by the names of the shape's attributes.
        growing: those of them that only ever grow: the most that any event said is kept.
        path: where Stripe's API has it: what its id is put behind; None where it cannot be asked for.

    """

    name: str
    types: tuple[str, ...]
    shape: type[Kept]
    lifecycle: Lifecycle = Lifecycle(order=(), final=frozenset())  # noqa: RUF009  # frozen
    details: tuple[str, ...] = ()
    growing: frozenset[str] = field(default_factory=frozenset)
    path: str | None = None


def _kinds() -> tuple[Kind, ...]:
    return (
        Kind(
            name="charge",
            types=_types("charge", "succeeded failed captured pending expired refunded updated"),
            shape=KeptCharge,
            lifecycle=_lifecycle("pending uncaptured succeeded expired failed", final="expired failed"),
            details=(
                "amount_captured",
                "amount_refunded",
                "captured",
                "disputed",
                "failure_message",
                "outcome_reason",
                "settled_by",
            ),
            growing=frozenset({"amount_captured", "amount_refunded"}),
            path="/v1/charges/",
        ),
        Kind(
            name="early_fraud_warning",
            types=("radar.early_fraud_warning.*",),
            shape=KeptWarning,
            # What was refunded or disputed stays so.
            lifecycle=_lifecycle("actionable not_actionable", final="not_actionable"),
            details=("fraud_type",),
            path="/v1/radar/early_fraud_warnings/",
        ),
        Kind(
            name="review",
            types=_types("review", "opened closed"),
            shape=KeptReview,
            lifecycle=_lifecycle("open closed", final="closed"),
            details=("opened_reason", "closed_reason"),
            path="/v1/reviews/",
        ),
        Kind(
            name="invoice",
            types=("invoice.*",),
            shape=KeptInvoice,
            # What nobody hoped for any more can still be paid.
            lifecycle=_lifecycle(
                "upcoming draft open uncollectible paid void deleted",
                final="paid void deleted",
            ),
            details=(
                "number",
                "billing_reason",
                "amount_paid",
                "amount_remaining",
                "amount_overpaid",
                "attempt_count",
                "next_payment_attempt",
            ),
            growing=frozenset({"attempt_count"}),
            path="/v1/invoices/",
        ),
        Kind(
            name="invoice_payment",
            types=("invoice_payment.*",),
            shape=KeptInvoicePayment,
            lifecycle=_lifecycle("open canceled paid", final="canceled paid"),
            path="/v1/invoice_payments/",
        ),
        Kind(
            name="subscription",
            types=("customer.subscription.*",),
            shape=KeptSubscription,
            # It goes to and fro between these in any order: within one second nothing says which came last.
            lifecycle=Lifecycle(
                order=(
                    "incomplete",
                    ("trialing", "active", "past_due", "unpaid", "paused"),
                    "incomplete_expired",
                    "canceled",
                ),
                final=frozenset({"incomplete_expired", "canceled"}),
            ),
            details=(
                "period_start",
                "period_end",
                "cancel_at_period_end",
                "canceled_at",
                "cancellation_reason",
                "trial_end",
            ),
            path="/v1/subscriptions/",
        ),
        Kind(
            name="subscription_schedule",
            types=("subscription_schedule.*",),
            shape=KeptSchedule,
            lifecycle=_lifecycle("not_started active completed released canceled", final="completed released canceled"),
            details=("released_subscription", "canceled_at"),
            path="/v1/subscription_schedules/",
        ),
        Kind(
            name="payout",
            types=("payout.*",),
            shape=KeptPayout,
            # A bank can send back what Stripe had already called paid.
            lifecycle=_lifecycle("pending in_transit paid canceled failed", final="canceled failed"),
            details=(
                "arrival_date",
                "automatic",
                "method",
                "destination",
                "failure_message",
                "reconciliation_status",
            ),
            path="/v1/payouts/",
        ),
        Kind(
            name="topup",
            types=("topup.*",),
            shape=KeptTopup,
            lifecycle=_lifecycle("pending succeeded canceled failed reversed", final="canceled failed reversed"),
            details=("failure_message",),
            path="/v1/topups/",
        ),
        Kind(
            name="transfer",
            types=_types("transfer", "created reversed updated"),
            shape=KeptTransfer,
            lifecycle=_lifecycle("created partially_reversed reversed", final="reversed"),
            details=("amount_reversed", "destination"),
            growing=frozenset({"amount_reversed"}),
            path="/v1/transfers/",
        ),
        Kind(
            name="balance",
            types=("balance.available",),
            shape=KeptBalance,
            details=("available_amounts", "pending_amounts"),
        ),
        Kind(
            name="checkout_session",
            types=("checkout.session.*",),
            shape=KeptSession,
            lifecycle=_lifecycle(
                "open unpaid payment_failed expired no_payment_required paid",
                final="payment_failed expired no_payment_required paid",
            ),
            details=("mode", "client_reference_id"),
        ),
        Kind(
            name="credit_note",
            types=("credit_note.*",),
            shape=KeptCreditNote,
            lifecycle=_lifecycle("issued void", final="void"),
            details=("number", "type"),
            path="/v1/credit_notes/",
        ),
        Kind(
            name="reserve",
            types=("reserve.*",),
            shape=KeptReserve,
            lifecycle=_lifecycle("held released", final="released"),
            details=("amount_releasable",),
        ),
        Kind(
            name="health",
            types=("v2.core.health.*",),
            shape=Kept,
        ),
        Kind(
            name="report_run",
            types=("reporting.report_run.*",),
            shape=KeptReport,
            lifecycle=_lifecycle("pending failed succeeded", final="failed succeeded"),
            details=("report_type", "error"),
        ),
    )


def _types(group: str, names: str) -> tuple[str, ...]:
    return tuple(f"{group}.{name}" for name in names.split())


def _lifecycle(order: str, *, final: str) -> Lifecycle:
    return Lifecycle(order=tuple(order.split()), final=frozenset(final.split()))


KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _kinds()}
HEALTH = KINDS["health"]
# What Stripe says of itself comes in thin events: each is an object of its own, in the state that its type says.

TYPES = tuple(type_ for kind in KINDS.values() if kind is not HEALTH for type_ in kind.types)


@lru_cache(maxsize=512)  # what a sender makes up beyond Stripe's types must not grow it
def kind_of(type_: str) -> Kind | None:
    """Find the kind that an event of this type tells of."""
    return next(
        (kind for kind in KINDS.values() if any(fnmatchcase(type_, pattern) for pattern in kind.types)),
        None,
    )
