"""A ledger in PostgreSQL: is a commit on disk when it returns, and will there be connections for all of us?"""

import time
from collections.abc import Iterator

from sqlalchemy import Connection, text

from cli.doctor import clock
from cli.doctor.finding import Finding, ok, problem, warning
from cli.doctor.installation import Installation

DURABLE = ("on", "remote_apply")
# `remote_write` and `local` are weaker than `on` only where there are standbys; `off` everywhere.

OLDEST_TESTED = 14

OUR_POOLS = 4
# A web process has one, a worker two, a sweeper one: for the smallest installation, and Hookline's own commands.

IDLE_LIMIT_S = 60


def check_postgresql(installation: Installation, db: Connection) -> Iterator[Finding]:
    """Ask the server what is in force on a connection made as the web process makes its own."""
    yield _check_version(installation, db)
    yield from _check_role(db)
    yield from _check_durability(db)
    yield _check_connections(installation, db)
    yield from _check_idle(db)
    yield _check_clock(db)


def _check_version(installation: Installation, db: Connection) -> Finding:
    number = int(_setting(db, "server_version_num")) // 10_000
    found = f"PostgreSQL {_setting(db, 'server_version')}, database {db.engine.url.database}"
    del installation
    if number < OLDEST_TESTED:
        return warning("ledger", found, f"Hookline is tested with {OLDEST_TESTED} and newer: plan an upgrade")
    return ok("ledger", found)


def _check_role(db: Connection) -> Iterator[Finding]:
    if db.execute(text("SELECT pg_is_in_recovery()")).scalar_one():
        fix = "set DATABASE_URL to the primary server, or promote this one"
        yield problem("primary", "this server is a standby: nothing can be written to it", fix)


def _check_durability(db: Connection) -> Iterator[Finding]:
    settings = {name: _setting(db, name) for name in ("fsync", "full_page_writes", "synchronous_commit")}
    spelled = ", ".join(f"{name}={value}" for name, value in settings.items())
    weak = [name for name in ("fsync", "full_page_writes") if settings[name] != "on"]
    if weak:
        fix = f"set {' and '.join(f'{name} = on' for name in weak)} in postgresql.conf and reload"
        yield problem("durability", f"{spelled}: a power cut can lose what was answered 2xx, or the whole ledger", fix)
    elif settings["synchronous_commit"] not in DURABLE:
        fix = "something between us and the server overrules `synchronous_commit=on`: look at a pooler's settings"
        yield problem("durability", f"{spelled}: a commit returns before it is on disk", fix)
    else:
        yield ok("durability", f"{spelled}: a commit is on disk when it returns")


def _check_connections(installation: Installation, db: Connection) -> Finding:
    limit = int(_setting(db, "max_connections")) - int(_setting(db, "superuser_reserved_connections"))
    used = db.execute(text("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")).scalar_one()
    pool = installation.settings.database_pool_size
    found = f"{used} of {limit} in use; each of our pools may open {pool} (web 1, each worker process 2, sweeper 1)"
    if OUR_POOLS * pool > limit:
        fix = f"raise max_connections to {OUR_POOLS * pool * 2} or more, or lower DATABASE_POOL_SIZE"
        return problem("connections", found, fix)
    if used > limit * 0.8:
        return warning("connections", found, "raise max_connections, lower DATABASE_POOL_SIZE, or end who needs none")
    return ok("connections", found)


def _check_idle(db: Connection) -> Iterator[Finding]:
    statement = text(
        "SELECT count(*), max(extract(epoch FROM clock_timestamp() - state_change)) FROM pg_stat_activity "
        "WHERE state LIKE 'idle in transaction%' AND datname = current_database() "
        "AND state_change < clock_timestamp() - make_interval(secs => :limit)"
    )
    count, longest_s = db.execute(statement, {"limit": IDLE_LIMIT_S}).one()
    if count:
        found = f"{count} sessions have done nothing for up to {longest_s:.0f} s inside a transaction: they hold locks"
        fix = "find them: SELECT pid, application_name, query FROM pg_stat_activity WHERE state LIKE 'idle in t%'"
        yield warning("idle transactions", found, fix)


def _check_clock(db: Connection) -> Finding:
    began = time.time()
    theirs = float(db.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return clock.judge("the database server's", (began + time.time()) / 2 - theirs)


def _setting(db: Connection, name: str) -> str:
    return str(db.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one())
