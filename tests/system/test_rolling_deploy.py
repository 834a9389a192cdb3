"""A deploy under load: version N beside version N+1, in both directions."""

import logging
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from ledger.migrate import make_config
from tests.system.parcel import Parcel, make_payment, make_spare
from tests.system.sender import Sender
from tests.system.service import Service, copy_checkout

log = logging.getLogger(__name__)

HANDLER = '''
"""Only one of the two versions has this handler."""

from handlers.router import handler


@handler(source="stripe", types=["product.created"])
def {name}(event, ctx):
    pass
'''

EXPAND = f'''
"""What the first of two releases may do: add, so that the version before works on."""

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{ScriptDirectory.from_config(make_config()).get_current_head()}"


def upgrade():
    op.add_column("events", sa.Column("of_the_next_version", sa.Integer(), nullable=True))
    op.create_index("ix_events_of_the_next_version", "events", ["of_the_next_version"])
'''

LEAVING, ARRIVING = "leaving.leaving", "arriving.arriving"


def make_payout() -> Parcel:
    return make_spare()


@pytest.fixture
def old(tmp_path: Path, nursery: Path) -> Iterator[Service]:
    """Version N, with a handler that the next one has no more."""
    checkout = copy_checkout(tmp_path / "old", {"leaving": HANDLER.format(name="leaving")})
    with closing(Service(tmp_path, checkout=checkout, nursery=nursery)) as service:
        yield service


@pytest.fixture
def new(tmp_path: Path, old: Service, nursery: Path) -> Iterator[Service]:
    """Version N+1 on the same ledger and broker, with a handler and a migration of its own."""
    handlers, migrations = {"arriving": HANDLER.format(name="arriving")}, {"next": EXPAND}
    checkout = copy_checkout(tmp_path / "new", handlers, migrations)
    environ = {"REDIS_URL": old.settings.resolved_redis_url}
    with closing(Service(tmp_path, checkout=checkout, environ=environ, nursery=nursery)) as service:
        yield service


def release(service: Service) -> subprocess.CompletedProcess[str]:
    """Run the Procfile's release command."""
    return service.cli("migrate")


def states(service: Service, handler: str) -> set[str]:
    return set(service.ledger.column("SELECT DISTINCT state FROM deliveries WHERE handler = ?", handler))


def test_two_versions_side_by_side_refuse_nothing_and_leave_each_other_what_is_theirs(
    old: Service, new: Service, tmp_path: Path
) -> None:
    old.start("valkey", "web", "worker", "sweeper")
    steady = Sender(old.url, tmp_path / "steady.jsonl")
    with steady.load(make_payment, at_once=5, pause_s=0.1) as load:
        load.wait_for_accepted(50)

        released = release(new)

        assert released.returncode == 0, released.stderr
        load.wait_for_accepted(50)
        new.start("web.new")
        to_new = Sender(f"http://127.0.0.1:{new.port_of('web.new')}", tmp_path / "new.jsonl")
        arriving = to_new.send_all([make_payout() for _ in range(20)])
        # The old worker has been rung for these and went on; its sweeper has looked at them since.
        _wait_for_a_later_one(old, load.wait_for_accepted)
        assert states(old, ARRIVING) <= {"queued", "pending"}

    assert {answer.status for answer in (*load.answers, *arriving)} == {200}
    log.info("%s answers while the ledger was migrated", len(load.answers))

    old["web"].stop()
    old.start("web")  # on a ledger that is ahead of it
    old["worker"].stop()
    to_old = Sender(old.url, tmp_path / "old.jsonl")
    leaving = to_old.send_all([make_payout() for _ in range(20)])
    old["sweeper"].stop()
    new.start("worker.new", "sweeper.new")
    old.wait_for(lambda: states(old, ARRIVING) == {"done"}, timeout_s=60)
    assert {answer.status for answer in leaving} == {200}
    assert states(old, LEAVING) <= {"queued", "pending"}

    for name in ("web.new", "worker.new", "sweeper.new"):
        new[name].stop()
    assert release(old).returncode == 0  # back to the old version: the ledger stays ahead
    old.start("worker", "sweeper")
    old.wait_until_idle(timeout_s=60)
    assert states(old, LEAVING) == {"done"}
    accepted = steady.record.accepted() | to_new.record.accepted() | to_old.record.accepted()
    assert accepted == old.ledger.external_ids()
    assert old.ledger.column("SELECT DISTINCT state || crashes || attempts FROM deliveries") == ["done01"]


def _wait_for_a_later_one(service: Service, wait_for_accepted: Callable[[int], None]) -> None:
    newest = service.ledger.value("SELECT max(id) FROM deliveries")
    wait_for_accepted(20)
    later = f"SELECT count(*) FROM deliveries WHERE state = 'done' AND id > {newest}"
    service.wait_for(lambda: service.ledger.value(later) > 0)
