"""Hooklines that are broken on purpose, each with the fault that must catch it: the proof that the harness can fail.

A mutant is a copy of the product in which one line says something else. `python -m tests.faults --mutants` runs them
all; that one of them is not caught is a failure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.faults.fault import Fault
from tests.faults.matrix import all_faults
from tests.faults.needs import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One promise that is broken.

    Attributes:
        breaks: what it does wrong, in one sentence.
        changes: what is changed in the copy.
        fault: which fault must catch it.
        clause: which clause of the verdict must complain.

    """

    name: str
    breaks: str
    changes: tuple[Change, ...]
    fault: str
    clause: str

    def made(self) -> Fault:
        """Give its fault, for a house in which it lives."""
        fault = next(each for each in all_faults() if each.name == self.fault)
        return replace(fault, needs=replace(fault.needs, changes=self.changes))


MUTANTS: Sequence[Mutant] = (
    Mutant(
        name="answers-before-the-commit",
        breaks="A 200 leaves when the event has been handed to the writer.",
        changes=(
            Change(
                "ledger/writer.py",
                "            receipt: Receipt = await self._hand_in(event, timeout_s)\n",
                "            self._hand_in(event, timeout_s)\n            receipt = Receipt(0, duplicate=False)\n",
            ),
            Change("receivers/answers.py", '"event":%d', '"was":%d'),
        ),
        fault="web-killed-in-commit",
        clause="answered 2xx is stored",
    ),
    Mutant(
        name="does-not-wait-for-the-disk",
        breaks="SQLite commits without fsync.",
        changes=(Change("config/database.py", '"FULL" if fsync else "NORMAL"', '"OFF"'),),
        fault="sync-before-answer",
        clause="what this fault claims",
    ),
    Mutant(
        name="takes-a-copy-for-an-event",
        breaks="Each request is an event of its own.",
        changes=(
            Change(
                "receivers/intake.py", "dedupe_key=incoming.dedupe_key", 'dedupe_key=f"{incoming.dedupe_key} {now}"'
            ),
        ),
        fault="same-event-at-two-webs",
        clause="one event each",
    ),
    Mutant(
        name="last-arrival-wins",
        breaks="The book keeps what came last, not what happened last.",
        changes=(
            Change(
                "handlers/payments/book.py",
                "where(_row(table), tuple_(*versions) < this)",
                "where(_row(table), tuple_(*versions) != this)",
            ),
        ),
        fault="out-of-order",
        clause="the book is right",
    ),
    Mutant(
        name="tells-by-event",
        breaks="An alert's key is made of the event and not of what it is about.",
        changes=(
            Change(
                "handlers/notifications/keys.py",
                "MODES[event.livemode], *about)",
                "MODES[event.livemode], *about, event.external_id)",
            ),
        ),
        fault="out-of-order",
        clause="effects are the facts",
    ),
    Mutant(
        name="posts-again-without-a-word",
        breaks="After a lost answer it posts again: it does not look first, and does not say that it may be a repeat.",
        changes=(
            Change("workers/send.py", "if not effect.lost_answers or", "if True or"),
            Change("workers/post.py", "if not effect.may_repeat and not repeats(effect):", "if True:"),
        ),
        fault="worker-killed-after-slacks-yes",
        clause="doubles are marked",
    ),
    Mutant(
        name="rings-once",
        breaks="The sweeper never rings again for what was announced.",
        changes=(
            Change(
                "ledger/overdue.py",
                "deliveries.c.overdue_at <= now, deliveries",
                "deliveries.c.overdue_at < 0, deliveries",
            ),
        ),
        fault="broker-flushed",
        clause="nothing waits",
    ),
    Mutant(
        name="trusts-its-workers",
        breaks="Claims of dead workers are never freed.",
        changes=(Change("workers/sweep.py", "LOST_AFTER_S = 30.0", "LOST_AFTER_S = 1e9"),),
        fault="worker-killed",
        clause="nothing waits",
    ),
)
