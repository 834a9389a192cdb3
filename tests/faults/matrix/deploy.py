"""Version N+1 is deployed beside version N."""

import re

from tests.faults.fault import Matrix, Stage
from tests.faults.plugins import NEW_KIND, NEW_MIGRATION
from tests.system.service import copy_checkout

matrix = Matrix()

REVISION = re.compile(r'^revision(?:: str)? = "(\w+)"', re.MULTILINE)

NEW_KINDS = 5
WAITING = "SELECT count(*) AS n FROM deliveries WHERE handler = 'new.new_kind' AND state IN ('queued', 'pending')"


@matrix.fault(
    "deploy",
    "Migration under load, then N+1 beside N: no request is reset; what only N+1 can handle waits for it.",
    answers=("refused", "503", "timeout"),
    stories_per_s=6,
    soak=False,
    last=True,
    takes_s=46,
)
def deploy(stage: Stage) -> None:
    house = stage.house
    newer = copy_checkout(house.place / "newer", {"new": NEW_KIND})
    versions = newer / "ledger" / "migrations" / "versions"
    known = [REVISION.findall(path.read_text()) for path in sorted(versions.glob("[0-9]*.py"))]
    last = max(revision for found in known for revision in found)
    (versions / "9999_newer.py").write_text(NEW_MIGRATION.format(down_revision=last))
    house.note("migrate to N+1")
    house.migrate(newer)
    stage.sending.wait_for(20)
    _replace(stage, "web.1")
    stage.sending.wait_for(10)
    stage.sending.burst(NEW_KINDS * 4, type="new.kind")
    house.wait_for(lambda: _waiting(stage) >= NEW_KINDS)
    stage.instant(0.5, 2.0)
    stage.remark(f"{_waiting(stage)} waited for N+1")
    for name in ("worker.1", "sweeper.1", "web.2", "sweeper.2", "worker.2"):
        _replace(stage, name)


def _replace(stage: Stage, name: str) -> None:
    stage.house.note(f"{name} is replaced by N+1")
    stage.control.stop(name)
    stage.house.checkouts[name] = stage.house.place / "newer" / "checkout"
    stage.house.keeper.remake(name)
    stage.house.start(name)


def _waiting(stage: Stage) -> int:
    return int(stage.house.database.rows(WAITING)[0]["n"])
