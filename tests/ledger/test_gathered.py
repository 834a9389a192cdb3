"""What is left for later and written together: nobody can tell it from what was written at once."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, bindparam, func, insert, select

from ledger import effects
from ledger.gathered import Gathered
from ledger.prepared import Prepared
from ledger.store import Ledger, Transaction
from ledger.tables import effects as effects_table
from ledger.tables import past_effects
from tests.ledger.making import new_event, store

FIND = Prepared(select(effects_table.c.message).where(effects_table.c.key == bindparam("its_key")))
COUNT = select(func.count()).select_from(effects_table)

KEYS = st.sampled_from(["a", "b", "past"])
STEPS = st.lists(st.tuples(st.sampled_from(["plan", "plan", "show", "find", "count"]), KEYS), max_size=12)


def done(db: Connection, mine: Transaction, steps: list[tuple[str, str]], gathered: Gathered | None) -> list[Any]:
    """Do the steps, and say what was seen on the way, what was noted, and what is there in the end."""
    noted: list[tuple[str, bool]] = []
    seen: list[Any] = []
    for number, (step, key) in enumerate(steps):
        its: dict[str, Any] = {"event_id": 1, "delivery_id": 1, "key": key, "channel": "#c", "now": 0.0}
        its["message"] = {"text": str(number)}
        if step == "plan":
            effects.plan(mine, **its, note=lambda key, id_: noted.append((key, id_ is not None)))
        elif step == "show":
            seen.append(effects.show(mine, **its) is not None)
        elif step == "find":
            seen.append(mine.execute(FIND, {"its_key": key}).scalar())
        else:
            seen.append(mine.execute(COUNT).scalar())
    if gathered is not None:
        gathered.write(db)
    rows = select(effects_table.c.key, effects_table.c.message).order_by(effects_table.c.id)
    return [seen, noted, db.execute(rows).all()]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_effects_that_are_written_together_are_those_that_would_be_written_at_once(
    ledger: Ledger, steps: list[tuple[str, str]]
) -> None:
    store(ledger, new_event())
    ended = []
    for gathered in (None, Gathered()):
        with ledger.write() as db, db.begin_nested() as nothing_is_kept:
            db.execute(insert(past_effects).values(key="past", finished_at=0))
            ended.append(done(db, Transaction(db, gathered), steps, gathered))
            nothing_is_kept.rollback()
    assert ended[0] == ended[1]
