"""The ledger's tables. Times are Unix seconds (UTC) as floats; states are the values of `ledger.event`.

The migrations in `ledger/migrations` make these tables; a test proves that the two agree. Some indexes are in
`ledger.indexes`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from ledger import indexed
from ledger.event import DeliveryState, EffectState

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    },
)

# SQLite gives rowids only to a column that is spelled INTEGER PRIMARY KEY.
Id = BigInteger().with_variant(Integer(), "sqlite")

NAME_CHARS = 255

# See `ledger.indexed`.
WAITING = text(indexed.WAITING)
QUEUED = text(indexed.QUEUED)
RUNNING = text(indexed.RUNNING)
DEAD = text(indexed.DEAD)
DUE = text(indexed.DUE)
SENDING = text(indexed.SENDING)
LINE = text(indexed.LINE)
FOLDED = text(indexed.FOLDED)
IN_A_THREAD = text(indexed.IN_A_THREAD)
OPEN = text(indexed.OPEN)
FLAWED = text(indexed.FLAWED)


def _one_of(states: type[DeliveryState] | type[EffectState]) -> CheckConstraint:
    quoted = ", ".join(f"'{state}'" for state in states)
    return CheckConstraint(f"state IN ({quoted})", name="state")


events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("source", String(64), nullable=False),
    Column("dedupe_key", String(600), nullable=False),
    Column("external_id", String(NAME_CHARS), nullable=False),
    Column("type", String(NAME_CHARS), nullable=False),
    Column("account", String(NAME_CHARS)),
    Column("livemode", Boolean),
    Column("received_at", Float, nullable=False),
    Column("content_type", String(NAME_CHARS), nullable=False),
    Column("headers", Text, nullable=False),  # a JSON object
    Column("body", LargeBinary, nullable=False),  # the raw bytes that were signed
    Column("body_sha256", String(64), nullable=False),
    Column("secret_position", Integer, nullable=False),
    Column("flaw", Text),
    Column("traceparent", String(64)),  # of the request that brought it, where traces are kept (W3C Trace Context)
    Column("payload_pruned_at", Float),  # since then, body and headers are empty
    UniqueConstraint("source", "dedupe_key"),
    Index("ix_events_external_id", "external_id"),
    # The order of the lists, with what most filters are about: a search in vain reads a small part of what events take.
    Index("ix_events_newest", "received_at", "id", "source", "type", "account"),
)

large_bodies = Table(
    "large_bodies",
    metadata,
    Column("id", Id, primary_key=True),
    Column("begun_at", Float, nullable=False),
    Column("size", Integer, nullable=False),  # in bytes, of all pieces
    Column("event_id", Id, ForeignKey("events.id")),  # whose `body` is empty then; null: no event has taken it
    UniqueConstraint("event_id"),
)

body_pieces = Table(
    "body_pieces",
    metadata,
    Column("body_id", Id, ForeignKey("large_bodies.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 0
    Column("content", LargeBinary, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("event_id", Id, ForeignKey("events.id"), nullable=False),
    Column("handler", String(NAME_CHARS), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("due_at", Float, nullable=False),
    Column("trigger", String(16), nullable=False),  # of the next attempt, or of the one that runs
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),  # since the schedule began
    Column("first_attempt_at", Float),  # when the schedule began
    Column("crashes", Integer, nullable=False, server_default="0"),
    Column("announcements", Integer, nullable=False, server_default="0"),
    Column("overdue_at", Float),  # queued and not claimed by then: announce again
    Column("token", String(64)),  # of the claim that holds it
    Column("beat", BigInteger, nullable=False, server_default="0"),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("last_error", Text),
    Column("replay_id", Id),  # of the replay that set it going last
    Column("again", Boolean),  # that replay does effects again that are recorded already
    UniqueConstraint("event_id", "handler"),
    _one_of(DeliveryState),
)

replays = Table(
    "replays",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("who", String(NAME_CHARS), nullable=False),
    Column("reason", Text),
    Column("chosen", Text, nullable=False),  # what was asked for, a JSON object
    Column("states", Text, nullable=False),  # a JSON list: deliveries that are in another state by then are left alone
    Column("again", Boolean, nullable=False),
    Column("items", Integer, nullable=False),  # how many
    Column("cursor", Integer, nullable=False),  # how many of them are behind it
    Column("finished_at", Float),
)

replay_items = Table(
    "replay_items",
    metadata,
    Column("replay_id", Id, ForeignKey("replays.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("event_id", Id, nullable=False),  # no foreign key: the event may be pruned, the record stays
    Column("handler", String(NAME_CHARS), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("delivery_id", Id),  # null: there was none yet
    Column("outcome", String(16)),  # started, left_alone; null: not there yet
)

dismissals = Table(
    "dismissals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False),
    Column("at", Float, nullable=False),
    Column("who", String(NAME_CHARS), nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_dismissals_delivery_id", "delivery_id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("trigger", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),  # done, failed, dead, crashed
    Column("started_at", Float, nullable=False),
    Column("finished_at", Float, nullable=False),
    Column("error", Text),
    Index("ix_attempts_delivery_id", "delivery_id"),
)

effects = Table(
    "effects",
    metadata,
    Column("id", Id, primary_key=True),
    Column("event_id", Id, ForeignKey("events.id"), nullable=False),
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False),
    Column("key", String(600), nullable=False),  # the business key: at most one effect each, for ever
    Column("channel", String(NAME_CHARS), nullable=False),
    Column("message", Text, nullable=False),  # a JSON object: text, blocks
    Column("state", String(16), nullable=False),
    Column("planned_at", Float, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),  # since the schedule began
    Column("first_attempt_at", Float),  # when the schedule began
    Column("lost_answers", Integer, nullable=False, server_default="0"),
    Column("token", String(64)),
    Column("beat", BigInteger, nullable=False, server_default="0"),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("channel_id", String(NAME_CHARS)),  # Slack's own id of where it is, from its answer
    Column("ts", String(64)),  # the message's id in that channel, from Slack's answer
    Column("last_error", Text),
    Column("parent", String(600)),  # the key of the effect whose message's thread this belongs to
    Column("revision", Integer, nullable=False, server_default="0"),  # of the message: it is sent again as an update
    Column("may_repeat", Boolean),  # it was posted again after a lost answer, and says so
    Column("held_until", Float),  # on purpose: quiet hours, a snooze
    Column("alike", String(NAME_CHARS)),  # kind and mode: what is alike is folded into one message in a storm
    Column("fold_at", Integer),  # so many that wait
    Column("folded_into", Id),  # the effect whose message tells of this one, too
    Column("amount", BigInteger),  # what it is about, for whoever tells of many at once
    Column("currency", String(3)),
    Column("customer", String(NAME_CHARS)),
    Column("reason", String(NAME_CHARS)),
    UniqueConstraint("key"),
    _one_of(EffectState),
    Index("ix_effects_event_id", "event_id"),
    Index("ix_effects_delivery_id", "delivery_id"),
)

past_effects = Table(
    "past_effects",
    metadata,
    Column("key", String(600), primary_key=True),  # of an effect whose event was pruned: it is not done again
    Column("finished_at", Float, nullable=False),
)

channels = Table(
    "channels",
    metadata,
    Column("name", String(NAME_CHARS), primary_key=True),  # as the settings spell it
    Column("channel_id", String(NAME_CHARS)),  # Slack's own id of it, from its answers
    Column("paused_until", Float, nullable=False, server_default="0"),  # because Slack asked to wait
    Column("pause_s", Float),  # for how long it asked: whose clock said until when may have been wrong
    Column("next_at", Float, nullable=False, server_default="0"),  # from then on the next message may be sent
)

storms = Table(
    "storms",
    metadata,
    Column("channel", String(NAME_CHARS), primary_key=True),
    Column("alike", String(NAME_CHARS), primary_key=True),
    Column("effect_id", Id, nullable=False),  # the message that the latest storm of this kind is told in
    Column("began_at", Float, nullable=False),
    Column("last_at", Float, nullable=False),  # when something was last folded into it
)

cases = Table(
    "cases",
    metadata,
    Column("key", String(600), primary_key=True),  # the business key, and that of the effect that is its message
    Column("kind", String(64), nullable=False),
    Column("account", String(NAME_CHARS), nullable=False),
    Column("livemode", Boolean),
    Column("state", String(16), nullable=False),  # quiet (nothing to tell so far), open, closed
    Column("status", String(NAME_CHARS), nullable=False),  # in words
    Column("title", Text, nullable=False),
    Column("amount", BigInteger),
    Column("currency", String(3)),
    Column("due_by", Float),
    Column("facets", Text, nullable=False),  # a JSON object: what is known, each part with its version
    Column("opened_at", Float, nullable=False),  # as the provider says
    Column("changed_at", Float, nullable=False),  # ditto
    Column("closed_at", Float),
    Column("channel", String(NAME_CHARS), nullable=False),
    Column("channel_id", String(NAME_CHARS)),  # where its message is
    Column("ts", String(64)),
    Column("event_id", Id),  # the latest event that changed it; it may have been pruned
    Column("acknowledged_by", String(64)),
    Column("acknowledged_at", Float),
    Column("snoozed_until", Float),
    Column("reminded_of", Float),  # the deadline that was reminded of
)

alarms = Table(
    "alarms",
    metadata,
    Column("name", String(NAME_CHARS), primary_key=True),  # of what may be wrong with Hookline or a source
    Column("open", Boolean, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("step", Integer, nullable=False),  # how often it was told in this episode
    Column("told_at", Float, nullable=False),
    Column("text", Text, nullable=False),
)

rhythms = Table(
    "rhythms",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("last_id", Id, nullable=False),  # of the newest event that was looked at
    Column("last_at", Float, nullable=False),  # when it came
    Column("gaps", Text, nullable=False),  # a JSON object: the longest gap of each of the latest days, in seconds
)

requests = Table(
    "requests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("received_at", Float, nullable=False),
    Column("source", String(64), nullable=False),
    Column("path", String(NAME_CHARS), nullable=False),
    Column("status", Integer, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("headers", Text, nullable=False),  # a JSON object, with the signature, without anything else secret
    Column("body_size", BigInteger),  # null: the body was not read
    Column("body_sha256", String(64)),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(NAME_CHARS), nullable=False),  # who uses it; never given twice
    Column("public", String(16), nullable=False),  # the part of the token that finds it
    Column("digest", String(64), nullable=False),  # SHA-256 of the whole token, which is kept nowhere
    Column("scopes", Text, nullable=False),  # a JSON list
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    UniqueConstraint("name"),
    UniqueConstraint("public"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Float, nullable=False),
    Column("who", String(NAME_CHARS), nullable=False),
    Column("via", String(16), nullable=False),  # cli, api
    Column("action", String(32), nullable=False),
    Column("detail", Text, nullable=False),  # a JSON object
    Column("reason", Text),
)

probes = Table(
    "probes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
)
