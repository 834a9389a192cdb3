"""A ledger as a busy month leaves it: many types, handlers and accounts, every state, and the book of it all.

The database itself makes it, SQLite or PostgreSQL.

All of it follows from the numbers of the events: two ledgers of one size are alike but for the time of now. More comes
in at this time of the day than twelve hours from it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

DAYS = 30
# The newest event is of now, the oldest one of so long ago.

PICKS = 1_000
# An event's kind is picked by chance; the shares of the kinds add up to this.

ACCOUNTS = 50
REJECTED = 10_000
OPEN = 60
# So many of the newest deliveries are still waiting.
REPLAYS = 500
REPLAYED = 50_000
# The items of the newest replay, where there are so many deliveries.

CUSTOMERS = 20_000

BODY_BYTES = 2_048
HEADERS = '{"user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)", "content-type": "application/json"}'
MESSAGE = '{"text": "Refund of 5.00 USD", "blocks": []}'
ERROR = "KeyError: 'charge'"


@dataclass(frozen=True, slots=True)
class Kind:
    """Events of one type, which one handler wants, or none."""

    share: int  # of PICKS
    source: str
    type: str
    handler: str | None = None


KINDS = (
    Kind(170, "stripe", "payment_intent.succeeded", "payments.payment"),
    Kind(150, "stripe", "charge.succeeded"),
    Kind(150, "stripe", "payment_intent.created", "payments.payment"),
    Kind(90, "stripe", "invoice.paid"),
    Kind(60, "stripe", "payment_intent.payment_failed", "payments.payment"),
    Kind(40, "stripe", "customer.subscription.updated"),
    Kind(25, "stripe", "charge.refunded", "payments.refund"),
    Kind(20, "stripe", "refund.created", "payments.refund"),
    Kind(10, "stripe", "payout.paid"),
    Kind(4, "stripe", "charge.dispute.created", "notifications.dispute"),
    Kind(1, "stripe", "payout.failed", "notifications.payout_failed"),
    Kind(90, "github", "push"),
    Kind(60, "github", "workflow_run.completed", "repositories.run"),
    Kind(40, "github", "pull_request.opened"),
    Kind(9, "github", "dependabot_alert.created", "repositories.dependency"),
    Kind(1, "github", "secret_scanning_alert.created", "repositories.leaked_secret"),
    Kind(60, "slack", "app_mention"),
    Kind(20, "slack", "slash_command"),
)

# A number that looks as if drawn by lot.
DAY = f"(n * {DAYS} / :events)"
HOUR = f"(n * {DAYS}.0 / :events - {DAY})"  # a share of the day
RECEIVED_AT = f":now - 86400.0 * {DAYS} + 86400.0 * ({DAY} + {HOUR} * {HOUR} * (3 - 2 * {HOUR}))"
VERSION = "version_standing, version_created, version_rank, version_event"
AT = "CAST(received_at AS BIGINT)"
ITS_VERSION = f"0, {AT}, 0, external_id"
PICK = f"(n * 2654435761) % 4294967296 / 65536 % {PICKS}"

FILL = (
    f"""
    INSERT INTO events (id, source, dedupe_key, external_id, type, account, livemode, received_at, content_type,
                        headers, body, body_sha256, secret_position, flaw)
    SELECT n, source, 'evt_1' || n, 'evt_1' || n, type,
           CASE WHEN source = 'stripe' AND n % 5 = 0 THEN 'acct_1' || (n / 5 % {ACCOUNTS}) END, :yes,
           {RECEIVED_AT}, 'application/json', :headers, :body, :sha256, 0,
           CASE WHEN n % 100000 = 7 THEN 'not JSON: expected value at line 1 column 1' END
    FROM series JOIN kinds ON kinds.pick = {PICK}
    """,
    f"""
    INSERT INTO deliveries (id, event_id, handler, queue, state, due_at, trigger, attempts, started_at, finished_at,
                            last_error)
    SELECT n, n, handler, 'payments',
           CASE WHEN n > :events - {OPEN} THEN 'queued' WHEN n % 2000 = 1 THEN 'dead' WHEN n % 5000 = 2 THEN 'failed'
                WHEN n % 3000 = 3 THEN 'dismissed' ELSE 'done' END,
           received_at, 'initial', 1, received_at + 0.005, received_at + 0.01 + n % 97 * n % 89 / 1000.0,
           CASE WHEN n % 2000 = 1 OR n % 5000 = 2 THEN :error END
    FROM series JOIN kinds ON kinds.pick = {PICK} JOIN events ON events.id = n
    WHERE handler IS NOT NULL AND flaw IS NULL
    """,
    """
    INSERT INTO attempts (delivery_id, number, trigger, outcome, started_at, finished_at, error)
    SELECT id, 1, 'initial', CASE WHEN state IN ('dead', 'failed') THEN state ELSE 'done' END, started_at, finished_at,
           last_error
    FROM deliveries WHERE state <> 'queued'
    """,
    """
    INSERT INTO dismissals (delivery_id, at, who, reason)
    SELECT id, finished_at, 'ana', 'test data' FROM deliveries WHERE state = 'dismissed'
    """,
    """
    INSERT INTO effects (event_id, delivery_id, key, channel, message, state, planned_at, due_at, finished_at)
    SELECT event_id, id, 'key/' || id, '#finance', :message, CASE WHEN id % 30000 = 40 THEN 'dead' ELSE 'sent' END,
           finished_at, finished_at, finished_at
    FROM deliveries WHERE id % 10 = 0 AND state = 'done'
    """,
    f"""
    INSERT INTO requests (received_at, source, path, status, reason, headers, body_size)
    SELECT :now - 864000.0 * ({REJECTED} - n) / {REJECTED}, 'stripe', '/webhooks/stripe', 401, 'signature_mismatch',
           :headers, 500
    FROM series WHERE n <= {REJECTED}
    """,
    f"""
    INSERT INTO replays (id, created_at, who, reason, chosen, states, again, items, cursor, finished_at)
    SELECT n, :now - 3600.0 * ({REPLAYS} - n), 'ana', 'mended', '{{}}', '[]', :no, {REPLAYED}, {REPLAYED}, :now
    FROM series WHERE n <= {REPLAYS}
    """,
    f"""
    INSERT INTO replay_items (replay_id, position, event_id, handler, queue, delivery_id, outcome)
    SELECT {REPLAYS}, n, n, handler, queue, deliveries.id, 'started'
    FROM series JOIN deliveries ON deliveries.event_id = n WHERE n <= {REPLAYED}
    """,
    f"""
    INSERT INTO audit (at, who, via, action, detail, reason)
    SELECT :now - 60.0 * ({REJECTED} - n), 'ana', 'cli', 'retry', '{{}}', 'mended' FROM series WHERE n <= {REJECTED}
    """,
    f"""
    INSERT INTO payments (account, livemode, id, amount, amount_received, amount_refunded, currency, customer, status,
                          failure_code, latest_charge, {VERSION})
    SELECT COALESCE(account, ''), :yes, 'pi_1' || n, 100 + n % 50000,
           CASE WHEN n % 12 > 0 THEN 100 + n % 50000 ELSE 0 END, 0,
           CASE n % 3 WHEN 0 THEN 'eur' WHEN 1 THEN 'usd' ELSE 'jpy' END, 'cus_1' || (n % {CUSTOMERS}),
           CASE WHEN n % 12 > 0 THEN 'succeeded' ELSE 'requires_payment_method' END,
           CASE WHEN n % 12 = 0 THEN 'card_declined' END, 'ch_1' || n, {ITS_VERSION}
    FROM series JOIN events ON events.id = n WHERE type = 'payment_intent.created'
    """,
    f"""
    INSERT INTO objects (account, livemode, id, kind, state, amount, currency, payment_intent, made_at, reached_at,
                         details, trace, {VERSION})
    SELECT account, livemode, latest_charge, 'charge',
           CASE WHEN failure_code IS NULL THEN 'succeeded' ELSE 'failed' END,
           amount, currency, id, version_created, version_created, '{{}}', '{{}}', {VERSION}
    FROM payments
    """,
    f"""
    INSERT INTO objects (account, livemode, id, kind, state, amount, currency, customer, subscription, made_at,
                         reached_at, details, trace, {VERSION})
    SELECT COALESCE(account, ''), :yes, CASE WHEN type = 'invoice.paid' THEN 'in_1' ELSE 'po_1' END || n,
           CASE WHEN type = 'invoice.paid' THEN 'invoice' ELSE 'payout' END, 'paid', 4900, 'usd',
           CASE WHEN type = 'invoice.paid' THEN 'cus_1' || (n % {CUSTOMERS}) END,
           CASE WHEN type = 'invoice.paid' THEN 'sub_1' || (n % {CUSTOMERS}) END,
           {AT}, {AT}, '{{}}', '{{}}', {ITS_VERSION}
    FROM series JOIN events ON events.id = n WHERE type IN ('invoice.paid', 'payout.paid')
    """,
    f"""
    INSERT INTO refunds (account, livemode, id, payment_intent, amount, currency, status, made_at, {VERSION})
    SELECT COALESCE(account, ''), :yes, 're_1' || n, 'pi_1' || (n - 7), 500, 'usd', 'succeeded', {AT},
           {ITS_VERSION}
    FROM series JOIN events ON events.id = n WHERE type = 'refund.created'
    """,
    f"""
    INSERT INTO disputes (account, livemode, id, payment_intent, amount, currency, reason, status, made_at, {VERSION})
    SELECT COALESCE(account, ''), :yes, 'du_1' || n, 'pi_1' || (n - 7), 4900, 'usd', 'fraudulent', 'needs_response',
           {AT}, {ITS_VERSION}
    FROM series JOIN events ON events.id = n WHERE type = 'charge.dispute.created'
    """,
    """
    INSERT INTO history (account, livemode, object_id, event, kind, type, standing, created, rank, received_at, facts)
    SELECT account, livemode, id, version_event, 'payment', 'payment_intent.created', 0, version_created, 0,
           version_created, '{"state": "succeeded"}'
    FROM payments
    """,
)


def fill(db: Connection, events: int, now: float) -> None:
    """Fill an empty ledger with so many events, the newest of them at `now` (Unix seconds)."""
    db.execute(text("CREATE TEMPORARY TABLE kinds (pick INTEGER PRIMARY KEY, source TEXT, type TEXT, handler TEXT)"))
    db.execute(text("INSERT INTO kinds VALUES (:pick, :source, :type, :handler)"), list(_picks()))
    series = "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :events)"
    values = {
        "events": events,
        "now": now,
        "yes": True,
        "no": False,
        "headers": HEADERS,
        "body": (
            b'{"object": "event", "data": {"object": {"amount": 4900, "currency": "usd"}}, "pad": "'.ljust(
                BODY_BYTES - 2, b"."
            )
            + b'"}'
        ),
        "sha256": "0" * 64,
        "message": MESSAGE,
        "error": ERROR,
    }
    for statement in FILL:
        db.execute(text(f"{series} {statement}"), values)
    db.execute(text("DROP TABLE kinds"))


def _picks() -> Iterator[dict[str, object]]:
    """Give each pick its kind."""
    pick = 0
    for kind in KINDS:
        for _ in range(kind.share):
            yield {"pick": pick, "source": kind.source, "type": kind.type, "handler": kind.handler}
            pick += 1
