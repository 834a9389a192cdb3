"""A small file system of its own, which can be filled to the last byte and emptied again."""

import os
import subprocess
import tempfile
from pathlib import Path

BLOCK_BYTES = 4096


def missing() -> str | None:
    """Say why no file system can be mounted here, or None."""
    return None if os.geteuid() == 0 and Path("/bin/mount").exists() else "only root can mount a small file system"


class Disk:
    """A tmpfs of so many bytes, which every user may enter."""

    def __init__(self, size_bytes: int) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="hookline-disk-"))
        self._filler = self.path / "filler"
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", self.path], check=True)

    def fill(self) -> None:
        """Leave no byte free."""
        with self._filler.open("ab", buffering=0) as filler:
            size = BLOCK_BYTES * 256
            while size >= BLOCK_BYTES:
                try:
                    filler.write(b"\0" * size)
                except OSError:
                    size //= 2

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it; what was on it is gone."""
        subprocess.run(["umount", "--lazy", self.path], check=False)
        self.path.rmdir()
