"""Secrets are rotated as docs/operations.md says, step by step, while all providers send: nobody is turned away."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cli.dev.procfile import read_procfile
from cli.signing import sign_stripe
from config.settings import CHECKOUT
from tests.cli.dev.waiting import wait_until
from tests.ledger.making import lay_out
from tests.servers.http import get
from tests.servers.ports import unused_port
from tests.system.balancer import Balancer
from tests.system.ledger_file import LedgerFile
from tests.system.parcel import Parcel, make_parcel
from tests.system.process import Process
from tests.system.sender import Sender
from tests.system.service import START_S, clean_environ

VARIABLES = {"stripe": "STRIPE_WEBHOOK_SECRET", "github": "GITHUB_WEBHOOK_SECRET", "slack": "SLACK_SIGNING_SECRET"}
TYPES = {"stripe": "payment_intent.succeeded", "github": "issues.opened", "slack": "app_mention"}
OLD, NEW = "the-old-secret-of-a-provider", "the-new-secret-of-a-provider"

ENOUGH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed(Parcel):
    """A webhook that is signed with what its provider signs with just now."""

    secrets: Sequence[str]

    def sign(self, secret: str | None = None) -> dict[str, str]:
        newest, *others = [secret] if secret else self.secrets
        headers = Parcel.sign(self, newest)
        if others:  # only Stripe signs with several
            now = time.time()
            signatures = [sign_stripe(self.body, key, now)["stripe-signature"].split(",") for key in self.secrets]
            headers["stripe-signature"] = ",".join([signatures[0][0], *(parts[1] for parts in signatures)])
        return headers


class Web:
    """One of two web processes, with the secrets that its environment says."""

    def __init__(self, place: Path, name: str, nursery: Path) -> None:
        self.port = unused_port()
        self._place = place
        self._name = name
        self._nursery = nursery
        self._process: Process | None = None

    def restart(self, secrets: str) -> None:
        """Start it again with these secrets for each provider, and wait until it is ready."""
        self.close()
        self.start(secrets)
        self.wait_until_ready()

    def start(self, secrets: str) -> None:
        own = {"HOOKLINE_DATA_DIR": str(self._place), "PORT": str(self.port)}
        environ = clean_environ() | own | dict.fromkeys(VARIABLES.values(), secrets)
        command, log = read_procfile(CHECKOUT / "Procfile")["web"], self._place / f"{self._name}.log"
        self._process = Process(
            self._name, command, directory=CHECKOUT, environ=environ, log=log, nursery=self._nursery
        )
        self._process.start()

    def wait_until_ready(self) -> None:
        wait_until(self._is_ready, timeout_s=START_S)

    def close(self) -> None:
        if self._process is not None:
            self._process.stop()

    def _is_ready(self) -> bool:
        try:
            return get(f"http://127.0.0.1:{self.port}/readyz").is_success
        except httpx.HTTPError:
            return False


@pytest.fixture
def webs(tmp_path: Path, nursery: Path) -> Iterator[list[Web]]:
    """Two web processes that know the old secrets."""
    lay_out(tmp_path / "ledger.db")
    webs = [Web(tmp_path, name, nursery) for name in ("web", "web.2")]
    try:
        for web in webs:
            web.start(OLD)
        for web in webs:
            web.wait_until_ready()
        yield webs
    finally:
        for web in webs:
            web.close()


@pytest.fixture
def balancer(webs: list[Web]) -> Iterator[Balancer]:
    """What stands in front of them."""
    balancer = Balancer([web.port for web in webs])
    balancer.start()
    yield balancer
    balancer.stop()


def deploy(webs: Sequence[Web], secrets: str) -> None:
    """Restart them one by one."""
    for web in webs:
        web.restart(secrets)


def test_secrets_are_rotated_step_by_step_and_no_request_is_rejected(
    webs: list[Web], balancer: Balancer, tmp_path: Path
) -> None:
    signing = {source: [OLD] for source in VARIABLES}
    sender = Sender(balancer.url, tmp_path / "sender.jsonl")

    def provider(source: str) -> Callable[[], Signed]:
        def make() -> Signed:
            parcel = make_parcel(source, TYPES[source])
            external_id, path, body, headers = parcel.external_id, parcel.path, parcel.body, parcel.headers
            return Signed(
                source=source, external_id=external_id, path=path, body=body, headers=headers, secrets=signing[source]
            )

        return make

    with ExitStack() as stack:
        loads = [stack.enter_context(sender.load(provider(source), at_once=1, pause_s=0.2)) for source in VARIABLES]

        def go_on() -> None:
            for load in loads:
                load.wait_for_accepted(ENOUGH, timeout_s=60)

        go_on()
        deploy(webs, f"{NEW},{OLD}")
        go_on()
        signing["stripe"] = [NEW, OLD]  # for as long as was asked for in the dashboard
        signing["github"] = signing["slack"] = [NEW]
        go_on()
        signing["stripe"] = [NEW]
        go_on()
        old_ones = matched(webs, 1)
        go_on()
        assert matched(webs, 1) == old_ones
        assert set(old_ones) == set(matched(webs, 0)) == set(VARIABLES)
        deploy(webs, NEW)
        go_on()

    answers = [answer for load in loads for answer in load.answers]
    # Nothing was answered where a web process ended; 503 is a right answer of a machine that is busy.
    assert {answer.status for answer in answers} <= {httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE, None}
    assert LedgerFile(tmp_path / "ledger.db").rows("SELECT * FROM requests") == []
    assert sender.send(provider("github")(), secret=OLD).status == httpx.codes.UNAUTHORIZED


def matched(webs: Sequence[Web], position: int) -> dict[str, float]:
    """Give how many webhooks of each source the secret at this position matched, as any web process says."""
    page = get(f"http://127.0.0.1:{webs[0].port}/metrics", timeout_s=30).text
    lines = [line for line in page.splitlines() if line.startswith("hookline_secret_matched_total{")]
    return {
        source: float(line.rpartition(" ")[2])
        for line in lines
        for source in VARIABLES
        if f'position="{position}"' in line and f'source="{source}"' in line
    }
