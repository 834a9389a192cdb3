"""What the API is asked, as the OpenAPI page shows it; `receivers.api.replies` has what it answers."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from config.settings import MIN_IDENTITY_DAYS
from handlers.choice import Choice
from handlers.payments.views import POSITION, Position, Wanted
from ledger.event import DeliveryState, EventState
from ledger.tokens import MAX_AGE_S, NAME, Scope
from ledger.views import Filter, within_a_day

MAX_ID = 2**63 - 1
MAX_PAGE = 200
# Rows: to write them as JSON takes the interpreter from the webhooks for a millisecond or two.
MAX_NAMES = 1_000
MAX_SELECTED = 100_000
MAX_STEP = 500
MAX_AGE_DAYS = 36_500

LAST = 253_402_300_799.0
# The year 9999 ends (Unix seconds): later times cannot be written, and are meant by nobody.

Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Word = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
# No database takes a NUL.

Mode = Literal["live", "test"]
Reason = Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]
Names = Annotated[list[Word], Field(min_length=1, max_length=MAX_NAMES)]


class Asked(BaseModel):
    """What is sent to us: nothing that we do not know."""

    model_config = ConfigDict(extra="forbid")


class About(Asked):
    """Which events."""

    source: Word | None = None
    type: Word | None = Field(None, description="As the provider spells it; * stands for anything.")
    handler: Word | None = None
    since: datetime | None = Field(None, description="Only what came in since then.")
    until: datetime | None = Field(None, description="Only what came in before then.")

    def filter(self, **more: Any) -> Filter:  # noqa: ANN401  # the fields of a Filter
        """Give it as the ledger understands it."""
        return Filter(
            source=self.source,
            type=self.type,
            handler=self.handler,
            since=_seconds(self.since),
            until=_seconds(self.until),
            **more,
        )


class ListAsked(About):
    """A page of a list."""

    account: Word | None = None
    external_id: Word | None = Field(None, description="How the provider's id begins.")
    before: Id | None = Field(None, description="The id that the page before this one ended with.")
    limit: int = Field(50, ge=1, le=MAX_PAGE)


class EventsAsked(ListAsked):
    """A page of events."""

    state: EventState | None = None


class DeliveriesAsked(ListAsked):
    """A page of deliveries."""

    state: DeliveryState | None = None


class Span(Asked):
    """From when until when. Unset: the last 24 h."""

    since: datetime | None = Field(None, description="1970 is the beginning.")
    until: datetime | None = None

    @property
    def since_s(self) -> float | None:
        """Its begin in Unix seconds."""
        return _seconds(self.since)

    @property
    def until_s(self) -> float | None:
        """Its end in Unix seconds."""
        return _seconds(self.until)


class StatsAsked(Span):
    """What to count."""

    source: Word | None = None
    type: Word | None = Field(None, description="As the provider spells it; * stands for anything.")
    account: Word | None = None


class SummaryAsked(Span):
    """What to sum up."""

    mode: Mode | None = Field(None, description="Unset: one summary of each.")
    account: Word | None = Field(
        None,
        description="A connected account (acct_…), or `own`. Unset: one of each that has anything.",
    )

    @property
    def livemode(self) -> bool | None:
        """Real money, or test money."""
        return _livemode(self.mode)

    @property
    def whose(self) -> str | None:
        """The account as the book calls it."""
        return "" if self.account == "own" else self.account


class ObjectsAsked(Asked):
    """A page of what the book keeps. Times are Stripe's: when an object came to its state."""

    kind: Word | None = Field(None, description="payment, refund, dispute, charge, invoice, payout, …")
    state: Word | None = None
    customer: Word | None = None
    currency: Word | None = None
    mode: Mode | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: Annotated[str, Field(pattern=POSITION)] | None = Field(
        None, description="What the page before this one called `next`."
    )
    limit: int = Field(50, ge=1, le=MAX_PAGE)

    def wanted(self) -> Wanted:
        """Give it as the book understands it."""
        return Wanted(
            kind=self.kind,
            state=self.state,
            customer=self.customer,
            currency=None if self.currency is None else self.currency.lower(),
            livemode=_livemode(self.mode),
            since=_seconds(self.since),
            until=_seconds(self.until),
            after=None if self.before is None else Position.read(self.before),
        )


class RequestsAsked(Asked):
    """A page of rejected requests."""

    source: Word | None = None
    reason: Word | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: Id | None = None
    limit: int = Field(50, ge=1, le=MAX_PAGE)

    def filter(self) -> Filter:
        """Give it as the ledger understands it."""
        return Filter(
            source=self.source, state=self.reason, since=_seconds(self.since), until=_seconds(self.until),
            limit=self.limit,
        )  # fmt: skip


class FollowingAsked(Asked):
    """Which events came in after one."""

    after: int = Field(0, ge=0, le=MAX_ID)
    limit: int = Field(100, ge=1, le=1_000)


class NewestAsked(Asked):
    """Up to when."""

    before: datetime | None = None

    @property
    def before_s(self) -> float | None:
        """The moment in Unix seconds."""
        return _seconds(self.before)


class IdsAsked(Asked):
    """Several events."""

    id: Annotated[list[Id], Field(min_length=1, max_length=200)]
    source: Word | None = Field(None, description="Only from this source: `hookline` is what Hookline says of itself.")


class SelectionAsked(About):
    """Deliveries to retry or to dismiss."""

    state: DeliveryState = DeliveryState.DEAD
    limit: int = Field(MAX_SELECTED, ge=1, le=MAX_SELECTED)


class RetryAsked(Asked):
    """What to retry."""

    names: Names = Field(description="Ids of deliveries; or providers' ids of events, for all of an event's.")
    states: list[DeliveryState] | None = Field(None, description="Of deliveries, only those in one of these.")
    reason: Reason | None = None


class DismissAsked(Asked):
    """What to dismiss, and why."""

    names: Names = Field(description="Ids of deliveries; or providers' ids of events, for all of an event's.")
    states: list[DeliveryState] | None = Field(None, description="Of deliveries, only those in one of these.")
    reason: Reason


class ChoiceAsked(About):
    """Which events to replay, or to send somewhere else: without names or `since`, those of the last 24 h."""

    names: Annotated[list[Word], Field(min_length=1, max_length=10_000)] | None = Field(
        None, description="Only these events, by our ids or the provider's."
    )
    state: DeliveryState | None = Field(None, description="Only deliveries in this state.")
    limit: int | None = Field(None, ge=1, le=MAX_SELECTED, description="At most so many events, oldest first.")

    def choice(self) -> Choice:
        """Give it as the handlers understand it."""
        names = None if self.names is None else tuple(self.names)
        wanted = self.filter(state=self.state, limit=self.limit)
        # As the command has it: an empty filter must not mean all of history.
        return Choice(wanted=wanted if names is not None else within_a_day(wanted, now=time.time()), names=names)


class ReplayAsked(Asked):
    """What to replay, and how."""

    choice: ChoiceAsked
    again: bool = Field(default=False, description="Do effects again that are recorded already.")
    reason: Reason | None = None
    at_most: int | None = Field(
        None, ge=0, le=MAX_ID, description="So many deliveries the preview spoke of: if there are more now, do nothing."
    )


class StepAsked(Asked):
    """How far to go."""

    limit: int = Field(100, ge=1, le=MAX_STEP)


class TokenAsked(Asked):
    """A token to make."""

    name: Annotated[str, Field(pattern=NAME)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    expires_in_s: float | None = Field(None, gt=0, le=MAX_AGE_S)


class AuditAsked(Asked):
    """A page of the audit log."""

    before: Id | None = None
    limit: int = Field(50, ge=1, le=MAX_PAGE)


class ReplaysAsked(Asked):
    """A page of replays."""

    before: Id | None = None
    limit: int = Field(50, ge=1, le=MAX_PAGE)


class PruneAsked(Asked):
    """What is old enough to go. As for `hookline prune`."""

    payload_after_days: float | None = Field(None, ge=0, le=MAX_AGE_DAYS)
    identity_after_days: float | None = Field(None, ge=MIN_IDENTITY_DAYS, le=MAX_AGE_DAYS)
    dry_run: bool = True
    reason: Reason | None = None


def _livemode(mode: Mode | None) -> bool | None:
    return None if mode is None else mode == "live"


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    return min((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), LAST)
