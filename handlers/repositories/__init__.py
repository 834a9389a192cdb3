"""Alerts for the engineers: broken builds and security findings on GitHub."""
