"""`hookline verify` as a command: files, a stored rejection, a stored event; exit statuses; no secret on the screen."""

import json
import time
from pathlib import Path

from sqlalchemy import insert

from cli.signing import sign_stripe
from ledger.pieces import write_body
from ledger.store import Ledger
from ledger.tables import requests
from tests.cli.shell import Shell
from tests.ledger.making import new_event, store

SECRET = "whsec_0123456789abcdef0123456789"
NOW = 1_793_361_600.0
BODY = b'{\n  "id": "evt_1"\n}'


def test_a_captured_request_is_explained(bare_shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "headers").write_text(f"Stripe-Signature: {sign_stripe(BODY, SECRET, NOW)['stripe-signature']}\n")
    (tmp_path / "body").write_bytes(BODY)
    (tmp_path / "parsed").write_bytes(b'{"id":"evt_1"}')
    words = ("verify", "--source", "stripe", "--secret", SECRET, "--headers", "headers", "--at", "2026-10-30T12:00Z")
    done = bare_shell.run(*words, "--body", "body")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "it verifies"), done.stderr
    done = bare_shell.run(*words, "--body", "parsed", "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["cause"], said["verified"]) == (1, "body_re_serialised", False)
    assert [step["result"] for step in said["steps"]] == ["ok", "ok", "fails", "ok"]
    assert SECRET not in done.stdout


def test_what_cannot_be_asked_is_wrong_usage(bare_shell: Shell) -> None:
    assert bare_shell.run("verify", "--source", "paypal").returncode == 2


def test_a_rejected_request_and_a_stored_event_bring_what_was_kept(
    shell: Shell, ledger: Ledger, tmp_path: Path
) -> None:
    signature = sign_stripe(BODY, SECRET, NOW)
    with ledger.write() as db:
        db.execute(
            insert(requests).values(
                received_at=NOW, source="stripe", path="/webhooks/stripe", status=401, reason="signature_mismatch",
                headers=json.dumps(signature), body_size=len(BODY), body_sha256="0" * 64,
            )
        )  # fmt: skip
        db.execute(
            insert(requests).values(
                received_at=NOW, source="shopify", path="/webhooks/shopify", status=401, reason="signature_mismatch",
                headers="{}", body_size=len(BODY), body_sha256="0" * 64,
            )
        )  # fmt: skip
    in_pieces = write_body(ledger, BODY, until=time.monotonic() + 60)
    store(ledger, new_event(key="evt_1", body=b"", body_id=in_pieces, received_at=NOW))
    having = shell.having(STRIPE_WEBHOOK_SECRET=f"whsec_another_0123456789,{SECRET}")
    done = having.run("verify", "--request", "1")
    assert (done.returncode, "without the body" in done.stdout) == (1, True)
    done = having.run("verify", "--request", "2")
    assert (done.returncode, done.stderr) == (
        1, "hookline: how shopify signs is not known here, only how stripe, github, slack do\n"
    )  # fmt: skip
    (tmp_path / "headers.json").write_text(json.dumps(signature))
    done = having.run("verify", "--event", "evt_1", "--headers", "headers.json")
    assert "signed 0 s before the time at which the event came in" in done.stdout
    assert (done.returncode, "secret 2 of STRIPE_WEBHOOK_SECRET (this shell) signed it" in done.stdout) == (0, True)
