"""Sends stored events to a developer's own machine, signed so that they verify there."""
