"""The commands against a service elsewhere show and do the same as beside its ledger."""

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from cli.remote.looking import OWN, PAGE
from config.database import make_engine
from config.settings import load_settings
from handlers.payments.tables import objects
from handlers.router import load_router
from ledger import tokens
from ledger.audit import By
from ledger.schedule import DAY_S
from ledger.store import Ledger
from ledger.tables import deliveries, effects, events, replays
from ledger.tables import tokens as tokens_table
from tests.cli.dev.waiting import wait_until
from tests.cli.laptop import SECRET, serving
from tests.cli.shell import Shell
from tests.handlers.desk import Desk
from tests.handlers.payments.test_objects import PAYMENT, PAYOUT, told
from tests.ledger.making import new_event, states, store
from tests.receivers.http.server import Server

OURS = 3
# Events.

BODY = b'{"object": "event", "data": {"object": {"id": "pi_1", "amount": 500, "currency": "usd"}}}\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, nursery: Path) -> Iterator[Server]:
    """A web process with a done, a dead and an unhandled event."""
    server = Server(tmp_path_factory.mktemp("web"), nursery=nursery)
    try:
        server.start()
        yield server
        assert "Traceback" not in server.printed()
    finally:
        server.close()


@pytest.fixture(scope="module")
def its_ledger(server: Server) -> Iterator[Ledger]:
    """The ledger of that process."""
    ledger = Ledger(make_engine(load_settings({"DATABASE_URL": f"sqlite:///{server.ledger}"})))
    store(ledger, new_event(key="evt_done", body=BODY))  # one by one, so that their deliveries are 1 and 2
    store(ledger, new_event(key="evt_dead", type="invoice.paid", body=BODY))
    store(ledger, new_event(key="evt_unhandled", handlers=(), body=BODY))
    _enter_payments(ledger)
    yield ledger
    ledger.close()


def _enter_payments(ledger: Ledger) -> None:
    """Put objects into the book, more than a page of them; their events are gone."""
    with ledger.write() as db:
        desk = Desk(db, load_router())
        for each in (*PAYMENT, *PAYOUT, told(50, "payment_intent.succeeded", 5, id="pi_3OTHER")):
            desk.deliver(each)
        db.execute(delete(effects).where(effects.c.event_id > OURS))
        db.execute(delete(deliveries).where(deliveries.c.event_id > OURS))
        db.execute(delete(events).where(events.c.id > OURS))
        row = dict(db.execute(select(objects).limit(1)).mappings().one())
        again = {"created_at": 1.0, "who": "ana", "chosen": "{}", "states": "[]", "again": False, "items": 1}
        db.execute(insert(replays), [again | {"cursor": 1}] * (PAGE + 5))
        many = [{**row, "id": f"in_{number:03}", "kind": "invoice", "state": "paid"} for number in range(PAGE + 5)]
        db.execute(insert(objects), many)


@pytest.fixture
def beside(its_ledger: Ledger, server: Server, tmp_path: Path, nursery: Path) -> Shell:
    """A shell where the service runs; each time, everything is as it was at first."""
    with its_ledger.write() as db:
        db.execute(update(deliveries).where(deliveries.c.id == 1).values(state="done"))
        db.execute(update(deliveries).where(deliveries.c.id == 2).values(state="dead"))
    secrets = {name: value for name, value in server.environ.items() if "SECRET" in name}
    return Shell(tmp_path, {"DATABASE_URL": f"sqlite:///{server.ledger}", **secrets}, nursery)


@pytest.fixture
def elsewhere(beside: Shell, server: Server, its_ledger: Ledger) -> Shell:
    """A shell somewhere else, with a token."""
    token = _token(its_ledger, "read", "payload", "replay", "admin")
    url = f"http://127.0.0.1:{server.port}"
    return Shell(beside.directory, {"HOOKLINE_URL": url, "HOOKLINE_TOKEN": token}, beside.nursery)


def _token(its_ledger: Ledger, *scopes: str) -> str:
    with its_ledger.write() as db:
        name, by, now = f"ann-{time.monotonic_ns()}", By(who="ann", via="cli"), time.time()
        its = [tokens.Scope(each) for each in scopes]
        return tokens.make_token(db, name=name, scopes=its, expires_at=None, by=by, now=now)[1]


@pytest.mark.parametrize(
    "words",
    [
        "events list",
        "events list --type invoice.* --json",
        "events list --limit 1 --before evt_unhandled",
        "events list --state failed",
        "events list --since 9999999w --limit 1 --json",
        "events get evt_dead",
        "events get 1 --json",
        "events get evt_done --raw",
        "deliveries list --state dead",
        "requests list",
        "replays list --limit 203 --json",
        "replay evt_done --dry-run",
        "retry --all --dry-run --json",
        "dismiss --type invoice.* --reason x --dry-run",
        "stats --since all --until 2100-01-01",
        "sources",
        "payments list",
        "payments list --kind invoice --limit 203 --json",
        "payments get pi_3SAM",
        "payments summary --since 2026-10-01 --until 2026-12-01",
        "audit list --limit 3",
        "tokens list --json",
        "prune --dry-run --payload-after 36h --json",
    ],
)
def test_what_is_shown_is_the_same(beside: Shell, elsewhere: Shell, words: str) -> None:
    here, there = beside.run(*words.split()), elsewhere.run(*words.split())
    assert (there.stdout, there.stderr, there.returncode) == (here.stdout, here.stderr, here.returncode)
    assert here.returncode == 0
    assert here.stdout or "no" in here.stderr


def test_what_is_refused_is_refused_in_the_same_words(beside: Shell, elsewhere: Shell) -> None:
    assert elsewhere.objects("tokens", "create", "taken", "--scope", "read")[0]["token"].startswith("hkl_")
    for words in (
        ("events", "get", "evt_nowhere"),
        ("events", "list", "--before", "999"),
        ("retry", "2", "777"),
        ("retry", "evt_done"),
        ("replay", "--handler", "nobody.run", "--dry-run"),
        ("retry", "--handler", "nobody.run", "--dry-run"),
        ("replays", "get", "999"),
        ("replay", "--resume", "999"),
        ("payments", "get", "pi_nowhere"),
        ("payments", "get", "pi_3"),
        ("tokens", "revoke", "nobody"),
        ("tokens", "create", "taken", "--scope", "read"),
    ):
        assert elsewhere.refused(*words).partition(";")[0] in beside.refused(*words)


def test_what_is_done_there_is_done_and_written_down(beside: Shell, elsewhere: Shell, its_ledger: Ledger) -> None:
    assert elsewhere.objects("dismiss", "2", "--reason", "test data")[0]["deliveries"] == [2]
    [said] = elsewhere.objects("replay", "--source", "stripe", "--yes", "--reason", "why", "--rate", "100/s")
    assert (said["deliveries"], said["left_alone"]) == ([1, 2], 0)
    assert states(its_ledger) == ["pending", "pending"]
    assert elsewhere.objects("replay", "--resume", str(said["replay"]))[0]["deliveries"] == []
    with its_ledger.write() as db:
        db.execute(update(deliveries).values(state="dead"))
    assert elsewhere.objects("retry", "--all", "--yes", "--reason", "mended")[0]["deliveries"] == [1, 2]
    with its_ledger.write() as db:
        db.execute(update(deliveries).values(state="dead"))
    beside.objects("retry", "1", "--reason", "here")
    newest = beside.objects("audit", "list")[:4]
    assert [(each["action"], each["via"], each["reason"]) for each in newest] == [
        ("retry", "cli", "here"),
        ("retry", "api", "mended"),
        ("replay", "api", "why"),
        ("dismiss", "api", "test data"),
    ]
    assert newest[1]["who"].startswith("ann-")


def test_tokens_end_and_old_events_go_there(beside: Shell, elsewhere: Shell, its_ledger: Ledger) -> None:
    [made] = elsewhere.objects("tokens", "create", "brief", "--scope", "read", "--expires", "1h")
    brief = elsewhere.having(HOOKLINE_TOKEN=made["token"])
    assert brief.refused("audit", "list") == "this needs a token with the scope admin"
    assert elsewhere.run("tokens", "revoke", "brief").stdout == f"token {made['id']} of brief is revoked\n"
    assert "was revoked" in brief.refused("stats")
    store(its_ledger, new_event(key="evt_old", handlers=(), received_at=time.time() - 100 * DAY_S))
    assert "--yes" in elsewhere.refused("prune")
    assert elsewhere.run("prune", "--identity-after", "3d").returncode == 2
    assert "cannot go before its payload" in elsewhere.refused("prune", "--dry-run", "--identity-after", "5d")
    said = {"action": "prune", "dry_run": False, "events_deleted": 1, "payloads_emptied": 0, "interrupted": False}
    assert elsewhere.objects("prune", "--yes") == [said]
    newest = beside.objects("audit", "list", "--limit", "4")
    assert [(each["action"], each["via"]) for each in newest] == [
        ("prune", "api"),
        ("prune.begin", "api"),
        ("tokens.revoke", "api"),
        ("tokens.create", "api"),
    ]


def test_stored_events_go_from_there_to_a_laptop(elsewhere: Shell) -> None:
    with serving() as (url, came):
        said = elsewhere.objects("replay", "--type", "*", "--yes", "--to", url, "--secret", SECRET)
    assert [each["http_status"] for each in said] == [200, 200, 200]
    assert [body for _, _, body in came] == [BODY] * 3


def test_the_tail_shows_what_comes_in_there(elsewhere: Shell, its_ledger: Ledger) -> None:
    with elsewhere.start("events", "tail", "--since", "1h", "--type", "payout.*", "--json") as process:
        store(its_ledger, new_event(key="evt_new", type="payout.paid", handlers=()))
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["external_id"] == "evt_new"
        process.terminate()


def test_the_tail_shows_what_hookline_says_of_itself_where_that_is_asked_for(
    elsewhere: Shell, its_ledger: Ledger
) -> None:
    store(its_ledger, new_event(key="alarm/1", source=OWN, type="hookline.alarm", handlers=()))
    for source, shown in ((OWN, "alarm/1"), ("stripe", "evt_done")):
        with elsewhere.start("events", "tail", "--since", "1h", "--source", source, "--json") as process:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["external_id"] == shown
            process.terminate()


def test_a_replay_that_is_cut_off_says_how_to_go_on(elsewhere: Shell, its_ledger: Ledger) -> None:
    token = _token(its_ledger, "read", "replay")
    words = ("replay", "evt_done", "evt_dead", "--yes", "--rate", "1/s")
    with elsewhere.having(HOOKLINE_TOKEN=token).start(*words) as process:
        wait_until(lambda: "pending" in states(its_ledger))
        with its_ledger.write() as db:
            db.execute(update(tokens_table).where(tokens_table.c.public == token[4:16]).values(revoked_at=1.0))
        _, err = process.communicate()
    assert process.returncode == 1
    said = re.search(r"or has expired; go on with `hookline replay --resume (\d+)`, and nothing runs twice\n$", err)
    assert said, err
    assert elsewhere.objects("replay", "--resume", said[1])[0]["deliveries"] == [2]


def test_what_cannot_be_asked_there_is_said_in_a_sentence(beside: Shell, elsewhere: Shell, server: Server) -> None:
    for words in ("doctor", "trigger stripe payment_intent.succeeded", "alerts preview 1"):
        assert "works where the service is, not over HTTP" in elsewhere.refused(*words.split())
    assert elsewhere.run("doctor", "--help").returncode == 0
    assert "works on the ledger itself" in elsewhere.refused("replay", "1", "--dry-run", "--run")
    assert "HOOKLINE_TOKEN must be set" in elsewhere.having(HOOKLINE_TOKEN="").refused("events", "list")
    assert "not one, or was revoked" in elsewhere.having(HOOKLINE_TOKEN="hkl_x").refused("events", "list")
    assert "is not an address" in elsewhere.having(HOOKLINE_URL="localhost:8000").refused("retry", "1")
    assert "no user or password" in elsewhere.having(HOOKLINE_URL="https://ann:pw@192.0.2.1").refused("retry", "1")
    assert [beside.run(word, "", "retry", "2").returncode for word in ("--url", "--token")] == [2, 2]
    assert "does not answer" in elsewhere.having(HOOKLINE_URL="http://127.0.0.1:1").refused("events", "list")
    wrong = elsewhere.having(HOOKLINE_URL=f"http://127.0.0.1:{server.port}/healthz").refused("events", "list")
    assert wrong.startswith("there is no API at ")
    read = beside.run("tokens", "create", "reader", "--scope", "read", "--expires", "1h").stdout.strip()
    url = elsewhere.variables["HOOKLINE_URL"]
    listed = beside.run("--url", url, "--token", read, "events", "list", "--json")
    assert len(listed.stdout.splitlines()) >= 3
    reader = elsewhere.having(HOOKLINE_TOKEN=read)
    assert reader.refused("retry", "2") == "this needs a token with the scope replay"
    assert reader.refused("events", "get", "1", "--raw") == "this needs a token with the scope payload"
    assert beside.objects("tokens", "revoke", "reader")[0]["state"] == "revoked"
    assert "was revoked" in reader.refused("events", "list")
    for words in ("x --scope everything", "7 --scope read", "x --scope read --expires 999999999w"):
        assert beside.run("tokens", "create", *words.split()).returncode == 2


def test_a_token_that_may_not_read_payloads_ends_listening_and_what_it_did_not_send_is_sent_later(
    elsewhere: Shell, its_ledger: Ledger
) -> None:
    too_little = elsewhere.having(HOOKLINE_TOKEN=_token(its_ledger, "read"))
    with serving() as (url, came):
        words = ("listen", "--forward-to", url, "--secret", SECRET, "--since", "all", "--source", "stripe")
        ended = too_little.run(*words)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr.endswith("hookline: this needs a token with the scope payload\n")
        with elsewhere.start(*words[:-4]) as process:
            wait_until(lambda: bool(came))
            process.send_signal(signal.SIGINT)
            process.communicate()
    assert came[0][1]["hookline-external-id"] == "evt_done"
