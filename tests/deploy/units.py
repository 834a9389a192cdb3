"""Read systemd's units as far as it takes to start what they start."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.settings import CHECKOUT

UNITS = CHECKOUT / "deploy" / "systemd"
COMMON = UNITS / "hookline-.service.d" / "common.conf"

Directives = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Unit:
    """One service, with what all services have in common."""

    directives: Directives
    places: Mapping[str, str]

    @property
    def command(self) -> str:
        """What it runs."""
        (command,) = self._values("ExecStart")
        return command

    @property
    def environ(self) -> dict[str, str]:
        """The environment that it brings."""
        words = [word for value in self._values("Environment") for word in shlex.split(value)]
        return dict(word.split("=", 1) for word in words)

    @property
    def stops_within_s(self) -> float:
        (value,) = self._values("TimeoutStopSec")
        return float(value)

    def _values(self, name: str) -> list[str]:
        return [self._in_place(value) for key, value in self.directives if key == name]

    def _in_place(self, value: str) -> str:
        for written, here in self.places.items():
            value = value.replace(written, here)
        return value


def read_unit(name: str, places: Mapping[str, str]) -> Unit:
    """Read one of our services. `places` says what its paths and `%i` are here."""
    return Unit([*_read(UNITS / name), *_read(COMMON)], places)


def _read(path: Path) -> Directives:
    lines = [line.strip() for line in path.read_text().splitlines()]
    return [(key, value) for key, sign, value in (line.partition("=") for line in lines if line[:1] != "#") if sign]


def read_example() -> dict[str, str]:
    """Give the variables of the example of an environment file that are not commented out."""
    lines = (UNITS / "hookline.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
