"""The commands against a service elsewhere, over its HTTP API."""
