"""What the API answers, as the OpenAPI page shows it; `receivers.api.questions` has what it is asked."""

from typing import Any

from pydantic import BaseModel, Field


class Told(BaseModel):
    """What we answer; there may be more in it than is said here."""


class Delivery(Told):
    """One event for one handler."""

    id: int
    handler: str
    state: str
    attempts: int
    last_error: str | None
    due_at: str | None
    finished_at: str | None


class Event(Told):
    """An event, with what is owed for it."""

    id: int
    source: str
    external_id: str
    type: str
    state: str
    received_at: str
    account: str | None
    livemode: bool | None
    deliveries: list[Delivery]


class EventPage(Told):
    """Events, newest first."""

    events: list[Event]
    since: str | None = Field(description="How far back this list goes: `since` of the next page. null: to the first.")
    next: int | None = Field(description="`before` of the next page; null: this is the last one.")


class DeliveryPage(Told):
    """Deliveries, newest events first."""

    deliveries: list[Delivery]
    since: str | None
    next: int | None


class RejectedRequest(Told):
    """A request that was rejected."""

    id: int
    received_at: str
    source: str
    path: str
    status: int
    reason: str


class RequestPage(Told):
    """Rejected requests, newest first."""

    requests: list[RejectedRequest]
    since: str | None
    next: int | None


class Following(Told):
    """The ids of events that came in after one, oldest first."""

    ids: list[int]


class Newest(Told):
    """The id of the newest event, or 0."""

    id: int


class Events(Told):
    """Events, oldest first."""

    events: list[Event]


class Preview(Told):
    """What it would mean. Amounts are in the smallest unit of their currency."""

    events: int
    overtaken: int = Field(description="Events of whose objects the book knows something newer.")
    amounts: dict[str, int] = Field(description="Live money, by currency.")
    test_amounts: dict[str, int] = Field(description="Test money, by currency.")
    customers: int
    more: bool = Field(description="There are more than were asked for, which this says nothing of.")


class Selection(Told):
    """What a filter means, and the ids of it."""

    preview: Preview
    ids: list[int]


class ReplayPreview(Preview):
    """What a replay would do."""

    deliveries_to_run: int
    handlers: dict[str, int] = Field(description="Deliveries, by handler.")
    effects_recorded: int = Field(
        description="Effects that these deliveries have recorded. A replay skips them, unless it is told `again`; and "
        "also those that other events have recorded under the same key, which are not counted: they are known only "
        "when the handlers have run (`hookline replay --dry-run --run`, where the ledger is)."
    )
    waiting: int = Field(description="Deliveries left alone, because they wait or run.")
    payload_pruned: int = Field(description="Events left out because their payload is gone.")


class Retried(Told):
    """What runs again."""

    deliveries: list[int]
    effects: list[int]


class Dismissed(Told):
    """What was called off."""

    deliveries: list[int]


class Replay(Told):
    """A replay: who, when, why, and how far it is."""

    id: int
    created_at: str
    who: str
    reason: str | None
    state: str
    items: int
    cursor: int


class Replays(Told):
    """Replays, newest first."""

    replays: list[Replay]
    next: int | None = Field(description="`before` of the next page; null: this is the last one.")


class Step(Told):
    """What one step of a replay set going."""

    started: list[int]
    left_alone: int
    cursor: int
    items: int


class Token(Told):
    """A token, but not the token itself."""

    id: int
    name: str
    begins: str
    scopes: list[str]
    state: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class NewToken(Token):
    """A token that was just made."""

    token: str = Field(description="Keep it: it is shown this once.")


class Tokens(Told):
    """Tokens, newest first."""

    tokens: list[Token]


class Entry(Told):
    """One entry of the audit log."""

    id: int
    at: str
    who: str
    via: str
    action: str
    reason: str | None
    detail: dict[str, Any]


class AuditPage(Told):
    """Entries, newest first."""

    entries: list[Entry]
    next: int | None


class PrunedAnswer(Told):
    """What went, or would go."""

    events_deleted: int
    payloads_emptied: int
    unfinished: int = Field(description="Events of that age that are not over, and stay whole: only of a dry run.")
    interrupted: bool = Field(description="The time was up: ask again for the rest.")


class Latency(Told):
    """How long it took from the receipt of events until they were handled, in seconds."""

    deliveries: int
    longest: float


class Bucket(Told):
    """A part of the time."""

    at: str
    events: int


class TypeCount(Told):
    """How much came in of one type."""

    source: str
    type: str
    events: int


class Stats(Told):
    """What happened in a span of time."""

    since: str
    until: str
    events: int
    rejected: int
    by_source: dict[str, int]
    by_type: list[TypeCount]
    by_state: dict[str, int]
    deliveries_by_state: dict[str, int]
    latency_s: Latency | None
    bucket_s: float
    buckets: list[Bucket]


class Source(Told):
    """A source, and what came in of it."""

    source: str
    configured: bool = Field(description="The service has its secret.")
    last_event_at: str | None
    last_type: str | None
    events_24h: int
    rejected_24h: int
    usual_gap_s: float | None


class Sources(Told):
    """Sources, by name."""

    sources: list[Source]


class ListedObject(Told):
    """Something that the book keeps, as it stands. The amount is in the currency's smallest unit."""

    id: str
    kind: str
    state: str
    amount: int | None
    currency: str | None
    customer: str | None
    reason: str | None
    account: str | None
    livemode: bool
    reached_at: str


class ObjectPage(Told):
    """Objects, the latest first."""

    objects: list[ListedObject]
    next: str | None = Field(description="`before` of the next page; null: this is the last one.")


class Object(ListedObject):
    """All that is known of one object."""

    related: list[ListedObject]
    contested_by: list[str]
    history: list[dict[str, Any]]


class Sum(Told):
    """How many, and how much together."""

    count: int
    amount: int


class Money(Told):
    """What became of the money of one currency, in its smallest unit."""

    currency: str
    taken: Sum
    failed: Sum
    refunded: Sum
    disputed: Sum
    paid_out: Sum
    settled: Sum
    fees: int | None
    net: int | None


class Standing(Told):
    """How much stands in one state."""

    kind: str
    state: str
    currency: str | None
    count: int
    amount: int | None


class FailureCode(Told):
    """Why payments failed, and how many."""

    code: str
    count: int


class Summary(Told):
    """What became of one account's real money, or test money; no account is our own."""

    since: str
    until: str
    livemode: bool
    account: str | None
    by_currency: list[Money]
    by_state: list[Standing]
    failure_codes: list[FailureCode]


class Summaries(Told):
    """One of each mode and account that was asked for."""

    summaries: list[Summary]
