"""What a handler may say of a failure: whether trying again can help, and when."""

from config.errors import ConfigError


class GiveUp(Exception):
    """Trying again cannot help: the delivery goes dead at once, for a person to look at."""


class RetryLater(Exception):
    """Try again after `after_s` seconds, instead of when the schedule says."""

    def __init__(self, reason: str, *, after_s: float) -> None:
        super().__init__(reason)
        self.after_s = after_s


class BrokenPlugin(ConfigError):
    """A handler's or provider's file cannot be used. Start-up stops, so that nothing goes missing unnoticed."""
