"""The audit log, newest first."""

import json

from ledger.question import Asked, Clause, all_of, rows, up_to
from ledger.shown import View, rfc3339


def list_audit(db: Asked, *, limit: int, before: int | None = None) -> list[View]:
    """List entries, newest first; those before an id, if one is given."""
    its, most = all_of([] if before is None else [Clause("id < :before", {"before": before})]), up_to(limit)
    text = f"SELECT id, at, who, via, action, detail, reason FROM audit WHERE {its.text} ORDER BY id DESC {most.text}"
    found = rows(db, text, {**its.values, **most.values})
    return [{**row, "at": rfc3339(row["at"]), "detail": json.loads(row["detail"])} for row in found]
