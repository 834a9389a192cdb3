"""The HTTP API: off until there is a token, no further than its scopes, and every change is written down."""

import fcntl
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from ledger import tokens
from ledger.audit import By
from ledger.store import Ledger
from ledger.tables import deliveries
from ledger.tables import tokens as tokens_table
from receivers.api.knocks import MAX_KNOCKS
from receivers.api.questions import ChoiceAsked
from tests.ledger.making import new_event, states, store
from tests.receivers.http.api.house import API, House
from tests.receivers.http.webhooks import webhook
from tests.receivers.http.wire import exchange

BODY = json.dumps(
    {
        "created": 1,
        "data": {
            "object": {"id": "pi_1", "object": "payment_intent", "amount": 4_900, "currency": "usd", "customer": "c"}
        },
    }
).encode()


@pytest.fixture(scope="module")
def stocked(house: House) -> House:
    """Three events: done, dead, and without a handler."""
    store(house.ledger, new_event(key="evt_done", type="payment_intent.succeeded", handlers=("payments.payment",),
                                  body=BODY, headers={"user-agent": "Stripe/1.0"}))  # fmt: skip
    store(house.ledger, new_event(key="evt_dead", type="charge.refunded", handlers=("notifications.refund",)))
    store(house.ledger, new_event(key="evt_unhandled", handlers=()))
    return house


@pytest.fixture
def stock(stocked: House) -> House:
    """The same, each time as it was at first."""
    with stocked.ledger.write() as db:
        db.execute(update(deliveries).where(deliveries.c.id == 1).values(state="done"))
        db.execute(update(deliveries).where(deliveries.c.id == 2).values(state="dead"))
    return stocked


def test_there_is_no_api_until_a_token_exists_and_none_after_the_last_one(house: House) -> None:
    with house.ledger.write() as db:
        db.execute(update(tokens_table).values(revoked_at=1.0))
    unknown = house.server.http.get("/nowhere")
    for path in ("/events", "/", "/tokens"):
        assert house.ask("GET", path).status_code == 404
    off = house.ask("GET", "/events", "hkl_" + "0" * 12 + "_" + "0" * 64)
    assert (off.status_code, off.json()) == (404, unknown.json())
    token = house.token("read", expires_in_s=3_600)
    assert house.ask("GET", "/events", token).status_code == 200
    refused = house.ask("GET", "/events")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="hookline"')
    assert refused.headers["content-type"] == "application/problem+json"
    for wrong in (token[:-1], token[:-1] + "x", token.upper(), "hkl_", token + " x", "-"):
        assert house.ask("GET", "/nowhere", wrong).status_code == 401
    with house.ledger.write() as db:
        db.execute(update(tokens_table).where(tokens_table.c.revoked_at.is_(None)).values(expires_at=time.time() - 1))
    assert house.ask("GET", "/events", token).status_code == 404


def test_the_ledger_keeps_no_token_but_its_digest(house: House) -> None:
    token = house.token("read")
    house.server.http.get("/healthz")
    rows = json.dumps(house.server.rows("SELECT * FROM tokens") + house.server.rows("SELECT * FROM audit"))
    assert token.rpartition("_")[2] not in rows + house.server.printed()


def test_each_scope_opens_its_own_doors_and_no_other(stock: House) -> None:
    doors = {
        ("GET", "/events"): "read",
        ("GET", "/events/1/raw"): "payload",
        ("POST", "/retries"): "replay",
        ("GET", "/audit"): "admin",
    }
    for scope in ("read", "payload", "replay", "admin"):
        token = stock.token(scope)
        for (method, path), needed in doors.items():
            status = stock.ask(method, path, token).status_code
            assert (status == 403) is (needed != scope), (scope, path, status)


def test_lists_are_those_of_the_commands_page_by_page(stock: House) -> None:
    token = stock.token("read")
    first = stock.ask("GET", "/events", token, params={"limit": 2}).json()
    assert ([each["id"] for each in first["events"]], first["next"]) == ([3, 2], 2)
    second = stock.ask("GET", "/events", token, params={"limit": 2, "before": first["next"]}).json()
    assert ([each["id"] for each in second["events"]], second["next"]) == ([1], None)
    dead = stock.ask("GET", "/deliveries", token, params={"state": "dead", "type": "charge.*"}).json()
    assert [(each["id"], each["event"]) for each in dead["deliveries"]] == [(2, 2)]
    for params in (
        {"limit": 201},
        {"limit": 0},
        {"state": "lost"},
        {"since": "soon"},
        {"colour": "red"},
        {"before": 0},
    ):
        assert stock.ask("GET", "/events", token, params=params).status_code == 422
    assert stock.ask("GET", "/events", token, params={"before": 999}).status_code == 404


def test_the_pages_of_a_list_go_back_no_further_than_its_first_one(stock: House) -> None:
    hour_s = 3_600
    for number in (1, 2):
        at = time.time() - number * 20 * hour_s
        store(stock.ledger, new_event(key=f"old_{number}", handlers=(), received_at=at))
    token = stock.token("read")
    params: dict[str, Any] = {"limit": 3}
    shown: list[str] = []
    while params.get("before", True):
        page = stock.ask("GET", "/events", token, params=params).json()
        shown += [each["external_id"] for each in page["events"]]
        params |= {"before": page["next"], "since": page["since"]}
    assert shown[-1] == "old_1"


def test_headers_and_bodies_need_the_scope_payload(stock: House) -> None:
    assert "headers" not in stock.ask("GET", "/events/evt_done", stock.token("read")).json()
    token = stock.token("read", "payload")
    assert stock.ask("GET", "/events/evt_done", token).json()["headers"] == {"user-agent": "Stripe/1.0"}
    raw = stock.ask("GET", "/events/evt_done/raw", token)
    assert (raw.content, raw.headers["content-type"]) == (BODY, "application/octet-stream")
    assert stock.ask("GET", "/events/evt_", token).status_code == 404
    assert stock.ask("GET", "/events/evt_d", token).json()["detail"].startswith("evt_d is how the ids of several")


def test_what_is_changed_is_what_the_commands_change_and_is_written_down(stock: House) -> None:
    token = stock.token("read", "replay", "admin")
    chosen = stock.ask("POST", "/deliveries/selection", token, type="charge.*").json()
    assert (chosen["ids"], chosen["preview"]["deliveries"]) == ([2], 1)
    assert stock.ask("POST", "/retries", token, names=["2", "777"]).status_code == 404
    assert states(stock.ledger) == ["done", "dead"]
    assert stock.ask("POST", "/dismissals", token, names=["2"]).status_code == 422
    assert stock.ask("POST", "/dismissals", token, names=["2"], reason="test data").json() == {"deliveries": [2]}
    choice = {"names": ["evt_done", "evt_unhandled"]}
    preview = stock.ask("POST", "/replays/preview", token, **choice).json()
    assert (preview["deliveries_to_run"], preview["amounts"], preview["customers"]) == (1, {"usd": 4_900}, 1)
    assert stock.ask("POST", "/replays", token, choice=choice, at_most=0).status_code == 409
    made = stock.ask("POST", "/replays", token, choice=choice, at_most=1, reason="why").json()
    assert (made["state"], made["cursor"], made["items"]) == ("unfinished", 0, 1)
    assert states(stock.ledger) == ["done", "dismissed"]
    step = stock.ask("POST", f"/replays/{made['id']}/advance", token).json()
    assert step == {"started": [1], "left_alone": 0, "cursor": 1, "items": 1}
    assert states(stock.ledger) == ["pending", "dismissed"]
    with stock.ledger.write() as db:
        db.execute(update(deliveries).values(state="failed"))
    assert stock.ask("POST", "/retries", token, names=["evt_done"]).json() == {"deliveries": [1], "effects": []}
    entries = stock.ask("GET", "/audit", token, params={"limit": 3}).json()["entries"]
    assert [(each["action"], each["via"], each["reason"]) for each in entries] == [
        ("retry", "api", None),
        ("replay", "api", "why"),
        ("dismiss", "api", "test data"),
    ]
    assert entries[0]["detail"] == {"deliveries": [1], "effects": []}
    assert entries[0]["who"] == made["who"]


def test_a_token_can_make_and_end_tokens(house: House) -> None:
    admin = house.token("admin")
    made = house.ask("POST", "/tokens", admin, name="laptop", scopes=["read"], expires_in_s=60).json()
    assert house.ask("POST", "/tokens", admin, name="laptop", scopes=["read"]).status_code == 409
    assert house.ask("GET", "/events", made["token"]).status_code == 200
    assert house.ask("DELETE", f"/tokens/{made['id']}", admin).json()["state"] == "revoked"
    assert house.ask("GET", "/events", made["token"]).status_code == 401
    assert house.ask("DELETE", "/tokens/999", admin).status_code == 404


def test_a_body_is_read_after_its_sender_is_known_and_only_so_much_of_it(house: House) -> None:
    large = b'{"names": ["' + b"x" * 1024 * 1024 + b'"]}'
    http, token = house.server.http, house.token("replay")
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    assert http.post(f"{API}/retries", content=large).status_code == 401
    assert http.post(f"{API}/retries", content=large, headers=headers).status_code == 413
    in_pieces = (large[start : start + 65_536] for start in range(0, len(large), 65_536))
    assert http.post(f"{API}/retries", content=in_pieces, headers=headers).status_code == 413
    for body in (b"{", b"\xff", b'{"names": ["\\ud800"]}', b'{"names": ["\\u0000"]}', b"[" * 10_000, b"null", b""):
        answer = http.post(f"{API}/retries", content=body, headers=headers)
        assert answer.status_code in {400, 422}, body
        assert answer.headers["content-type"] == "application/problem+json"


def test_what_no_calendar_and_no_number_holds_is_answered_like_anything_else(stock: House) -> None:
    token = stock.token("read", "replay")
    for moment in ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"):
        for path in ("/events", "/deliveries", "/requests", "/payments"):
            assert stock.ask("GET", path, token, params={"since": moment}).status_code == 200
        assert stock.ask("POST", "/replays/preview", token, since=moment, until=moment).status_code == 200
    for length, status in ((b"0" * 5_000 + b"2", 422), (b"9" * 17, 413)):
        head = b"POST %s/retries HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-length: %s\r\n\r\n{}"
        assert exchange(stock.server, head % (API.encode(), token.encode(), length)).status == status


def test_names_that_there_cannot_be_are_refused_as_the_commands_refuse_them(stock: House) -> None:
    token = stock.token("read", "replay")
    known = {
        "source": "there is no source 'stirpe'; there are github, slack, stripe",
        "handler": "there is no handler 'stirpe'; there are ",
        "reason": "there is no reason 'stirpe'; there are ",
    }
    for path, name in (
        *((path, name) for path in ("/events", "/deliveries") for name in ("source", "handler")),
        ("/requests", "source"),
        ("/requests", "reason"),
        ("/stats", "source"),
    ):
        refused = stock.ask("GET", path, token, params={name: "stirpe"})
        assert refused.status_code == 422
        assert refused.json()["detail"].startswith(known[name])
    for path in ("/deliveries/selection", "/events/selection", "/replays/preview"):
        for name in ("source", "handler", "state"):
            assert stock.ask("POST", path, token, **{name: "stirpe"}).status_code == 422


def test_replays_are_given_page_by_page(stock: House) -> None:
    token = stock.token("read", "replay")
    made = [stock.ask("POST", "/replays", token, choice={"names": ["evt_done"]}).json()["id"] for _ in range(3)]
    first = stock.ask("GET", "/replays", token, params={"limit": 2}).json()
    second = stock.ask("GET", "/replays", token, params={"limit": 2, "before": first["next"]}).json()
    assert [each["id"] for each in first["replays"] + second["replays"]][:3] == made[::-1]


def test_reading_goes_on_while_writing_waits_for_its_turn(stock: House) -> None:
    token = stock.token("read", "replay")
    with ThreadPoolExecutor(3) as pool, Path(f"{stock.server.ledger}.lock").open("ab") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        waiting = [pool.submit(stock.ask, "POST", "/retries", token, names=["2"]) for _ in range(3)]
        for _ in range(10):
            assert stock.ask("GET", "/events", token).is_success
        assert not any(each.done() for each in waiting)
        fcntl.flock(turn, fcntl.LOCK_UN)
        assert [each.result().status_code for each in waiting] == [200] * 3


def test_whoever_comes_too_often_without_a_good_token_is_held_back_and_good_tokens_pass(house: House) -> None:
    def ask(token: str, *, by: str = "203.0.113.9", content: bytes = b"") -> httpx.Response:
        headers = {"authorization": f"Bearer {token}", "x-forwarded-for": by}  # as a proxy on this machine says
        return house.server.http.request("GET", f"{API}/events", headers=headers, content=content)

    token = house.token("read")
    assert [ask("hkl_x").status_code for _ in range(MAX_KNOCKS)] == [401] * MAX_KNOCKS
    held = ask("hkl_x", content=b"x" * 1024 * 1024)
    assert (held.status_code, held.json()["status"]) == (429, 429)
    assert 0 < int(held.headers["retry-after"]) <= 60
    assert [ask(token).status_code for _ in range(3)] == [200] * 3
    assert ask("hkl_x", by="2001:db8::1").status_code == 401


def test_a_webhook_passes_the_gate_by(house: House) -> None:
    assert house.server.post(webhook("/webhooks/stripe")).status_code == 200


def test_names_of_tokens_are_never_given_twice(ledger: Ledger) -> None:
    by = By(who="ann", via="cli")
    with ledger.write() as db:
        made, token = tokens.make_token(db, name="ci", scopes=[tokens.Scope.READ], expires_at=9.0, by=by, now=1.0)
        assert tokens.check(db, token, now=8.0) == tokens.Bearer("ci", frozenset({"read"}))
        assert tokens.check(db, token, now=9.0) is None
        tokens.revoke_token(db, made["id"], by=by, now=2.0)
        assert tokens.check(db, token, now=3.0) is None
        with pytest.raises(tokens.NameTaken):
            tokens.make_token(db, name="ci", scopes=[tokens.Scope.READ], expires_at=None, by=by, now=3.0)
    with ledger.read() as db:
        digest = db.execute(select(tokens_table.c.digest)).scalar_one()
    assert len(digest) == 64
    assert digest not in token


def test_a_choice_without_names_or_a_beginning_reaches_back_a_day_as_the_command_does() -> None:
    now = time.time()
    chosen = {given: ChoiceAsked.model_validate(json.loads(given)).choice() for given in ("{}", '{"names": ["evt_1"]}')}
    assert chosen["{}"].wanted.since == pytest.approx(now - 86_400, abs=60)
    assert chosen['{"names": ["evt_1"]}'].wanted.since is None
    asked = ChoiceAsked.model_validate_json('{"since": "2026-01-01T00:00:00Z"}').choice()
    assert asked.wanted.since == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
