"""The ledger: does it answer, are its tables ours, can it commit? Then all that can be read in it."""

import time
from collections.abc import Callable, Iterator

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from cli.doctor.clock import check_signed_times
from cli.doctor.finding import Finding, ok, problem, worst
from cli.doctor.installation import Installation
from cli.doctor.postgresql import check_postgresql
from cli.doctor.rejections import check_rejections, check_secrets_in_use
from cli.doctor.sqlite import check_files, check_sqlite
from cli.doctor.work import check_work
from config.database import database_url, make_engine
from config.errors import InvalidSettings
from ledger.commits import touch
from ledger.errors import LedgerUnavailable
from ledger.migrate import Migrations, migrations
from ledger.store import Ledger

LEDGER = "ledger"

COMMITS = 3
SLOW_COMMIT_S = 0.25
STUCK_COMMIT_S = 1.5

IN_THE_LEDGER: tuple[Callable[[Installation, Connection, float], Iterator[Finding]], ...] = (
    check_secrets_in_use,
    check_rejections,
    check_signed_times,
    check_work,
)


def check_ledger(installation: Installation) -> Iterator[Finding]:
    """Look at the ledger, as far as it lets us."""
    try:
        url = database_url(installation.settings)
    except InvalidSettings as error:
        yield problem(LEDGER, str(error), "set DATABASE_URL right, or unset it for a SQLite file in the data directory")
        return
    on_sqlite = url.get_backend_name() == "sqlite"
    if on_sqlite:
        broken = list(check_files(installation))
        yield from broken
        if any(each.fix is not None and each.check == LEDGER for each in broken):
            return
    engine = make_engine(installation.settings)
    try:
        yield from _check_engine(installation, engine, url.render_as_string(hide_password=True))
    finally:
        engine.dispose()


def _check_engine(installation: Installation, engine: Engine, address: str) -> Iterator[Finding]:
    try:
        found = migrations(engine)
        special = check_sqlite if engine.dialect.name == "sqlite" else check_postgresql
        with engine.connect() as connection:
            yield from special(installation, connection)
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        yield problem(LEDGER, f"{address} does not answer: {reason}", "start the database, or set DATABASE_URL right")
        return
    yield _judge_migrations(found)
    if found in (Migrations.CURRENT, Migrations.AHEAD):
        yield from _check_contents(installation, Ledger(engine))


def _judge_migrations(found: Migrations) -> Finding:
    if found in (Migrations.NONE, Migrations.BEHIND):
        return problem("migrations", found.value, "run `hookline migrate`")
    note = ": finish the deploy of that version" if found is Migrations.AHEAD else ""
    return ok("migrations", f"{found.value}{note}")


def _check_contents(installation: Installation, ledger: Ledger) -> Iterator[Finding]:
    yield _check_commit(ledger)
    for check in IN_THE_LEDGER:
        try:
            with ledger.read() as db:
                yield from list(check(installation, db, time.time()))
        except (LedgerUnavailable, SQLAlchemyError) as error:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            yield problem(name, f"cannot be read: {' '.join(str(error).split())}", "look at the lines above")


def _check_commit(ledger: Ledger) -> Finding:
    """Commit something of no importance: what every 2xx waits for."""
    try:
        took_s = min(_commit(ledger) for _ in range(COMMITS))
    except (LedgerUnavailable, SQLAlchemyError) as error:
        fix = "providers are answered 503 until it can: look for a full disk, a lock, a read-only server"
        return problem("commits", f"nothing can be committed: {' '.join(str(error).split())}", fix)
    fix = "see what keeps the disk or the database busy: providers wait for each commit"
    found = f"a commit takes {took_s * 1000:.0f} ms"
    return worst("commits", took_s, warn_at=SLOW_COMMIT_S, problem_at=STUCK_COMMIT_S, found=found, fix=fix)


def _commit(ledger: Ledger) -> float:
    began = time.monotonic()
    with ledger.write() as db:
        touch(db)
    return time.monotonic() - began
