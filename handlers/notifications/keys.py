"""Business keys: what an alert is about, so that it is told once however often and under whatever ids it arrives."""

import re
from collections.abc import Sequence
from hashlib import sha256
from urllib.parse import quote

from ledger.event import Event

MAX_CHARS = 600
# What the column holds. Real keys have about a hundred.

MODES = {True: "live", False: "test", None: "unknown"}


def stripe_key(event: Event, what: str, *about: str | int | None) -> str:
    """Name one thing in one Stripe account and mode: `stripe/refund/acct_1/live/re_3`."""
    return _key("stripe", what, event.account, MODES[event.livemode], *about)


def github_key(what: str, *about: str | int | None) -> str:
    """Name one thing on GitHub: `github/failing_build/<repository id>/<run id>/<attempt>`.

    Nothing of the event but its body: GitHub signs nothing else, so anyone who sees a delivery could change the rest.
    """
    return _key("github", what, *about)


def slack_key(event: Event, what: str, *about: str | int | None) -> str:
    """Name one thing in one Slack workspace: `slack/answer/<team id>/<trigger id>`."""
    return _key("slack", what, event.account, *about)


def _key(*parts: str | int | None) -> str:
    key = joined(["-" if part is None else str(part) for part in parts])
    return key if len(key) <= MAX_CHARS else sha256(key.encode()).hexdigest()


def joined(parts: Sequence[str]) -> str:
    """Join parts by slashes; quoted, so that no id with a slash in it can pass for two."""
    whole = "/".join(parts)
    if UNQUOTED.fullmatch(whole) and whole.count("/") == len(parts) - 1:
        return whole
    return "/".join(quote(part, safe="") for part in parts)


UNQUOTED = re.compile(r"[A-Za-z0-9_.~/-]*")
# What quoting leaves as it is, as nearly all parts are. To look at the whole once is five times as fast.
