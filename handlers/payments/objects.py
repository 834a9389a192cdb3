"""Stripe's objects, as far as the book and the alerts need them."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

from handlers.payments.money import Money
from handlers.reading import Amount, Currency, Name, Reference, Seconds, Shape, Words

INVOICE_ID = re.compile(r"in_[A-Za-z0-9]{1,250}", re.ASCII)


def _tuple(value: object) -> object:
    """Read a JSON list: a strict shape takes nothing for a tuple by itself."""
    return tuple(value) if isinstance(value, list) else value


class BillingDetails(Shape):
    """Who paid, as the payment form had it."""

    name: Words = None
    email: Words = None


class PaymentMethod(Shape):
    """The card or account that was tried."""

    id: Name | None = None
    billing_details: BillingDetails | None = None


class PaymentError(Shape):
    """Why the last try failed. Cleared by Stripe on the next one."""

    code: Name | None = None
    decline_code: Name | None = None
    charge: Reference | None = None
    payment_method: PaymentMethod | None = None

    @property
    def reason(self) -> str | None:
        """The bank's code where there is one, else Stripe's."""
        return self.decline_code or self.code


class PaymentDetails(Shape):
    """What a payment is for, in the words of who asked for it."""

    order_reference: Words = None


class Intent(Shape):
    """A PaymentIntent: one payment, with as many tries as it takes."""

    id: Name
    amount: Amount
    amount_received: Amount = 0
    currency: Currency
    customer: Reference | None = None
    status: Name
    latest_charge: Reference | None = None
    last_payment_error: PaymentError | None = None
    invoice: Reference | None = None  # until 2025
    payment_details: PaymentDetails | None = None
    receipt_email: Words = None

    @property
    def money(self) -> Money:
        """What was asked for."""
        return Money(self.amount, self.currency)

    @property
    def its_invoice(self) -> str | None:
        """The bill that it is for. Since 2025 Stripe writes that where anybody may write what an order is called."""
        order = self.payment_details.order_reference if self.payment_details else None
        return self.invoice or (order if order and INVOICE_ID.fullmatch(order) else None)

    @property
    def failure_code(self) -> str | None:
        """Why the last try failed, as a code."""
        return self.last_payment_error.reason if self.last_payment_error else None

    @property
    def charge(self) -> str | None:
        """The last try that reached a bank."""
        return self.latest_charge or (self.last_payment_error.charge if self.last_payment_error else None)

    @property
    def failed_charge(self) -> str | None:
        """The try that failed; None when it failed before it reached a bank, for `charge` is then an earlier one."""
        error = self.last_payment_error or PaymentError()
        own_failure = (error.code or "").startswith("payment_intent_")  # Stripe's codes, not a bank's
        return error.charge or (None if own_failure else self.latest_charge)

    @property
    def billing_details(self) -> BillingDetails | None:
        """Who made the last try, as the payment form had it."""
        error = self.last_payment_error
        return error.payment_method.billing_details if error and error.payment_method else None


class Charge(Shape):
    """One try at a payment, here one that was refunded."""

    id: Name
    amount: Amount
    amount_captured: Amount = 0
    amount_refunded: Amount
    currency: Currency
    customer: Reference | None = None
    status: Name
    failure_code: Name | None = None
    payment_intent: Reference | None = None
    invoice: Reference | None = None  # until 2025


class Refund(Shape):
    """Money on its way back to a customer."""

    id: Name
    amount: Amount
    currency: Currency
    charge: Reference | None = None
    payment_intent: Reference | None = None
    status: Name | None = None
    reason: Name | None = None
    failure_reason: Name | None = None
    created: Seconds | None = None

    @property
    def money(self) -> Money:
        """What goes back."""
        return Money(self.amount, self.currency)


class EvidenceDetails(Shape):
    """Until when a dispute can be answered."""

    due_by: Seconds | None = None
    past_due: bool = False


class Evidence(Shape):
    """What is submitted against a dispute; Stripe fills in who the customer is."""

    customer_name: Words = None
    customer_email_address: Words = None


class Move(Shape):
    """What something changed in our balance."""

    fee: Amount = 0
    net: Amount = 0
    currency: Currency | None = None

    @property
    def gross(self) -> int:
        """What it was before the fee."""
        return self.net + self.fee


class Dispute(Shape):
    """A customer's bank wants the money back."""

    id: Name
    amount: Amount
    currency: Currency
    charge: Reference | None = None
    payment_intent: Reference | None = None
    reason: Name
    status: Name
    created: Seconds | None = None
    evidence: Evidence | None = None
    evidence_details: EvidenceDetails | None = None
    balance_transactions: Annotated[tuple[Move, ...], BeforeValidator(_tuple)] = ()

    @property
    def money(self) -> Money:
        """What is disputed."""
        return Money(self.amount, self.currency)

    @property
    def customer(self) -> str | None:
        """Who disputes, as far as Stripe knows."""
        known = self.evidence or Evidence()
        return ", ".join(each for each in (known.customer_name, known.customer_email_address) if each) or None

    @property
    def due_by(self) -> int | None:
        """Until when evidence counts, in Unix seconds."""
        return self.evidence_details.due_by if self.evidence_details else None

    @property
    def past_due(self) -> bool:
        """Whether Stripe says that it is too late."""
        return self.evidence_details is not None and self.evidence_details.past_due

    def moved(self, sign: int) -> Move | None:
        """Add up what it took from our balance (sign -1) or gave back (1); None where that is not known."""
        moves = [move for move in self.balance_transactions if move.net * sign > 0]
        if not moves or moves[0].currency is None or len({move.currency for move in moves}) > 1:
            return None
        fee, net = sum(move.fee for move in moves), sum(move.net for move in moves)
        return Move(fee=fee, net=net, currency=moves[0].currency)


def _object_or_none(value: object) -> object:
    return value if isinstance(value, Mapping) else None


class BankAccount(Shape):
    """Where payouts go, where Stripe was asked to put it in; the old versions of its API did so always."""

    bank_name: Words = None
    last4: Words = None

    @property
    def named(self) -> str | None:
        """The account, as people know it."""
        known = [self.bank_name, f"ending in {self.last4}" if self.last4 else None]
        return ", ".join(each for each in known if each) or None


MaybeBankAccount = Annotated[BankAccount | None, BeforeValidator(_object_or_none)]


class Payout(Shape):
    """Money on its way to our bank account; a negative one takes money from it."""

    id: Name
    amount: Amount
    currency: Currency
    arrival_date: Seconds | None = None
    destination: Reference | None = None
    its_destination: MaybeBankAccount = Field(default=None, validation_alias="destination")
    bank_account: MaybeBankAccount = None
    failure_code: Name | None = None
    failure_message: Words = None

    @property
    def bank(self) -> str | None:
        """The bank's name and the account's last digits, where they are known."""
        known = self.its_destination or self.bank_account
        return known.named if known else None

    @property
    def money(self) -> Money:
        """What should have arrived."""
        return Money(self.amount, self.currency)


class Refusal(Shape):
    """Why an invoice could not be made final."""

    code: Name | None = None


class SubscriptionDetails(Shape):
    """Which subscription an invoice is for, in newer versions of Stripe's API."""

    subscription: Reference | None = None


class InvoiceParent(Shape):
    """What an invoice comes of, in newer versions of Stripe's API."""

    subscription_details: SubscriptionDetails | None = None


class Invoice(Shape):
    """A bill, mostly of a subscription."""

    id: Name
    amount_due: Amount
    amount_remaining: Amount | None = None
    currency: Currency
    customer: Reference | None = None
    customer_name: Words = None
    customer_email: Words = None
    number: Words = None
    status: Name | None = None
    attempt_count: int = 0
    next_payment_attempt: Seconds | None = None
    due_date: Seconds | None = None
    subscription: Reference | None = None
    parent: InvoiceParent | None = None
    created: Seconds | None = None
    last_finalization_error: Refusal | None = None

    @property
    def its_subscription(self) -> str | None:
        """The subscription's id, wherever this version of Stripe's API has it."""
        details = self.parent.subscription_details if self.parent else None
        return self.subscription or (details.subscription if details else None)

    @property
    def who(self) -> str | None:
        """The customer, as people know them."""
        return ", ".join(each for each in (self.customer_name, self.customer_email) if each) or self.customer


class CancellationDetails(Shape):
    """Why a subscription ended."""

    reason: Name | None = None


class Subscription(Shape):
    """What is paid for again and again."""

    id: Name
    status: Name
    latest_invoice: Reference | None = None
    cancellation_details: CancellationDetails | None = None


class EarlyFraudWarning(Shape):
    """A card's bank thinks that a payment was not made by its owner."""

    id: Name
    charge: Reference | None = None
    payment_intent: Reference | None = None
    fraud_type: Name | None = None
    actionable: bool
    created: Seconds | None = None


class Review(Shape):
    """A payment that a person should look at."""

    id: Name
    charge: Reference | None = None
    payment_intent: Reference | None = None
    open: bool
    reason: Name | None = None
    opened_reason: Name | None = None
    closed_reason: Name | None = None
    created: Seconds | None = None
