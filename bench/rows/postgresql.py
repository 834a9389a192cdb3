"""The first three rows again, with PostgreSQL as the ledger: a server of its own, as durable as it comes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from bench.errors import Skipped
from bench.plan import Plan
from bench.row import Row, Wanted
from bench.rows import drain, ingest
from tests.servers.postgresql import DISTRIBUTION, PostgresServer

NAME = "postgresql"
TAKES_S = 110

BRIEF_S = 1.0
# Of a round: these rows are there to be compared with the first three.

WANTED = Wanted(text="report; ≥ 0.7", ratio_at_least=0.7)


def measure(plan: Plan) -> Iterator[Row]:
    """Measure ingest, then drain."""
    with _server() as server:
        brief = replace(plan, seconds=min(plan.seconds, BRIEF_S))
        accepted = ingest.compare(brief, NAME, {"DATABASE_URL": server.create_database("ingest")})
        for against, theirs in ((ingest.EMPTY, accepted["empty"]), (ingest.TUTORIAL, accepted["tutorial"])):
            yield Row(
                name=NAME,
                what="PostgreSQL: accepted events/s, one web process",
                against=against,
                ours=accepted["hookline"],
                theirs=theirs,
                wanted=WANTED,
            )
        drained = drain.compare(brief, NAME, {"DATABASE_URL": server.create_database("drain")})
        yield Row(
            name=NAME,
            what="PostgreSQL: deliveries/s, one worker of 8 threads",
            against=drain.BARE,
            ours=drained["hookline"],
            theirs=drained["bare dramatiq"],
            wanted=WANTED,
            note=drain.company(drained),
        )


@contextmanager
def _server() -> Iterator[PostgresServer]:
    try:
        version(DISTRIBUTION)
    except PackageNotFoundError:
        raise Skipped(f"{DISTRIBUTION} is not installed (make setup)") from None
    server = PostgresServer({})  # its own defaults: fsync on
    try:
        server.start()
        yield server
    finally:
        server.close()
