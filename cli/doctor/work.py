"""What is owed: does it move, who seems to be at it, and what needs a person?"""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, TextClause, func, select

from cli.doctor.finding import Finding, ok, problem, spell_age, warning, worst
from cli.doctor.installation import Installation
from handlers.router import load_router
from ledger import look_ups
from ledger.census import Census, take_census
from ledger.event import DeliveryState, EffectState
from ledger.tables import DEAD, QUEUED, RUNNING, WAITING, channels, deliveries

LATE_S = 60.0
TOO_LATE_S = 600.0

UNCLAIMED_ROUNDS = 3
# So often a doorbell was rung for a delivery that nobody took: 10, 20 and 40 seconds.

HELD_TOO_LONG_S = 120.0
# Handlers have ten seconds, and the sweeper frees the claims of a worker that is gone after thirty.


def check_work(installation: Installation, db: Connection, now: float) -> Iterator[Finding]:
    """Look at deliveries and effects."""
    census = take_census(db, now)
    yield _check_queue(census)
    yield from _check_sweeper(db, now)
    yield from _check_workers(db, now)
    yield from _check_handlers(db)
    yield _check_dead(census)
    yield from _check_look_ups(installation, db)
    yield from _check_effects(installation, db, census, now)


def _check_queue(census: Census) -> Finding:
    counts = [f"{census.deliveries.get(state, 0)} {state}" for state in _MOVING]
    found = f"{', '.join(counts)}; the oldest that is due waits for {spell_age(census.oldest_delivery_s)}"
    if not any(census.deliveries.get(state) for state in _MOVING):
        found = "no delivery waits"
    fix = "see whether workers run and keep up: the lines below, `hookline deliveries list`, their logs"
    return worst("queue", census.oldest_delivery_s, warn_at=LATE_S, problem_at=TOO_LATE_S, found=found, fix=fix)


_MOVING = (DeliveryState.PENDING, DeliveryState.QUEUED, DeliveryState.RUNNING, DeliveryState.FAILED)


def _check_sweeper(db: Connection, now: float) -> Iterator[Finding]:
    """Recognise a sweeper that is not there by what it leaves lying."""
    known = deliveries.c.handler.in_(list(load_router().by_name))
    unannounced = _count(db, WAITING, known, deliveries.c.due_at < now - LATE_S)
    abandoned = _count(db, RUNNING, deliveries.c.started_at < now - HELD_TOO_LONG_S)
    fix = "start a sweeper: `python -m workers.sweep` (the Procfile's line `sweeper`); if one runs, see its log"
    # Above the high-water mark they wait to be announced although a sweeper runs.
    if unannounced and not _count(db, QUEUED):
        yield problem("sweeper", f"{unannounced} deliveries are due and nobody announces them", fix)
    if abandoned:
        yield problem("sweeper", f"{abandoned} claims of workers that are gone, and nobody frees them", fix)


def _check_workers(db: Connection, now: float) -> Iterator[Finding]:
    unclaimed = _count(db, QUEUED, deliveries.c.announcements >= UNCLAIMED_ROUNDS)
    never = _count(db, QUEUED, deliveries.c.overdue_at < now - LATE_S)
    held = _count(db, RUNNING)
    if unclaimed or never:
        found = f"{max(unclaimed, never)} deliveries were announced and nobody takes them"
        fix = "start workers: `dramatiq workers.main:setup` (the Procfile's line `worker`), with the same broker's URL"
        yield problem("workers", found, fix)
    elif held:
        yield ok("workers", f"{held} deliveries are claimed now")
    else:
        yield ok("workers", "nothing that was announced is left lying")


def _check_handlers(db: Connection) -> Iterator[Finding]:
    unknown = deliveries.c.handler.not_in(list(load_router().by_name))
    names: dict[str, int] = {}
    for condition in (WAITING, QUEUED):
        rows = db.execute(select(deliveries.c.handler, func.count()).where(condition, unknown).group_by("handler"))
        for name, count in rows.tuples():
            names[name] = names.get(name, 0) + count
    if names:
        spelled = ", ".join(f"{name} ({count})" for name, count in sorted(names.items()))
        fix = "deploy the version that has them; if they were removed for good, bring them back until this is empty"
        yield warning("handlers", f"deliveries wait for handlers that this version does not have: {spelled}", fix)


def _check_dead(census: Census) -> Finding:
    dead, unsent = census.deliveries.get(DeliveryState.DEAD, 0), census.effects.get(EffectState.DEAD, 0)
    if not dead and not unsent:
        return ok("dead", "nothing is dead")
    fix = "look: `hookline events list --state dead`; when its cause is mended: `hookline retry --all`"
    return warning("dead", f"{_plural(dead, 'delivery', 'deliveries')} and {_plural(unsent, 'effect', 'effects')}", fix)


def _check_look_ups(installation: Installation, db: Connection) -> Iterator[Finding]:
    if installation.settings.stripe_api_key is not None:
        yield ok(
            "stripe", f"thin events and what events leave open are asked of {installation.settings.stripe_api_url}"
        )
    elif dead := _count(db, DEAD, deliveries.c.handler == look_ups.HANDLER):
        found = f"Stripe must be asked about {_plural(dead, 'event', 'events')}, and STRIPE_API_KEY is unset"
        fix = f"set it to a restricted key that may read, then `hookline retry --handler {look_ups.HANDLER}`"
        yield problem("stripe", found, fix)


def _check_effects(_installation: Installation, db: Connection, census: Census, now: float) -> Iterator[Finding]:
    waiting = sum(census.effects.get(state, 0) for state in _UNSENT)
    lost = census.effects.get(EffectState.AMBIGUOUS, 0)
    found = f"{waiting} to send, {lost} of them perhaps sent already; the oldest waits for "
    found = f"{found}{spell_age(census.oldest_effect_s)}" if waiting else "nothing waits to be sent"
    fix = "see what Slack says: `hookline events list --state pending`, `hookline events get ID`"
    yield worst("effects", census.oldest_effect_s, warn_at=LATE_S, problem_at=TOO_LATE_S, found=found, fix=fix)
    paused = db.execute(select(channels.c.name, channels.c.paused_until).where(channels.c.paused_until > now)).tuples()
    for name, until in paused:
        fix = "nothing to do: it goes on by itself; if it comes back often, send less to that channel"
        yield warning("effects", f"Slack asked to wait: {name} is paused for {spell_age(until - now)}", fix)


_UNSENT = (EffectState.PLANNED, EffectState.AMBIGUOUS, EffectState.SENDING)


def _count(db: Connection, *conditions: ColumnElement[bool] | TextClause) -> int:
    return db.execute(select(func.count()).select_from(deliveries).where(*conditions)).scalar_one()


def _plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
