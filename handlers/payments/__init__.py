"""The book of payments, refunds and disputes, kept from Stripe's events."""
