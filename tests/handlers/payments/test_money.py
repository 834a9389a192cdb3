"""Money is shown as Stripe counts it."""

import re
from decimal import Decimal

import pytest
from babel.numbers import format_currency
from hypothesis import given
from hypothesis import strategies as st

from handlers.errors import GiveUp
from handlers.payments.money import MAX_AMOUNT, Money

CURRENCIES = ["usd", "eur", "jpy", "kwd", "isk", "ugx", "huf", "twd", "mga", "clp", "bhd", "cad", "zzz"]


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (4900, "usd", "$49.00"),
        (123456789, "usd", "$1,234,567.89"),
        (-4900, "usd", "-$49.00"),
        (0, "usd", "$0.00"),
        (1, "eur", "€0.01"),
        (4900, "cad", "CA$49.00"),
        (4900, "chf", "CHF 49.00"),
        (500, "jpy", "¥500"),
        (1200000, "jpy", "¥1,200,000"),
        (5120, "kwd", "KWD 5.120"),
        (1, "bhd", "BHD 0.001"),
    ],
)
def test_an_amount_is_shown_with_the_decimals_of_its_currency(amount: int, currency: str, shown: str) -> None:
    assert Money(amount, currency).display() == shown


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (500, "isk", "ISK 5"),
        (500, "ugx", "UGX 5"),
        (4010, "isk", "ISK 40.10"),  # a charge from before April 2023
        (1000, "huf", "HUF 10.00"),
        (80000, "twd", "NT$800.00"),
        (300, "mga", "MGA 300"),  # ISO 4217 has fifths
        (300, "clp", "CLP 300"),
    ],
)
def test_where_stripe_and_iso_disagree_stripe_is_followed(amount: int, currency: str, shown: str) -> None:
    assert Money(amount, currency).display() == shown


@given(amount=st.integers(-MAX_AMOUNT, MAX_AMOUNT), currency=st.sampled_from(CURRENCIES))
def test_what_is_shown_is_exactly_the_amount_however_large(amount: int, currency: str) -> None:
    money = Money(amount, currency)
    shown = Decimal(re.sub(r"[^\d.-]", "", money.display()))
    assert shown.scaleb(money.places) == amount
    assert shown == money.units


@given(
    amount=st.integers(-(10**15), 10**15),
    currency=st.sampled_from(CURRENCIES) | st.from_regex("[A-Za-z]{3}", fullmatch=True),
)
def test_an_amount_is_written_as_babel_writes_it(amount: int, currency: str) -> None:
    shown, places = Money(amount, currency).display(), Money(amount, currency).places
    sign, first = re.fullmatch(r"-?(\D*?)( ?)[\d].*", shown).groups()  # type: ignore[union-attr]
    decimals = "." + "0" * places if "." in shown else ""
    plainly = f"¤{first}#,##0{decimals}"
    assert shown == format_currency(
        Money(amount, currency).units, currency.upper(), plainly, "en_US", currency_digits=False
    )
    assert bool(first) == sign[-1].isalpha()


@pytest.mark.parametrize("amount", [True, 49.0, "4900", None, MAX_AMOUNT + 1])
def test_what_is_not_an_integer_is_not_an_amount(amount: int) -> None:
    with pytest.raises(GiveUp, match="amount"):
        Money(amount, "usd")


@pytest.mark.parametrize("currency", ["", "us", "usdc", "u$d", "usd\n", None, 840])
def test_what_is_not_three_letters_is_not_a_currency(currency: str) -> None:
    with pytest.raises(GiveUp, match="currency"):
        Money(4900, currency)
