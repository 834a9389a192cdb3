"""What the doctor examines: an environment and what it leads to, as far as it can be read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cli.dev.secrets import read_dev_secrets
from config.errors import InvalidSettings
from config.logs import CONTROL, SECRETS
from config.settings import Settings, load_settings

REDACTED = "[redacted]"

VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The environment, read leniently: what cannot be used is left at its default, and told of."""

    environ: Mapping[str, str]
    settings: Settings
    problems: tuple[str, ...]  # one sentence for each variable that cannot be used
    dev_secrets: Mapping[str, str]  # by variable

    @property
    def is_development(self) -> bool:
        """Whether this is where `hookline dev` runs: it has made secrets, and the environment has none of them."""
        return bool(self.dev_secrets) and not any(name in self.environ for name in self.dev_secrets)

    def clean(self, text: str) -> str:
        """Take out of a text what must not be shown, whoever put it there."""
        for value in self._secret_values():
            text = text.replace(value, REDACTED)
        return CONTROL.sub(" ", SECRETS.sub(REDACTED, text))

    def _secret_values(self) -> list[str]:
        named = {name: value for name, value in self.environ.items() if re.search("SECRET|TOKEN|_KEY", name)}
        parts = [part.strip() for value in (*named.values(), *self.dev_secrets.values()) for part in value.split(",")]
        return sorted((part for part in parts if part), key=len, reverse=True)


def read_installation(environ: Mapping[str, str]) -> Installation:
    """Read an environment."""
    settings, problems = _settings(environ)
    try:
        dev_secrets = read_dev_secrets(settings.dev_secrets_path)
    except (OSError, UnicodeDecodeError):  # the check of the data directory says so
        dev_secrets = {}
    return Installation(environ=environ, settings=settings, problems=problems, dev_secrets=dev_secrets)


def _settings(environ: Mapping[str, str]) -> tuple[Settings, tuple[str, ...]]:
    try:
        return load_settings(environ), ()
    except InvalidSettings as error:
        named = {match[0] for problem in error.problems if (match := VARIABLE.match(problem))}
        return load_settings({name: value for name, value in environ.items() if name not in named}), error.problems
