"""What is at stake in events: how much money, whose, and whether the book knows something newer already."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from handlers.errors import GiveUp
from handlers.payments.money import Money
from handlers.payments.tables import disputes, objects, payments, refunds
from ledger.event import Event, Unreadable

AMOUNTS = ("amount", "amount_due", "amount_total")
# What Stripe calls it in payments, refunds, disputes and payouts; in invoices; in checkout sessions.

BOOK = {"payment_intent": payments, "refund": refunds, "dispute": disputes}
# Everything else is in `objects`.


@dataclass(slots=True)
class Stake:
    """What some events are about. Each object counts once, however many events there are about it."""

    amounts: Counter[str] = field(default_factory=Counter)  # by currency, in its smallest unit
    test_amounts: Counter[str] = field(default_factory=Counter)  # the same, of test mode
    customers: set[str] = field(default_factory=set)
    overtaken: int = 0  # events that are older than what the book knows of their objects
    _objects: set[tuple[Any, ...]] = field(default_factory=set)

    def add(self, db: Connection, events: Iterable[Event]) -> None:
        """Count these events in. What cannot be read is about no money."""
        for event in events:
            try:
                payload = event.payload
            except Unreadable:
                continue
            about = payload.get("data", {}).get("object") if isinstance(payload.get("data"), dict) else None
            if event.source == "stripe" and isinstance(about, dict):
                self._add(event, about)
                self.overtaken += _is_overtaken(db, event, about, payload.get("created"))

    def _add(self, event: Event, about: Mapping[str, Any]) -> None:
        customer = about.get("customer")
        if isinstance(customer, str):
            self.customers.add(customer)
        money = _money(about)
        # A charge and its payment are the same money.
        its_payment = about.get("payment_intent") if about.get("object") == "charge" else None
        name = (event.account, event.livemode, str(its_payment or about.get("id")))
        if money is None or name in self._objects:
            return
        self._objects.add(name)
        counted = self.test_amounts if event.livemode is False else self.amounts
        counted[money.currency.lower()] += money.amount


def _money(about: Mapping[str, Any]) -> Money | None:
    amount = next((about[name] for name in AMOUNTS if name in about), None)
    try:
        return Money(amount, about.get("currency"))  # type: ignore[arg-type]  # it checks what it is given
    except GiveUp:
        return None


def _is_overtaken(db: Connection, event: Event, about: Mapping[str, Any], created: object) -> bool:
    table = BOOK.get(str(about.get("object")), objects)
    if not isinstance(created, int) or event.livemode is None:
        return False
    whose = (
        table.c.account == (event.account or ""),
        table.c.livemode == event.livemode,
        table.c.id == str(about.get("id")),
    )
    newest = db.execute(select(table.c.version_created).where(*whose)).scalar()
    return newest is not None and newest > created
