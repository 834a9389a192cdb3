"""What the book calls things. Apart from the kinds and tables, which take a while to build."""

KIND_NAMES = (
    "payment",
    "refund",
    "dispute",
    "charge",
    "early_fraud_warning",
    "review",
    "invoice",
    "invoice_payment",
    "subscription",
    "subscription_schedule",
    "payout",
    "topup",
    "transfer",
    "balance",
    "checkout_session",
    "credit_note",
    "reserve",
    "health",
    "report_run",
)

LINKS = ("payment_intent", "charge", "invoice", "subscription")
# What an object may belong to.
