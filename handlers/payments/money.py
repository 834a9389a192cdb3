"""Amounts as Stripe counts them: an integer in a currency's smallest unit, with the currency beside it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from babel.numbers import get_currency_symbol

from handlers.errors import GiveUp

LOCALE = "en_US"

WHOLE_UNITS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"},
)
THOUSANDTHS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
# Stripe's own lists (docs.stripe.com/currencies). ISO 4217 and CLDR disagree with them, on MGA for one:
# an exponent from there would show a hundredth or a hundred times of what was paid.

ALWAYS_EVEN = frozenset({"ISK", "UGX"})
# These have no fractions any more, but Stripe goes on counting them in hundredths: 500 is 5 krónur.
# The payouts in HUF and TWD that Stripe's page calls zero-decimal are in hundredths too: 1000 is 10 forint.

CURRENCY = re.compile(r"[A-Za-z]{3}")

MAX_AMOUNT = 2**63 - 1
# What a BIGINT column holds.


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of money.

    Attributes:
        amount: in the currency's smallest unit, as Stripe counts it; negative when it is owed.
        currency: three letters, as Stripe spells it (lower case).

    Raises:
        GiveUp: what was given is no amount of money.

    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount) is not int or abs(self.amount) > MAX_AMOUNT:  # not isinstance: True is an int
            raise GiveUp("the amount is not an integer that a ledger can hold")
        if type(self.currency) is not str or not CURRENCY.fullmatch(self.currency):
            raise GiveUp("the currency is not a code of three letters")

    @property
    def places(self) -> int:
        """How many decimal places Stripe counts this currency in."""
        return _places(self.currency.upper())

    @property
    def units(self) -> Decimal:
        """The amount in whole units of the currency, exactly: 4900 cents are 49.00."""
        return Decimal(self.amount).scaleb(-self.places)

    def display(self) -> str:
        """Write the amount for people, never rounded: `$49.00`, `¥500`, `KWD 5.120`."""
        return display(self.amount, self.currency)


def display(amount: int, currency: str) -> str:
    """Write an amount for people, or a sum of many, which may be larger than any single one."""
    # By hand, with CLDR's symbols: babel takes as long as all of an alert. A test has it judge the result.
    code = currency.upper()
    places = _places(code)
    whole, rest = divmod(abs(amount), 10**places)
    digits = f"{whole:,}" if not places or (rest == 0 and code in ALWAYS_EVEN) else f"{whole:,}.{rest:0{places}}"
    return f"{'-' if amount < 0 else ''}{_sign(code)}{digits}"


@lru_cache(maxsize=512)  # there are fewer currencies, and strangers may make some up
def _sign(code: str) -> str:
    """Give what stands before an amount; letters keep their distance."""
    sign = get_currency_symbol(code, LOCALE)
    return f"{sign} " if sign[-1].isalpha() else sign


def listed(sums: Mapping[str, int]) -> str:
    """Write sums by currency for people: `€12,480.00 and $9,310.50`. Never one sum of several currencies."""
    *most, last = [display(amount, currency) for currency, amount in sums.items()]
    return f"{', '.join(most)} and {last}" if most else last


def _places(code: str) -> int:
    if code in WHOLE_UNITS:
        return 0
    return 3 if code in THOUSANDTHS else 2
