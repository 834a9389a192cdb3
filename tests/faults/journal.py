"""What was done to a house, and when: the first thing to read when a seed fails."""

import threading
import time
from pathlib import Path


class Journal:
    """A file with one line for each deed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        """Write down what is done now."""
        with self._lock, self.path.open("a") as file:
            file.write(f"{time.monotonic() - self._began:9.3f} s  {text}\n")
