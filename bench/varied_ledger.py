"""A ledger as a busy month leaves it: many types, handlers and accounts, every state; made by SQLite itself.

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
