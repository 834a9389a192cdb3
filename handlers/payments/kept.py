"""Stripe's objects as the book keeps them: each fact read wherever any version of Stripe's API has it.

What is called differently from kind to kind is brought under one name here. Facts as of stripe-python 16.1.0 (API
2026-10-28.endive); what older versions had elsewhere is said beside it.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from handlers.reading import Amount, Currency, Name, Reference, Seconds, Shape, Words


def _expanded(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


def _listed(value: object) -> object:
    """Read a JSON list as a tuple: a strict shape takes nothing for it by itself."""
    if isinstance(value, Mapping) and isinstance(value.get("data"), list):
        return {**value, "data": tuple(value["data"])}
    return value


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class Settlement(Shape):
    """A balance transaction: what something changed in our balance. Mostly it is only an id."""

    id: Name | None = None
    fee: Amount | None = None
    net: Amount | None = None
    currency: Currency | None = None


Settled = Annotated[Settlement, BeforeValidator(_expanded)]


class Kept(Shape):
    """What kinds have in common; those that differ say how.

    Attributes:
        id: None where Stripe gives none.
        created: when it was made, in Unix seconds.

    """

    id: Name | None = None
    created: Seconds | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    customer: Reference | None = None
    status: Name | None = None
    reason: Name | None = None
    failure_code: Name | None = None
    payment_intent: Reference | None = None
    charge: Reference | None = None
    invoice: Reference | None = None
    subscription: Reference | None = None
    balance_transaction: Settled | None = None

    @property
    def named(self) -> str | None:
        """Its name in the book, unique within an account and a mode."""
        return self.id

    def state(self, type_: str) -> str:
        """Where it stands, in Stripe's words; an event's type says it where the object does not."""
        return self.status or type_.rpartition(".")[2]

    @property
    def money(self) -> int | None:
        """How much it is about."""
        return self.amount

    @property
    def links(self) -> Mapping[str, str | None]:
        """What it belongs to, by kind."""
        return {
            "payment_intent": self.payment_intent,
            "charge": self.charge,
            "invoice": self.invoice,
            "subscription": self.subscription,
        }

    @property
    def failure(self) -> str | None:
        """Why it failed, as a code."""
        return self.failure_code

    @property
    def settlement(self) -> Settlement | None:
        """What it changed in our balance, where that is known."""
        return self.balance_transaction


class _Outcome(Shape):
    reason: Name | None = None


class KeptCharge(Kept):
    """One try at a payment."""

    amount_captured: Amount = 0
    amount_refunded: Amount = 0
    captured: bool = True
    disputed: bool = False
    failure_message: Words = None
    outcome: _Outcome | None = None

    @property
    def outcome_reason(self) -> str | None:
        """The bank's own word, where the failure's code says no more than that it declined."""
        return self.outcome.reason if self.outcome else None

    @property
    def settled_by(self) -> str | None:
        """The balance transaction's id, which is there before anybody knows what it came to."""
        return self.balance_transaction.id if self.balance_transaction else None

    def state(self, type_: str) -> str:
        """Tell what only was promised from what was taken: to Stripe both have succeeded."""
        if self.status != "succeeded" or self.captured:
            return super().state(type_)
        return "expired" if self.amount_refunded else "uncaptured"


class KeptWarning(Kept):
    """An early fraud warning of a card's bank."""

    actionable: bool
    fraud_type: Name | None = None

    def state(self, type_: str) -> str:  # noqa: ARG002  # the object says it
        """Say whether a refund would still help."""
        return "actionable" if self.actionable else "not_actionable"


class KeptReview(Kept):
    """A payment that a person should look at."""

    open: bool
    opened_reason: Name | None = None
    closed_reason: Name | None = None

    def state(self, type_: str) -> str:  # noqa: ARG002  # the object says it
        """Say whether somebody still has to look."""
        return "open" if self.open else "closed"


class _OfSubscription(Shape):
    subscription: Reference | None = None


class _Parent(Shape):
    subscription_details: _OfSubscription | None = None


class _PaidWith(Shape):
    payment_intent: Reference | None = None
    charge: Reference | None = None


class _Payment(Shape):
    payment: _PaidWith | None = None


class _Payments(Shape):
    data: tuple[_Payment, ...] | None = None


class _Refusal(Shape):
    code: Name | None = None


class KeptInvoice(Kept):
    """A bill. Until 2025 it named its subscription, payment and charge itself."""

    amount_due: Amount | None = None
    amount_paid: Amount = 0
    amount_remaining: Amount | None = None
    amount_overpaid: Amount | None = None
    attempt_count: int = 0
    next_payment_attempt: Seconds | None = None
    billing_reason: Name | None = None
    number: Words = None
    paid: bool | None = None  # until 2025
    parent: _Parent | None = None
    payments: Annotated[_Payments | None, BeforeValidator(_listed)] = None
    last_finalization_error: _Refusal | None = None

    @property
    def named(self) -> str | None:
        """Name what is to come after what it is for: one preview takes the place of the one before."""
        whose = self.links["subscription"] or self.customer
        return self.id or (f"upcoming_{whose}" if whose else None)

    def state(self, type_: str) -> str:
        """Take in what only an event's type says, and what very old versions said."""
        if type_ in ("invoice.deleted", "invoice.upcoming"):
            return type_.removeprefix("invoice.")
        return self.status or ("paid" if self.paid else "open")

    @property
    def money(self) -> int | None:
        """What is to be paid."""
        return self.amount_due

    @property
    def links(self) -> Mapping[str, str | None]:
        """Look in all the places."""
        details = (self.parent or _Parent()).subscription_details or _OfSubscription()
        paid_with = (each.payment for each in (self.payments or _Payments()).data or ())
        first = next((each for each in paid_with if each is not None), _PaidWith())
        return {
            "payment_intent": self.payment_intent or first.payment_intent,
            "charge": self.charge or first.charge,
            "subscription": self.subscription or details.subscription,
        }

    @property
    def failure(self) -> str | None:
        """Why it could not become final; why it could not be paid, its payment says."""
        return self.last_finalization_error.code if self.last_finalization_error else None


class KeptInvoicePayment(Kept):
    """A payment's share of a bill."""

    amount_paid: Amount | None = None
    amount_requested: Amount | None = None
    payment: _PaidWith | None = None

    @property
    def money(self) -> int | None:
        """What was paid, or what is to be."""
        return self.amount_requested if self.amount_paid is None else self.amount_paid

    @property
    def links(self) -> Mapping[str, str | None]:
        """Tie the bill to what it was paid with: newer payments do not say what they are for."""
        its = self.payment or _PaidWith()
        return {"payment_intent": its.payment_intent, "charge": its.charge, "invoice": self.invoice}


class _Item(Shape):
    current_period_start: Seconds | None = None
    current_period_end: Seconds | None = None


class _Items(Shape):
    data: tuple[_Item, ...] | None = None


class _Cancellation(Shape):
    reason: Name | None = None


class KeptSubscription(Kept):
    """What is paid for again and again. Until 2025 its period was one for all of its items."""

    current_period_start: Seconds | None = None
    current_period_end: Seconds | None = None
    items: Annotated[_Items | None, BeforeValidator(_listed)] = None
    latest_invoice: Reference | None = None
    cancel_at_period_end: bool = False
    canceled_at: Seconds | None = None
    trial_end: Seconds | None = None
    cancellation_details: _Cancellation | None = None

    @property
    def links(self) -> Mapping[str, str | None]:
        """Name the latest bill."""
        return {"invoice": self.latest_invoice}

    @property
    def period_start(self) -> int | None:
        """When the period that runs began; the first of its items' periods."""
        return _first(min, [self.current_period_start, *(item.current_period_start for item in self._its_items)])

    @property
    def period_end(self) -> int | None:
        """When it ends; the last of its items' periods."""
        return _first(max, [self.current_period_end, *(item.current_period_end for item in self._its_items)])

    @property
    def cancellation_reason(self) -> str | None:
        """Why it ended or will end."""
        return self.cancellation_details.reason if self.cancellation_details else None

    @property
    def _its_items(self) -> Iterable[_Item]:
        return (self.items and self.items.data) or ()


def _first(choose: Any, times: Iterable[int | None]) -> int | None:  # noqa: ANN401  # min or max
    known = [each for each in times if each is not None]
    chosen: int | None = choose(known) if known else None
    return chosen


class KeptSchedule(Kept):
    """What a subscription will become."""

    released_subscription: Name | None = None
    canceled_at: Seconds | None = None


class KeptPayout(Kept):
    """Money on its way to our bank; a negative one takes money from it."""

    arrival_date: Seconds | None = None
    automatic: bool | None = None
    method: Name | None = None
    destination: Reference | None = None
    failure_message: Words = None
    reconciliation_status: Name | None = None


class KeptTopup(Kept):
    """Money on its way from our bank."""

    failure_message: Words = None


class KeptTransfer(Kept):
    """Money for a connected account."""

    amount_reversed: Amount = 0
    reversed: bool = False
    destination: Reference | None = None
    source_transaction: Reference | None = None

    def state(self, type_: str) -> str:  # noqa: ARG002  # the object says it
        """Say how much of it is still there: a transfer has no status."""
        if self.reversed:
            return "reversed"
        return "partially_reversed" if self.amount_reversed else "created"

    @property
    def links(self) -> Mapping[str, str | None]:
        """Name the charge that it is a share of."""
        return {"charge": self.source_transaction}


class _Funds(Shape):
    amount: Amount
    currency: Currency


class KeptBalance(Kept):
    """What Stripe holds for us: one for each account and mode, with an amount for each currency."""

    available: Annotated[tuple[_Funds, ...], BeforeValidator(_tuple)]
    pending: Annotated[tuple[_Funds, ...], BeforeValidator(_tuple)] = ()

    @property
    def named(self) -> str | None:
        """Name it: there is one."""
        return "balance"

    @property
    def available_amounts(self) -> dict[str, int]:
        """What can be paid out, by currency."""
        return {each.currency: each.amount for each in self.available}

    @property
    def pending_amounts(self) -> dict[str, int]:
        """What will be available, by currency."""
        return {each.currency: each.amount for each in self.pending}


class KeptSession(Kept):
    """A customer at the checkout."""

    amount_total: Amount | None = None
    payment_status: Name | None = None
    mode: Name | None = None
    client_reference_id: Words = None

    def state(self, type_: str) -> str:
        """Tell completed from paid: who is through may still owe the money."""
        if type_ == "checkout.session.async_payment_failed":
            return "payment_failed"
        if self.status == "complete" and self.payment_status is not None:
            return self.payment_status
        return super().state(type_)

    @property
    def money(self) -> int | None:
        """What was asked for."""
        return self.amount_total


class KeptCreditNote(Kept):
    """What a bill is less than it was."""

    number: Words = None
    type: Name | None = None


class KeptReserve(Kept):
    """Money that Stripe keeps back, or the plan of it."""

    amount_releasable: Amount | None = None
    source_charge: Reference | None = None

    def state(self, type_: str) -> str:
        """Say whether a hold still holds."""
        if type_.startswith("reserve.hold."):
            return "released" if self.amount_releasable == 0 else "held"
        return super().state(type_)

    @property
    def links(self) -> Mapping[str, str | None]:
        """Name the charge that it is kept back of."""
        return {"charge": self.source_charge}


class KeptReport(Kept):
    """A report that was asked for."""

    report_type: Name | None = None
    error: Words = None
