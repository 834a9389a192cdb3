"""Streams new events to a developer's own machine."""
