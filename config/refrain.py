"""A line of the log that comes again with every webhook: the same words and fields, other values.

Line by line, structlog takes as long as to verify two signatures. Here a round of the event loop has its lines made by
one pattern, and looked through at once. Wherever that will not do, they are logged the plain way.
"""

from collections.abc import Sequence

import structlog

from config.logs import Lines, Origin, may_hold_secret, render_line
from config.rounds import Round

Value = str | int


class Refrain:
    """Logs lines of one kind, at level `info`."""

    def __init__(self, event: str, fields: dict[str, type[Value]], **always: str) -> None:
        """Take what is the same in all of them.

        Args:
            event: what happened, in plain words.
            fields: the names of the fields that differ, and whether each is text or a number.
            always: fields that do not differ; our own words.

        """
        self._event = event
        self._fields = fields
        self._always = always
        same = [f'"{name}":"{value}"' for name, value in always.items()]
        differing = [f'"{name}":{_PLACES[kind]}' for name, kind in fields.items()]
        self._pattern = ",".join([*same, *differing])
        self._lines = Lines()
        self._origin = Origin()
        self.log = Round(self._log).add  # takes the values as a tuple, in the order of the fields

    def _log(self, rows: Sequence[tuple[Value, ...]]) -> None:
        if not self._log_shortly(rows):
            log = structlog.get_logger().bind(**self._always)
            for row in rows:
                log.info(self._event, **dict(zip(self._fields, row, strict=True)))

    def _log_shortly(self, rows: Sequence[tuple[Value, ...]]) -> bool:
        """Log the lines as `render_line` would. False: that is not how lines are made, or a value must be looked at."""
        if structlog.get_config()["processors"][-1] is not render_line:
            return False
        fields = [self._pattern % row for row in rows]
        text = "".join(fields)
        quotes = self._pattern.count('"') * len(rows)
        plain = text.isascii() and text.isprintable() and "\\" not in text and text.count('"') == quotes
        if not plain or may_hold_secret(text):
            return False
        rest = render_line(None, "info", self._origin(None, "info", {"event": self._event}))[1:]
        self._lines.write([f"{{{each},{rest}" for each in fields])
        return True


_PLACES: dict[type[Value], str] = {str: '"%s"', int: "%d"}
