"""What is kept of a refused request, for the developer who asks why, and what is not."""

import hashlib
import json
from pathlib import Path

from sqlalchemy import insert, select

from config.database import make_engine
from config.settings import load_settings
from ledger.migrate import upgrade
from ledger.rejections import KEPT, prune
from ledger.store import Ledger
from ledger.tables import requests
from tests.cli.dev.waiting import wait_until
from tests.receivers.http.server import ANSWER_S, Server
from tests.receivers.http.webhooks import PATHS, SOURCES, make_body, webhook
from tests.receivers.http.wire import connection, exchange, head, read_answer

PRIVATE = [
    *("authorization", "proxy-authorization", "cookie", "set-cookie", "x-webhook-secret", "x-auth-token", "x-api-key"),
    *("x_api_key", "apikey", "x-password", "x-amz-security-token", "x-credential", "x-session-id", "x-access-key"),
]

CANARY = "CANARY-in-a-private-place"

CONFUSED = {"referer": f"https://me:{CANARY}@example.com/", "x-note": f"my key is whsec_{CANARY}, keep it"}
# Secrets that came in a header of another name.


def rejections(server: Server, number: int = 1) -> list[dict[str, object]]:
    """Give the rejections once there are so many; they are written after the answer."""
    wait_until(lambda: server.count("requests") >= number, timeout_s=ANSWER_S)
    return server.rows("SELECT * FROM requests ORDER BY id")


def kept_files(server: Server) -> bytes:
    """Give every byte of the ledger, the write-ahead log's too."""
    return b"".join(file.read_bytes() for file in server.ledger.parent.glob("ledger.db*"))


def test_a_refused_request_is_kept_with_its_reason_and_signature_and_without_its_body_or_other_secrets(
    own_server: Server,
) -> None:
    forged = [webhook(path, make_body(path, text=CANARY), secret="not the right one") for path in PATHS]
    for asked in forged:
        sent = dict(asked.headers) | {"user-agent": "Tester/1"} | dict.fromkeys(PRIVATE, CANARY) | CONFUSED
        assert own_server.http.post(asked.path, content=asked.body, headers=sent).status_code == 401

    for asked, row in zip(forged, rejections(own_server, len(PATHS)), strict=True):
        headers = json.loads(str(row.pop("headers")))
        assert row.pop("id")
        assert row.pop("received_at")
        assert row == {
            "source": SOURCES[asked.path],
            "path": asked.path,
            "status": 401,
            "reason": "signature_mismatch",
            "body_size": len(asked.body),
            "body_sha256": hashlib.sha256(asked.body).hexdigest(),
        }
        assert headers[asked.signature_header] == asked.signature
        assert headers["user-agent"] == "Tester/1"
        assert headers["x-note"] == "my key is [redacted], keep it"
        assert {name: headers[name] for name in PRIVATE} == dict.fromkeys(PRIVATE, "[redacted]")
    assert CANARY.encode() not in kept_files(own_server)


def test_each_refusal_is_kept_under_a_reason_of_its_own(own_server: Server) -> None:
    asked = webhook("/webhooks/stripe")
    old, future = webhook("/webhooks/stripe", at=1), webhook("/webhooks/stripe", at=10**11)
    large = asked.with_headers(content_length=str(2**20 + 1))
    for each in (asked.without_header("stripe-signature"), asked.with_signature("x"), old, future):
        own_server.post(each)
    exchange(own_server, head("POST", large.path, large.headers.items()))
    own_server.post(asked.with_headers(content_type="text/plain"))
    own_server.post(asked.with_headers(content_encoding="gzip"))

    kept = [(row["status"], row["reason"], row["body_size"]) for row in rejections(own_server, 7)]

    size = len(asked.body)
    assert kept == [
        (401, "signature_missing", None),
        (401, "signature_malformed", size),
        (401, "timestamp_too_old", len(old.body)),
        (401, "timestamp_in_future", len(future.body)),
        (413, "body_too_large", None),
        (415, "content_type_unsupported", size),
        (415, "content_encoding_unsupported", size),
    ]


def test_an_accepted_request_is_kept_without_its_signature_and_without_secrets(server: Server) -> None:
    asked = webhook("/webhooks/stripe").with_headers(authorization=CANARY, cookie=CANARY, x_secret=CANARY, **CONFUSED)
    event_id = server.post(asked).json()["event"]
    assert server.event(event_id)["headers"]["x-secret"] == "[redacted]"
    assert asked.signature.encode() not in kept_files(server)
    assert CANARY.encode() not in kept_files(server)


def test_headers_are_kept_within_bounds_and_printable(own_server: Server) -> None:
    long = [(f"x-{number}", b"\xff\xe9\x85" * 20_000) for number in range(1)]
    many = [(f"y-{number}", b"\xa0" * 900) for number in range(50)]
    exchange(own_server, head("POST", "/webhooks/stripe", [("user-agent", b"\x85\xad\xff"), *long]))
    exchange(own_server, head("POST", "/webhooks/stripe", [("user-agent", b"again"), *many]))
    exchange(own_server, head("POST", "/webhooks/stripe", [("a", "b")] * 5_000))
    kept = [json.loads(str(row["headers"])) for row in rejections(own_server, 3)]
    assert [headers.get("user-agent") for headers in kept] == ["\ufffd\ufffd\u00ff", "again", None]
    assert all(len(value) <= 1_024 and value.isprintable() for headers in kept for value in headers.values())
    assert all(sum(map(len, headers.values())) <= 8_192 for headers in kept)
    assert kept[2]["a"].startswith("b, b, b")


def test_a_flood_is_answered_as_ever_and_what_is_not_kept_of_it_is_counted(own_server: Server) -> None:
    requests_sent = 20 * 100
    refused = head("POST", "/webhooks/stripe", [("content-length", "1")]) + b"x"
    answers = set()
    for _ in range(20):
        with connection(own_server) as opened:
            opened.sendall(refused * 100)
            answers |= {(answer.status, answer.body) for answer in (read_answer(opened) for _ in range(100))}
        assert own_server.post(webhook("/webhooks/stripe")).status_code == 200
    own_server.process.terminate()
    own_server.process.wait()
    kept = own_server.count("requests")
    assert {status for status, _ in answers} == {401}
    assert len(answers) == 1
    assert 0 < kept < requests_sent
    assert kept + _not_kept(own_server) == requests_sent


def _not_kept(server: Server) -> int:
    lines = [json.loads(line) for line in server.printed().splitlines()]
    return sum(line["count"] for line in lines if line["event"] == "rejections not kept")


def test_rejections_do_not_keep_the_database_from_events(own_server: Server) -> None:
    with own_server.locked():
        for _ in range(10):
            own_server.http.post("/webhooks/stripe")
        wait_until(lambda: _not_kept(own_server) == 10, timeout_s=ANSWER_S)
    assert own_server.post(webhook("/webhooks/stripe")).status_code == 200
    own_server.http.post("/webhooks/stripe")
    assert len(rejections(own_server)) == 1


def test_the_newest_ten_thousand_are_kept(tmp_path: Path) -> None:
    engine = make_engine(load_settings({"HOOKLINE_DATA_DIR": str(tmp_path)}))
    upgrade(engine)
    ledger = Ledger(engine)
    row = {"source": "stripe", "path": "/", "status": 401, "reason": "x", "headers": "{}"}
    with ledger.write() as db:
        db.execute(insert(requests), [row | {"received_at": number} for number in range(KEPT + 50)])
        prune(db)
        kept = db.scalars(select(requests.c.received_at)).all()
    ledger.close()
    assert sorted(kept) == list(range(50, KEPT + 50))
