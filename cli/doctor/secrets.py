"""The signing secrets: is each what its provider shows, and only that?"""

import re
from collections.abc import Iterator, Mapping
from itertools import combinations

from cli.doctor.finding import Finding, ok, problem, warning
from cli.doctor.installation import Installation
from config.settings import MIN_SECRET_CHARS
from receivers.providers import load_providers

STRIPE, SLACK = "STRIPE_WEBHOOK_SECRET", "SLACK_SIGNING_SECRET"

SHOWN_AT = {
    STRIPE: "Stripe: Developers, Webhooks, the endpoint's signing secret (whsec_…)",
    "GITHUB_WEBHOOK_SECRET": "GitHub: the webhook's settings, Secret",
    SLACK: "Slack: the app's Basic Information, Signing Secret",
}

NOT_SIGNING_SECRETS = {
    "an API key of Stripe's": re.compile(r"[spr]k_(live|test)_"),
    "the id of an endpoint of Stripe's": re.compile(r"we_"),
    "a token of Slack's": re.compile(r"xox[a-z]-|xapp-"),
    "a token of GitHub's": re.compile(r"gh[a-z]_|github_pat_"),
}

SLACK_SECRET = re.compile(r"[0-9a-f]{32}")

QUOTES = "\"'`\u201c\u201d\u2018\u2019"


def check_secrets(installation: Installation) -> Iterator[Finding]:
    """Look at the secrets of each source."""
    variables = {provider.secret_variable: provider.source for provider in load_providers()}
    keys = {name: _split(installation.environ[name]) for name in variables if name in installation.environ}
    if not keys and not installation.is_development:
        yield problem("secrets", "no source has a secret", f"set one or more of {', '.join(sorted(variables))}")
    for variable, source in sorted(variables.items()):
        yield from _source(installation, variable, source, keys.get(variable))
    yield from _shared(keys)


def _split(value: str) -> list[str]:
    return [key.strip() for key in value.split(",")]


def _source(installation: Installation, variable: str, source: str, keys: list[str] | None) -> Iterator[Finding]:
    if keys is None:
        made = installation.is_development and variable in installation.dev_secrets
        how = f"made by `hookline dev`, in {installation.settings.dev_secrets_path.name}" if made else "not configured"
        yield ok(f"secrets {source}", how if made else f"{how} ({variable} is unset): answered 404")
        return
    found = [each for number, key in enumerate(keys, start=1) for each in _flaws(source, variable, number, key)]
    found += _development(installation, variable, source, keys)
    yield from found or [ok(f"secrets {source}", f"{len(keys)} secret{'' if len(keys) == 1 else 's'} in {variable}")]


def _flaws(source: str, variable: str, number: int, key: str) -> Iterator[Finding]:
    check, which = f"secrets {source}", f"secret {number} of {variable}"
    fix = f"take it from {SHOWN_AT.get(variable, 'where the provider shows it')}"
    mistaken = next((name for name, form in NOT_SIGNING_SECRETS.items() if form.match(key)), None)
    if not key:
        yield problem(check, f"{which} is blank", f"unset {variable} to switch {source} off; or {fix}")
    elif key[0] in QUOTES or key[-1] in QUOTES:
        yield problem(check, f"{which} has quotes around it, which count", f"set {variable} without the quotes")
    elif re.search(r"\s", key):
        yield problem(check, f"{which} has a blank or a line's end in it", fix)
    elif mistaken:
        yield problem(check, f"{which} looks like {mistaken}, which signs nothing", f"{fix}, and revoke what it is")
    elif len(key) < MIN_SECRET_CHARS:
        yield problem(check, f"{which} has {len(key)} characters; {MIN_SECRET_CHARS} is the least that is safe", fix)
    else:
        yield from _unusual(check, which, variable, key, fix)


def _unusual(check: str, which: str, variable: str, key: str, fix: str) -> Iterator[Finding]:
    if variable == STRIPE and not key.startswith("whsec_"):
        yield warning(check, f"{which} does not begin with whsec_, as Stripe's do", fix)
    if variable == SLACK and not SLACK_SECRET.fullmatch(key):
        yield warning(check, f"{which} is not 32 hexadecimal digits, as Slack's are", fix)


def _development(installation: Installation, variable: str, source: str, keys: list[str]) -> Iterator[Finding]:
    if installation.dev_secrets.get(variable) in keys:
        found = f"{variable} holds the development secret of {installation.settings.dev_secrets_path}"
        yield warning(f"secrets {source}", found, "set the provider's own; `hookline dev` needs none")


def _shared(keys: Mapping[str, list[str]]) -> Iterator[Finding]:
    for (one, its), (other, others) in combinations(sorted(keys.items()), 2):
        if set(its) & set(others) - {""}:
            found = f"{one} and {other} share a secret"
            yield warning("secrets", found, "give each source its own: who knows one could sign for the other")
    for variable, its in sorted(keys.items()):
        if len(set(its)) < len(its):
            yield warning("secrets", f"{variable} holds the same secret twice", "remove one of the two")
