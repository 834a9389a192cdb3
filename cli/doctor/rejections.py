"""Requests that were rejected lately, and what that usually means. Secrets that signed what came in lately."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from cli.doctor.finding import Finding, ok, problem, warning
from cli.doctor.installation import Installation
from ledger.shown import rfc3339
from ledger.tables import events, requests
from receivers.providers import load_providers

LATELY_S = 3_600.0

NEWEST_EVENTS = 1_000
# So many are looked at for the secrets that signed them.


@dataclass(frozen=True, slots=True)
class _Cause:
    likely: str
    fix: str


_CLOCK = "compare this machine's clock with the true time: `timedatectl`"
_SENDER = "look at who sends them: `hookline requests list --json`"

CAUSES = {
    "signature_mismatch": _Cause(
        "the provider signs with another secret, or something on the way changes the body",
        "set {variable} to the secret that the provider shows; to change it, list both, the newest first",
    ),
    "signature_missing": _Cause("the sender does not sign", "give the webhook a secret at the provider"),
    "signature_malformed": _Cause("the sender is not the provider", _SENDER),
    "timestamp_too_old": _Cause("this machine's clock is ahead, or requests are replayed or held up", _CLOCK),
    "timestamp_in_future": _Cause("this machine's clock is behind", _CLOCK),
    "source_not_configured": _Cause("the provider posts and there is no secret", "set {variable}"),
    "content_type_unsupported": _Cause(
        "the webhook is set to another content type", "choose application/json at the provider"
    ),
    "content_encoding_unsupported": _Cause("something on the way compresses bodies", "switch that off in the proxy"),
    "body_too_slow": _Cause("the body takes over 10 s to get here", "look at the network and the proxy"),
    "body_cut_off": _Cause("the connection ends within the body", "look at the time-outs of the proxy"),
    "too_many_bodies": _Cause("more than 128 MiB of bodies at once", "run more web processes"),
}
OTHER = _Cause("the sender is not the provider, or something on the way changes requests", _SENDER)


def check_rejections(_installation: Installation, db: Connection, now: float) -> Iterator[Finding]:
    """Count the rejected requests of the last hour by source and reason."""
    variables = {provider.source: provider.secret_variable for provider in load_providers()}
    statement = (
        select(requests.c.source, requests.c.reason, func.count(), func.max(requests.c.received_at))
        .where(requests.c.received_at > now - LATELY_S)
        .group_by(requests.c.source, requests.c.reason)
        .order_by(func.count().desc())
    )
    rows = db.execute(statement).all()
    accepted = _accepted(db, now)
    for source, reason, count, last_at in rows:
        cause = CAUSES.get(reason, OTHER)
        found = f"{source}: {reason}, {count} in the last hour, the last one at {_time(last_at)}: {cause.likely}"
        fix = cause.fix.format(variable=variables.get(source, f"the secret of {source}"))
        if reason == "signature_mismatch" and not accepted.get(source):
            yield problem("rejected requests", f"{found}; none of {source} was accepted", fix)
        else:
            yield warning("rejected requests", found, fix)
    if not rows:
        yield ok("rejected requests", "none in the last hour")


def _accepted(db: Connection, now: float) -> Mapping[str, int]:
    lately = select(events.c.source, func.count()).where(events.c.received_at > now - LATELY_S)
    return dict(db.execute(lately.group_by(events.c.source)).tuples().all())


def check_secrets_in_use(installation: Installation, db: Connection, _now: float) -> Iterator[Finding]:
    """Say of sources with several secrets which of them signed the newest events."""
    several = {
        provider.source: len(installation.environ[provider.secret_variable].split(","))
        for provider in load_providers()
        if "," in installation.environ.get(provider.secret_variable, "")
    }
    used = _used(db) if several else {}
    for source, count in sorted(several.items()):
        its = used.get(source, {})
        spelled = ", ".join(f"{_which(number)} {its.get(number, 0)}" for number in range(count))
        yield ok(f"secrets {source}", f"of its newest events, signed with {spelled}{_advice(its)}")


def _used(db: Connection) -> Mapping[str, Mapping[int, int]]:
    newest = select(events.c.source, events.c.secret_position).order_by(events.c.id.desc()).limit(NEWEST_EVENTS)
    newest = newest.where(events.c.secret_position >= 0)  # the others were fetched
    recent = newest.subquery()
    by_source: dict[str, dict[int, int]] = defaultdict(dict)
    counted = select(recent.c.source, recent.c.secret_position, func.count())
    for source, position, count in db.execute(counted.group_by(recent.c.source, recent.c.secret_position)):
        by_source[source][position] = count
    return by_source


def _advice(its: Mapping[int, int]) -> str:
    if not its:
        return ""
    if set(its) == {0}:
        return ": the older ones may go, once the provider has stopped using them"
    return "" if 0 in its else ": the provider does not use the newest one yet, keep the others"


def _which(position: int) -> str:
    return "the newest secret" if position == 0 else f"secret {position + 1}"


def _time(at: float) -> str:
    return f"{(rfc3339(at) or '')[11:19]} UTC"
