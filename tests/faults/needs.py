"""What a fault needs of its house beyond the usual."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

from config.settings import CHECKOUT

T = TypeVar("T")


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


def join(needs: Iterable[Needs]) -> Needs:
    """Give what a house needs that serves several faults, one after another."""
    every = tuple(needs)
    return Needs(
        proxies=any(each.proxies for each in every),
        plugins=_distinct(each.plugins for each in every),
        disk_bytes=max(each.disk_bytes for each in every),
        memory_bytes=max(each.memory_bytes for each in every),
        clocks=any(each.clocks for each in every),
        environ=_distinct(each.environ for each in every),
        changes=_distinct(each.changes for each in every),
    )


def _distinct(every: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(every)))
