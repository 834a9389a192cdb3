"""Canaries through every path: no secret in a log, in Valkey or in the ledger; a body in the ledger alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.http import make_client
from tests.system.broker import make_message, push, valkey
from tests.system.conftest import MakeService
from tests.system.parcel import Parcel, make_dispute, make_parcel
from tests.system.service import VALKEY, Service
from tests.system.slack_stand_in import SlackStandIn, Trouble

STRIPE_NEW, STRIPE_OLD = "whsec_CANARYstripeNew", "whsec_CANARYstripeOld"
GITHUB, SLACK = "CANARY-github-secret", "CANARY-slack-signing-secret"
BOT_TOKEN = "xoxb-CANARY-bot-token"
REDIS_PASSWORD = "CANARYredisPassword"

HEADERS = {
    "authorization": "Bearer CANARY-authorization",
    "proxy-authorization": "Basic CANARY-proxy",
    "cookie": "session=CANARY-cookie",
    "x-api-key": "CANARY-api-key",
    "x-forwarded-access-token": "CANARY-access-token",
}

SECRETS = [STRIPE_NEW, STRIPE_OLD, GITHUB, SLACK, BOT_TOKEN, REDIS_PASSWORD]
SECRETS += [value[value.index("CANARY") :] for value in HEADERS.values()]

BODY = "finch@canary.example"

QUOTES = """
from handlers.router import handler


@handler(source="stripe", types=["charge.dispute.created"])
def quoting(event, ctx):
    raise ValueError(event.body.decode())
"""


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    slack = SlackStandIn(token=BOT_TOKEN)
    slack.start()
    yield slack
    slack.stop()


class Provider:
    """Sends with canaries in the headers, and remembers the signatures."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.accepted: list[str] = []
        self.refused: list[str] = []

    def send(self, parcel: Parcel, secret: str, *, status: int = 200) -> None:
        headers = {**parcel.sign(secret), **HEADERS}
        with make_client(self._service.url, timeout_s=30) as client:
            answer = client.post(parcel.path, content=parcel.body, headers=headers)
        assert answer.status_code == status
        signatures = [value.rpartition("=")[2] for name, value in headers.items() if "signature" in name]
        (self.accepted if answer.is_success else self.refused).extend(signatures)


def test_nothing_secret_gets_anywhere(service_with: MakeService, slack: SlackStandIn, tmp_path: Path) -> None:
    service = service_with(
        handlers={"quoting": QUOTES},
        environ={
            "STRIPE_WEBHOOK_SECRET": f"{STRIPE_NEW},{STRIPE_OLD}",
            "GITHUB_WEBHOOK_SECRET": GITHUB,
            "SLACK_SIGNING_SECRET": SLACK,
            "REDIS_URL": f"unix://:{REDIS_PASSWORD}@{tmp_path / 'var' / 'valkey.sock'}",
        },
    )
    service.start()
    provider = Provider(service)
    for trouble in (Trouble(status=500), Trouble(status=429, retry_after_s=1), Trouble(takes=True, answers=False)):
        slack.expect(trouble)

    send_all(provider)
    service.wait_for(lambda: service.ledger.value("SELECT count(*) FROM requests") == len(provider.refused))
    service.wait_for(lambda: not slack.trouble)
    service.wait_for(lambda: bool(service.ledger.rows("SELECT id FROM deliveries WHERE state = 'failed'")))
    service[VALKEY].kill()
    provider.send(make_dispute(), STRIPE_NEW)
    service["worker"].wait_for_line("Restarting consumer", timeout_s=60)
    service["web"].wait_for_line("broker does not answer", timeout_s=60)
    service.start(VALKEY)
    with valkey(service) as client:
        push(client, make_message([1], queue="nowhere"))
    service["worker"].wait_for_line("message passed over", timeout_s=60)
    shown = "\n".join(service.cli(*words).stdout for words in COMMANDS)
    for name in ("web", "worker", "sweeper", VALKEY):
        service[name].stop()

    logs = "\n".join(service.logs().values())
    queued = read_all(service.settings.hookline_data_dir / "valkey")
    stored = read_all(service.settings.hookline_data_dir, "ledger.db*")
    assert b"deliver" in queued
    assert BODY.encode() in stored
    signatures = provider.accepted + provider.refused
    assert [text for text in [*SECRETS, *signatures, BODY] if text in logs] == []
    assert [text for text in SECRETS if text in shown] == []
    assert [text for text in [*SECRETS, *signatures, BODY] if text.encode() in queued] == []
    assert [text for text in [*SECRETS, *provider.accepted] if text.encode() in stored] == []
    kept = service.ledger.column("SELECT headers FROM requests")
    assert all(any(signature in headers for headers in kept) for signature in provider.refused)


COMMANDS = [
    ("events", "list", "--json"),
    ("events", "get", "1", "--json"),
    ("deliveries", "list"),
    ("requests", "list"),
]


def send_all(provider: Provider) -> None:
    body = f"data.object.evidence.customer_email_address={BODY}"
    provider.send(make_dispute(body), STRIPE_NEW)
    provider.send(make_dispute(body), STRIPE_OLD)
    provider.send(make_dispute(body), "whsec_of_somebody_else", status=401)
    provider.send(make_parcel("github", "workflow_run.completed"), GITHUB)
    provider.send(make_parcel("github", "workflow_run.completed"), "of somebody else", status=401)
    for sample in ("app_mention", "slash_command", "block_actions", "url_verification"):
        provider.send(make_parcel("slack", sample), SLACK)
        provider.send(make_parcel("slack", sample), "of somebody else", status=401)


def read_all(directory: Path, pattern: str = "**/*") -> bytes:
    return b"".join(path.read_bytes() for path in directory.glob(pattern) if path.is_file())
