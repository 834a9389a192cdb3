"""What `hookline dev` prints: the lines of several processes, told apart by a padded, coloured prefix."""

from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO

OWN_NAME = "dev"

COLOURS = (36, 33, 35, 32, 34, 96, 93, 95)
# ANSI foregrounds that can be read on dark and on light terminals; red is left for what went wrong.

BOLD_GREEN = b"\x1b[1;32m"
RED = b"\x1b[31m"
RESET = b"\x1b[0m"


def wants_colour(environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR says otherwise (https://no-color.org)."""
    return terminal and not environ.get("NO_COLOR")


class Output:
    """Lines on one stream. Children's lines are passed on as the bytes they are."""

    def __init__(self, stream: BinaryIO, names: Iterable[str], *, colour: bool) -> None:
        """Make ready to print lines of the processes `names`, and our own.

        Args:
            stream: where lines go.
            names: the processes, in the order that gives them their colours.
            colour: whether the stream shows ANSI colours.

        """
        known = [OWN_NAME, *names]
        self.colour = colour
        self._stream = stream
        self._width = max(len(name) for name in known)
        self._codes = {name: COLOURS[position % len(COLOURS)] for position, name in enumerate(known[1:])}
        self._on_lost: Callable[[], None] = lambda: None

    def when_lost(self, call: Callable[[], None]) -> None:
        """Call this when nobody reads the stream any more, as in `make run | head`."""
        self._on_lost = call

    def line(self, name: str, text: bytes) -> None:
        """Print one line of one process."""
        self._write(self._prefix(name) + text + (RESET if self.colour else b"") + b"\n")

    def say(self, text: str) -> None:
        """Print a line of our own."""
        self.line(OWN_NAME, text.encode())

    def warn(self, text: str) -> None:
        """Print a line of our own about something that went wrong."""
        self.line(OWN_NAME, (RED if self.colour else b"") + text.encode())

    def announce(self, text: str) -> None:
        """Print the one line that is to stand out: without a prefix."""
        line = text.encode()
        self._write((BOLD_GREEN + line + RESET if self.colour else line) + b"\n")

    def _prefix(self, name: str) -> bytes:
        prefix = f"{name:<{self._width}} │ "
        code = self._codes.get(name, 1)
        return (f"\x1b[{code}m{prefix}\x1b[0m" if self.colour else prefix).encode()

    def _write(self, line: bytes) -> None:
        try:
            self._stream.write(line)
            self._stream.flush()
        except OSError:
            lost, self._on_lost = self._on_lost, lambda: None
            lost()
