"""Slash commands: what Hookline answers to a person in Slack."""
