"""`hookline listen` on a service elsewhere says when it has lost it and when it is back, and misses nothing."""

import json
import signal
import time
from pathlib import Path

from config.database import make_engine
from config.settings import load_settings
from ledger import tokens
from ledger.audit import By
from ledger.store import Ledger
from tests.cli.laptop import SECRET, serving
from tests.cli.shell import Shell
from tests.ledger.making import new_event, store
from tests.receivers.http.server import Server

BODY = b'{"object": "event"}\n'


def test_a_service_that_goes_and_comes_back_is_said_and_nothing_is_missed(tmp_path: Path, nursery: Path) -> None:
    server = Server(tmp_path)
    server.start()
    ledger = Ledger(make_engine(load_settings({"DATABASE_URL": f"sqlite:///{server.ledger}"})))
    with ledger.write() as db:
        by, scopes = By(who="ann", via="cli"), [tokens.Scope.READ, tokens.Scope.PAYLOAD]
        _, token = tokens.make_token(db, name="ann", scopes=scopes, expires_at=None, by=by, now=time.time())
    url = f"http://127.0.0.1:{server.port}"
    shell = Shell(tmp_path, {"HOOKLINE_URL": url, "HOOKLINE_TOKEN": token}, nursery)
    try:
        with (
            serving() as (to, _),
            shell.start("listen", "--forward-to", to, "--secret", SECRET, "--json") as process,
        ):
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stderr.readline() == f"sending to {to}: what comes in from now on\n"
            server.process.kill()
            server.process.wait()
            assert process.stderr.readline().startswith(f"{url} does not answer (")
            store(ledger, new_event(key="evt_missed", body=BODY))
            server.start()
            assert process.stderr.readline() == "the ledger answers again\n"
            assert json.loads(process.stdout.readline())["external_id"] == "evt_missed"
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
    finally:
        ledger.close()
        server.close()
