"""Alerts for the finance team: what went wrong with money, told once, in plain words."""
