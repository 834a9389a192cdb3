"""What the kinds of objects in the book are called. Apart from the kinds, whose shapes take a while to build."""

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
