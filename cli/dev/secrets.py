"""Development secrets: made once for each provider that has none in the environment, kept in the data directory."""

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

STRIPE_PREFIX = "whsec_"
# Stripe's own secrets start like this, and people look for it.

SECRET_BYTES = 32

PRIVATE = 0o600

HEADING = "# Made by `hookline dev` for this checkout. They protect nothing but a developer's own machine.\n"


def ensure_dev_secrets(path: Path, variables: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Give a development secret for each variable that is not set, and make and keep those that are new."""
    kept = read_dev_secrets(path)
    wanted = [variable for variable in dict.fromkeys(variables) if variable not in environ]
    missing = [variable for variable in wanted if variable not in kept]
    if missing:
        kept |= {variable: make_secret(variable) for variable in missing}
        _write(path, kept)
    return {variable: kept[variable] for variable in wanted}


def read_dev_secrets(path: Path) -> dict[str, str]:
    """Read the secrets kept by an earlier `hookline dev`, by variable; none when there was none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs if value.strip()}


def make_secret(variable: str) -> str:
    """Make a secret that looks like the ones that the provider shows."""
    prefix = STRIPE_PREFIX if variable.startswith("STRIPE_") else ""
    return prefix + secrets.token_hex(SECRET_BYTES)


def _write(path: Path, kept: Mapping[str, str]) -> None:
    """Replace the file in one step, readable by this user alone from its first moment."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(HEADING + "".join(f"{name}={value}\n" for name, value in kept.items()))
    new.replace(path)
