"""Remembers how far `hookline listen` has come, for each pair of a ledger and a URL, so that it can catch up."""

import hashlib
import json
from pathlib import Path

from cli.errors import NotDone
from cli.listen.stream import Position

PRIVATE = 0o700


class Place:
    """A file in the data directory."""

    def __init__(self, directory: Path, *, ledger: str, url: str) -> None:
        """Take where it is kept, where events come from and where they go to."""
        name = hashlib.sha256(f"{ledger} {url}".encode()).hexdigest()[:16]
        self._path = directory / "listen" / f"{name}.json"
        self._url = url

    def read(self) -> Position | None:
        """Give the position of the last time; None, if there was none.

        Raises:
            NotDone: the file is there and cannot be read.

        """
        try:
            kept = json.loads(self._path.read_text())
            return Position(newest=int(kept["newest"]), seen={int(each) for each in kept["seen"]})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NotDone(f"{self._path} cannot be read ({error}): say --since, or delete it to begin anew") from None

    def write(self, position: Position) -> None:
        """Keep this position, in one step.

        Raises:
            NotDone: it cannot be written.

        """
        kept = {"url": self._url, "newest": position.newest, "seen": sorted(position.seen)}
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            new.write_text(json.dumps(kept))
            new.replace(self._path)
        except OSError as error:
            raise NotDone(f"{self._path} cannot be written: {error.strerror}") from None
