"""The two brokers: what their URLs say, and how each is kept from keeping anybody waiting."""
