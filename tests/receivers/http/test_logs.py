"""What the web process prints: one JSON object a line, nothing secret in it, and no line that a sender made up."""

import json
from collections.abc import Iterator

import pytest

from tests.receivers.http.conftest import StartServer
from tests.receivers.http.server import Server
from tests.receivers.http.webhooks import OLD_SECRETS, PATHS, SECRETS, Webhook, make_body, webhook
from tests.receivers.http.wire import head, try_exchange

CANARY = "CANARY-that-nobody-may-read"
INJECTED = 'x\r\n{"event":"INJECTED"}\r\nINJECTED \x1b[2J\x1b]0;INJECTED\x07\u2028INJECTED\u202e\x85INJECTED'

HEADERS = {
    "authorization": f"Bearer {CANARY}",
    "cookie": CANARY,
    "referer": f"https://user:{CANARY}@example.com/?token={CANARY}",
    "user-agent": f"sk_live_{CANARY}",
    "x-api-key": CANARY,
    "x-forwarded-for": CANARY,
}


def every_kind_of_request() -> Iterator[Webhook]:
    """Give accepted, repeated, refused and unreadable ones, all with secrets in all places."""
    for path in PATHS:
        body = make_body(path, text=CANARY, token=CANARY, metadata={"key": CANARY})
        good = webhook(path, body)
        yield from (good, good, webhook(path, b'{"token":"%s"' % CANARY.encode()), webhook(path, secret=CANARY))
        yield from (good.with_signature(CANARY), good.with_headers(content_type=CANARY), webhook(path, at=1))
        yield good.with_headers(content_encoding=CANARY)


@pytest.mark.parametrize("mode", [{}, {"HOOKLINE_DEV": "1"}], ids=["production", "development"])
def test_no_secret_no_signature_and_no_body_is_ever_printed(start_server: StartServer, mode: dict[str, str]) -> None:
    server = start_server(mode)
    asked = list(every_kind_of_request())
    for each in asked:
        server.post(each.with_headers(**HEADERS))
    server.http.get(f"/unknown?token={CANARY}")
    try_exchange(server, head("POST", f"/{CANARY}", [("transfer-encoding", CANARY)]))
    with server.locked():
        server.post(webhook("/webhooks/stripe", make_body("/webhooks/stripe", text=CANARY)))
    printed = _all_that_was_printed(server)
    assert CANARY not in printed
    assert not any(secret in printed for secret in (*SECRETS.values(), *OLD_SECRETS.values()))
    assert not any(each.signature[-64:] in printed for each in asked)
    assert "CANARY" not in printed


def test_in_production_every_line_is_a_json_object(server: Server) -> None:
    for each in every_kind_of_request():
        server.post(each)
    lines = [json.loads(line) for line in server.printed().splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    accepted = [line for line in lines if line["event"] == "event accepted"]
    rejected = [line for line in lines if line["event"] == "request rejected"]
    assert accepted
    assert all({"source", "type", "external_id", "event_id"} <= line.keys() for line in accepted)
    assert rejected
    assert all({"source", "reason", "status"} <= line.keys() for line in rejected)


@pytest.mark.parametrize("mode", [{}, {"HOOKLINE_DEV": "1"}], ids=["production", "development"])
def test_nobody_can_make_up_a_line_of_the_log(start_server: StartServer, mode: dict[str, str]) -> None:
    server = start_server(mode)
    fields = {"id": INJECTED, "type": INJECTED, "action": INJECTED, "event_id": INJECTED, "trigger_id": INJECTED}
    for path in PATHS:
        server.post(webhook(path, make_body(path, **fields)))
    for name in ("user-agent", "x-github-delivery", "x-github-event", "x-github-hook-id", "content-type"):
        value = INJECTED.replace("\r\n", "\x1b").encode()
        asked = webhook("/webhooks/github")
        pairs = [(key, each) for key, each in asked.headers.items() if key != name]
        pairs.append(("content-length", str(len(asked.body))))
        try_exchange(server, head("POST", asked.path, [*pairs, (name, value)]) + asked.body)
        try_exchange(server, head("POST", "/webhooks/stripe", [(name, value)]))
    printed = _all_that_was_printed(server)
    assert not any(line.startswith(("INJECTED", '{"event":"INJECTED')) for line in printed.splitlines())
    assert not any(letter in printed for letter in "\x1b\x07\r\u2028\u202e\x85")


def _all_that_was_printed(server: Server) -> str:
    server.process.terminate()
    server.process.wait()
    return server.printed()
