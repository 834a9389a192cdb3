"""What can be wrong with the environment Hookline is started in."""

from collections.abc import Sequence


class ConfigError(Exception):
    """Hookline cannot start as it is configured. The text says what to change."""


class InvalidSettings(ConfigError):
    """One or more environment variables cannot be used; names every one of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class InvalidRules(InvalidSettings):
    """One or more lines of the rules for alerts cannot be used; names every one of them."""


class DatabaseUnreachable(ConfigError):
    """Nothing answers at DATABASE_URL, or the data directory cannot be written."""


class BrokerUnreachable(ConfigError):
    """Nothing answers at REDIS_URL or RABBITMQ_URL, or what answers refuses access."""
