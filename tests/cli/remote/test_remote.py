"""The commands against a service elsewhere show and do the same as beside its ledger."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from config.database import make_engine
from config.settings import load_settings
from ledger import tokens
from ledger.audit import By
from ledger.store import Ledger
from ledger.tables import deliveries
from tests.cli.dev.waiting import wait_until
from tests.cli.laptop import SECRET, serving
from tests.cli.shell import Shell
from tests.ledger.making import new_event, states, store
from tests.receivers.http.server import Server

BODY = b'{"object": "event", "data": {"object": {"id": "pi_1", "amount": 500, "currency": "usd"}}}\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A web process with a done, a dead and an unhandled event."""
    server = Server(tmp_path_factory.mktemp("web"))
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
    store(ledger, new_event(key="evt_done", body=BODY), new_event(key="evt_dead", type="invoice.paid", body=BODY))
    store(ledger, new_event(key="evt_unhandled", handlers=(), body=BODY))
    yield ledger
    ledger.close()


@pytest.fixture
def beside(its_ledger: Ledger, server: Server, tmp_path: Path, nursery: Path) -> Shell:
    """A shell where the service runs; each time, everything is as it was at first."""
    with its_ledger.write() as db:
        db.execute(update(deliveries).where(deliveries.c.id == 1).values(state="done"))
        db.execute(update(deliveries).where(deliveries.c.id == 2).values(state="dead"))
    return Shell(tmp_path, {"DATABASE_URL": f"sqlite:///{server.ledger}"}, nursery)


@pytest.fixture
def elsewhere(beside: Shell, server: Server, its_ledger: Ledger) -> Shell:
    """A shell somewhere else, with a token."""
    token = _token(its_ledger, "read", "payload", "replay")
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
        "replays list",
        "replay evt_done --dry-run",
        "retry --all --dry-run --json",
        "dismiss --type invoice.* --reason x --dry-run",
    ],
)
def test_what_is_shown_is_the_same(beside: Shell, elsewhere: Shell, words: str) -> None:
    here, there = beside.run(*words.split()), elsewhere.run(*words.split())
    assert (there.stdout, there.stderr, there.returncode) == (here.stdout, here.stderr, here.returncode)
    assert here.returncode == 0
    assert here.stdout or "no " in here.stderr


def test_what_is_refused_is_refused_in_the_same_words(beside: Shell, elsewhere: Shell) -> None:
    for words in (
        ("events", "get", "evt_nowhere"),
        ("events", "list", "--before", "999"),
        ("retry", "2", "777"),
        ("retry", "evt_done"),
        ("replay", "--handler", "nobody.run", "--dry-run"),
        ("retry", "--handler", "nobody.run", "--dry-run"),
        ("replays", "get", "999"),
        ("replay", "--resume", "999"),
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


def test_what_cannot_be_asked_there_is_said_in_a_sentence(beside: Shell, elsewhere: Shell, server: Server) -> None:
    for named in (("tokens", "list"), ("doctor",), ("trigger", "stripe", "payment_intent.succeeded"), ("stats",)):
        assert "works where the service is, not over HTTP" in elsewhere.refused(*named)
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
    assert came[0][1]["hookline-external-id"] == "evt_dead"
