"""What a fault needs of its house beyond the usual."""

from dataclasses import dataclass
from pathlib import Path

from config.settings import CHECKOUT


@dataclass(frozen=True, slots=True)
class Change:
    """A place in the product's code that says something else (see `tests.faults.mutants`)."""

    path: str
    old: str
    new: str

    def fits(self, checkout: Path = CHECKOUT) -> bool:
        """Say whether the place is still there."""
        return self.old in (checkout / self.path).read_text()

    def make(self, checkout: Path) -> None:
        """Change a copy."""
        assert self.fits(checkout), f"{self.path} does not say {self.old!r} any more: the mutant is out of date"
        file = checkout / self.path
        file.write_text(file.read_text().replace(self.old, self.new))


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a fault needs of its house beyond the usual.

    Attributes:
        proxies: every connection goes through a proxy.
        plugins: files that are added under handlers/, by name.
        disk_bytes: the ledger is on a small file system of its own.
        memory_bytes: no worker may have more addresses than this.
        clocks: the wall clocks of some processes can be moved.
        environ: more variables for all processes.
        changes: what is broken on purpose.

    """

    proxies: bool = False
    plugins: tuple[tuple[str, str], ...] = ()
    disk_bytes: int = 0
    memory_bytes: int = 0
    clocks: bool = False
    environ: tuple[tuple[str, str], ...] = ()
    changes: tuple[Change, ...] = ()
