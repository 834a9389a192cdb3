"""Sums of money by currency: exact, however large the amounts are that a table holds."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

SPLIT = 1_000_000
# Sums are made of two parts: no amount that a column holds can make them too large for it.


def sums(
    db: Connection, amount: ColumnElement[Any], currency: ColumnElement[Any], *conditions: ColumnElement[bool]
) -> dict[str, int]:
    """Add up a column of amounts, in the smallest unit of each currency; rows without a currency count for nothing."""
    # Divided as whole numbers: the remainder is what is left, whatever a database does with negative ones.
    parts = (func.sum(amount // SPLIT), func.sum(amount - (amount // SPLIT) * SPLIT))
    found = select(currency, *parts).where(currency.is_not(None), amount.is_not(None), *conditions)
    rows = db.execute(found.group_by(currency))
    return dict(sorted((code, int(large) * SPLIT + int(small)) for code, large, small in rows))
