"""Who types a command, when, and on which clock."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who types a command.

    Attributes:
        user: their id in Slack.
        allowed_users: who may ask about money; `*` is everybody.
        now: Unix seconds.
        zone: of the rules for alerts: what "today" is.

    """

    user: str
    allowed_users: Collection[str]
    now: float
    zone: ZoneInfo

    @property
    def is_allowed(self) -> bool:
        """Whether they may ask about money."""
        return "*" in self.allowed_users or self.user in self.allowed_users

    @property
    def today(self) -> datetime:
        """When their day began."""
        return datetime.fromtimestamp(self.now, self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
