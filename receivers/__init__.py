"""HTTP in: verify what providers post, hand it to the ledger, answer."""
