"""Reads the few fields that a handler needs out of an event, and gives up, saying why, when they are not there.

A shape names what is needed; everything else in the body is left alone:

    class Invoice(Shape):
        id: Name
        amount_due: Amount
        currency: Currency
        customer_name: Words = None

    invoice = read_object(event, Invoice)
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from handlers.errors import GiveUp
from handlers.payments.money import MAX_AMOUNT
from ledger.event import FORM, Event

LAST_MOMENT = 253_402_300_799
# 9999-12-31T23:59:59Z in Unix seconds: the last moment that a date can be made of.


def _id_of(value: object) -> object:
    return value.get("id") if isinstance(value, Mapping) else value


def _words_or_none(value: object) -> object:
    return value if isinstance(value, str) else None


Name = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
# Ids, states and codes: they are compared and indexed, so no spaces, no control characters, bounded.

Reference = Annotated[Name, BeforeValidator(_id_of)]
# The id of another object; also where the provider was asked to put in the whole object instead.

Words = Annotated[str | None, BeforeValidator(_words_or_none)]
# Text for people. An alert can do without it, so anything else counts as not there.

Amount = Annotated[int, Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
Currency = Annotated[str, StringConstraints(pattern=r"^[a-z]{3}$")]
Seconds = Annotated[int, Field(ge=0, le=LAST_MOMENT)]  # Unix time


class Shape(BaseModel):
    """What must be there. Strict: `true` and `1.0` and `"1"` are no integers."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


Read = TypeVar("Read", bound=Shape)


class Data(Shape, Generic[Read]):
    """The part of a Stripe event that holds the object."""

    object: Read


class Snapshot(Shape, Generic[Read]):
    """A Stripe event with its object as it was at that moment.

    Attributes:
        created: when it happened, in Unix seconds; several events may share one second.

    """

    created: Seconds
    data: Data[Read]


def read(event: Event, shape: type[Read]) -> Read:
    """Read an event's body; once, however many ask for the same of it.

    Raises:
        GiveUp: names the fields that are missing or of the wrong kind, never their contents.

    """
    known: Read | None = event.readings.get(shape)
    if known is None:
        known = event.readings[shape] = _read(event, shape)
    return known


def _read(event: Event, shape: type[Read]) -> Read:
    if event.content_type != FORM:
        # At once from the bytes, in half the time. Where something is wrong, the plain way says what.
        with suppress(ValidationError):
            return shape.model_validate_json(event.body)
    return _read_plainly(event, shape)


def _read_plainly(event: Event, shape: type[Read]) -> Read:
    try:
        return shape.model_validate(event.payload)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False))
        message = f"{event.type} is not as expected: {'; '.join(problems)}"
        raise GiveUp(message) from None


def read_snapshot(event: Event, shape: type[Read]) -> Snapshot[Read]:
    """Read a Stripe event with the object that it is about.

    Raises:
        GiveUp: as `read` does.

    """
    return read(event, _snapshot_of(shape))


def read_object(event: Event, shape: type[Read]) -> Read:
    """Read the object that a Stripe event is about.

    Raises:
        GiveUp: as `read` does.

    """
    return read_snapshot(event, shape).data.object


@lru_cache(maxsize=128)  # there are fewer shapes; to look for what was made before takes pydantic 1.5 µs
def _snapshot_of(shape: type[Read]) -> type[Snapshot[Read]]:
    return Snapshot[shape]  # type: ignore[valid-type]  # made at run time, on purpose
