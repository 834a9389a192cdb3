"""Stripe's codes in the words of the person who reads the alert."""

import re
from collections.abc import Mapping

DECLINES: Mapping[str, str] = {
    "authentication_required": "the bank wants the customer to confirm it",
    "call_issuer": "declined, the customer should call the bank",
    "card_declined": "declined by the bank",
    "card_not_supported": "the card does not allow this kind of payment",
    "card_velocity_exceeded": "card limit reached",
    "do_not_honor": "declined by the bank, no reason given",
    "expired_card": "card expired",
    "fraudulent": "blocked as suspected fraud",
    "generic_decline": "declined by the bank, no reason given",
    "highest_risk_level": "blocked as suspected fraud",
    "incorrect_cvc": "wrong security code",
    "incorrect_number": "wrong card number",
    "incorrect_zip": "wrong postal code",
    "insufficient_funds": "insufficient funds",
    "invalid_account": "card or account is closed or invalid",
    "issuer_not_available": "the bank could not be reached",
    "lost_card": "card reported lost",
    "payment_intent_authentication_failure": "the customer did not pass the bank's check",
    "payment_intent_payment_attempt_expired": "the customer did not finish in time",
    "pickup_card": "card reported lost or stolen",
    "processing_error": "error at the bank or network",
    "rule": "blocked by a rule of ours",
    "stolen_card": "card reported stolen",
    "transaction_not_allowed": "the bank does not allow this payment",
    "try_again_later": "declined for now, may work later",
    "withdrawal_count_limit_exceeded": "card limit reached",
}

DISPUTES: Mapping[str, str] = {
    "bank_cannot_process": "the bank could not process it",
    "credit_not_processed": "promised refund not received",
    "fraudulent": "customer says they did not authorize it",
    "general": "no reason given",
    "incorrect_account_details": "wrong account details",
    "noncompliant": "card network rules not kept",
    "product_not_received": "goods not received",
    "product_unacceptable": "goods not as described",
    "subscription_canceled": "charged after canceling",
    "unrecognized": "customer does not recognize it",
}

REFUND_FAILURES: Mapping[str, str] = {
    "charge_for_pending_refund_disputed": "the payment was disputed meanwhile",
    "declined": "declined by the bank",
    "expired_or_canceled_card": "card expired or canceled",
    "insufficient_funds": "our Stripe balance is too low",
    "lost_or_stolen_card": "card lost or stolen",
    "merchant_request": "stopped at our request",
    "unknown": "no reason given",
}

PAYOUT_FAILURES: Mapping[str, str] = {
    "account_closed": "bank account closed",
    "account_frozen": "bank account frozen",
    "bank_account_restricted": "bank account restricted",
    "could_not_process": "the bank could not process it",
    "debit_not_authorized": "debits are not authorized",
    "declined": "declined by the bank",
    "incorrect_account_holder_name": "wrong account holder name",
    "insufficient_funds": "our Stripe balance is too low",
    "invalid_account_number": "wrong account number",
    "invalid_currency": "the bank account does not take this currency",
    "no_account": "bank account not found",
}

FRAUD_TYPES: Mapping[str, str] = {
    "card_never_received": "the card never arrived at its owner",
    "fraudulent_card_application": "the card was applied for in another person's name",
    "made_with_counterfeit_card": "a copied card was used",
    "made_with_lost_card": "a lost card was used",
    "made_with_stolen_card": "a stolen card was used",
    "misc": "another kind of fraud",
    "unauthorized_use_of_card": "the card's owner did not allow it",
}

REVIEWS: Mapping[str, str] = {
    "acknowledged": "acknowledged",
    "approved": "approved",
    "canceled": "payment canceled",
    "disputed": "it became a dispute",
    "manual": "a person asked for it",
    "payment_never_settled": "the payment never settled",
    "redacted": "redacted",
    "refunded": "refunded",
    "refunded_as_fraud": "refunded as fraud",
    "rule": "a rule of ours asked for it",
}

CODE = re.compile(r"[a-z0-9_]{1,60}")


def in_words(code: str | None, known: Mapping[str, str]) -> str:
    """Say what a code means; one that is new to us is shown with spaces."""
    if code is None:
        return "no reason given"
    if not CODE.fullmatch(code):
        return "a reason unknown to us"
    return known.get(code, code.replace("_", " "))


def with_code(code: str | None, known: Mapping[str, str]) -> str:
    """Say what a code means, and the code, for those who look it up at Stripe."""
    return in_words(code, known) if code is None else f"{in_words(code, known)} ({code})"
