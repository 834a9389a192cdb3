"""Give back what a worker process held when it had to end: `python -m workers.release TOKEN…`.

A thread that hangs cannot be ended by another, and with SQLite it may hold the one write transaction. So the process
becomes this program, which drops all that its threads held, and then says in the ledger that nobody has these claims.
"""

import os
import signal
import sys
import time
from collections.abc import Collection, Sequence

import structlog
from sqlalchemy import Connection

from config.database import make_engine
from config.logs import configure_logs
from config.settings import load_settings
from ledger import claims, overdue
from ledger.errors import LedgerUnavailable
from ledger.store import Ledger

PATIENCE_S = 5
# For a ledger that is locked or away. Then the claims are left to the sweeper, which takes 30 s and counts a crash.

log = structlog.get_logger()


def become_release(tokens: Collection[str]) -> None:
    """Let this process become the one that gives these claims back. Returns only when there are none."""
    if tokens:
        log.warning("worker ends", reason="what it runs does not end in time", claims=len(tokens))
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "workers.release", *tokens])  # noqa: S606  # a fixed program


def release(db: Connection, tokens: Sequence[str], now: float) -> tuple[list[int], list[int]]:
    """Free what these tokens hold. A delivery is as it was before; nobody knows whether Slack has an effect."""
    deliveries = [each for token in tokens for each in claims.release(db, token, now=now)]
    freed = overdue.free_effects(db, [each for each in overdue.sending(db) if each.token in tokens], now)
    return deliveries, [each for ids in freed.values() for each in ids]


def main() -> None:
    """Give back the claims that the command line names."""
    signal.alarm(PATIENCE_S + 1)  # a lock that nobody gives up would hold us for ever
    settings = load_settings(os.environ)
    configure_logs(development=settings.hookline_dev)
    ledger = Ledger(make_engine(settings, fsync=False, patience_s=PATIENCE_S))
    try:
        work = ledger.insist(lambda db: release(db, sys.argv[1:], time.time()), for_s=PATIENCE_S)
    except LedgerUnavailable as error:
        log.warning("claims not given back", error=str(error), left_to="sweeper")
    else:
        log.info("claims given back", deliveries=work[0], effects=work[1])


if __name__ == "__main__":
    main()
