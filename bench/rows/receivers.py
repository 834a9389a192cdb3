"""Accepted events a second beside two well-known receivers of GitHub's webhooks, on the same signed load."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import requests
from bench.counts import counts
from bench.errors import CheckFailed, Skipped
from bench.load import Load, Storm
from bench.plan import Plan
from bench.row import Row, Wanted
from bench.rows.ingest import run_rounds, storm_hookline
from bench.service import directory, hookline, listens, process, valkey
from tests.cli.dev.waiting import descendants, wait_until
from tests.servers.ports import unused_port
from tests.system.process import Process
from tests.system.secrets import GITHUB_SECRET
from tests.system.service import START_S

NAME = "receivers"
TAKES_S = 55
WHAT = "accepted GitHub events/s, one web process"

AHEAD = Wanted(text="≥ 1.0", ratio_at_least=1.0)
STRETCH = Wanted(text="≥ 1.0 (stretch)", ratio_at_least=1.0)

OCTOKIT = "@octokit/webhooks"
INSTALL_TIMEOUT_S = 90.0
SMOKE_INSTALL_TIMEOUT_S = 15.0

COMMANDS_END_S = 60.0
LOOKS = 5
LOOK_S = 0.02

SERVER = """
import { createServer } from "node:http";
import { Webhooks, createNodeMiddleware } from "@octokit/webhooks";
const webhooks = new Webhooks({ secret: process.env.GITHUB_WEBHOOK_SECRET });
webhooks.onAny(() => {});
webhooks.onError(() => {});
const log = { error() {}, warn() {}, info() {}, debug() {} };
const middleware = createNodeMiddleware(webhooks, { path: "/webhooks/github", log });
createServer(middleware).listen(Number(process.env.PORT), "127.0.0.1");
"""
# As its README has it, with the path that our load goes to.

Start = Callable[[Path, int, float], str]


def measure(plan: Plan) -> Iterator[Row]:
    """Measure beside each peer that is installed."""
    patience_s = SMOKE_INSTALL_TIMEOUT_S if plan.smoke else INSTALL_TIMEOUT_S
    with directory(plan.place, NAME) as place:
        peers: dict[str, tuple[Start, Wanted]] = {
            "adnanh/webhook, /bin/true": (_webhook_command, AHEAD),
            f"npm {OCTOKIT}": (_octokit_command, STRETCH),
        }
        missing: dict[str, str] = {}
        commands: dict[str, tuple[str, int]] = {}
        for name, (start, _) in peers.items():
            port = unused_port()
            try:
                commands[name] = (start(place, port, patience_s), port)
            except Skipped as skipped:
                missing[name] = str(skipped)
        figures = _compare(plan, place, commands) if commands else {}
        for name, (_, wanted) in peers.items():
            yield Row(
                name=NAME,
                what=WHAT,
                against=name,
                ours=figures.get("hookline", ()) if name in figures else (),
                theirs=figures.get(name, ()),
                wanted=wanted,
                skipped=missing.get(name),
            )


def _compare(plan: Plan, place: Path, commands: Mapping[str, tuple[str, int]]) -> dict[str, list[float]]:
    with ExitStack() as running:
        service = running.enter_context(hookline(place, "web"))
        own, broker = running.enter_context(counts(service)), valkey(service)
        storm = Storm(requests.build(), place)
        contenders: dict[str, Callable[[float], Load]] = {
            "hookline": lambda seconds: storm_hookline(storm, service, own, broker, seconds),
        }
        for name, (command, port) in commands.items():
            short = name.partition(",")[0].rpartition("/")[2]
            peer = running.enter_context(_listening(place, short, command, port))
            contenders[name] = _loader(storm, port, peer)
        return run_rounds(storm, contenders, plan)


def _loader(storm: Storm, port: int, peer: Process) -> Callable[[float], Load]:
    def blow(seconds: float) -> Load:
        load = storm.blow(port, seconds)
        load.check(forged_refused=True)
        # adnanh/webhook has answered long before it has run all its commands: whoever comes next must not pay for them.
        wait_until(lambda: not any(_runs_something(peer) for _ in range(LOOKS)), timeout_s=COMMANDS_END_S)
        return load

    return blow


def _runs_something(peer: Process) -> bool:
    time.sleep(LOOK_S)
    return bool(descendants(peer.pid))


@contextmanager
def _listening(place: Path, name: str, command: str, port: int) -> Iterator[Process]:
    environ = {"GITHUB_WEBHOOK_SECRET": GITHUB_SECRET, "PORT": str(port)}
    with process(place, name, command, environ) as running:
        wait_until(lambda: listens(port) or not running.runs(), timeout_s=START_S)
        if not running.runs():
            raise CheckFailed(f"{name} ended: {running.printed()[-500:]}")
        yield running


def _webhook_command(place: Path, port: int, _patience_s: float) -> str:
    if shutil.which("webhook") is None:
        raise Skipped("webhook is not installed (Debian package webhook)")
    rule = {"type": "payload-hmac-sha256", "secret": GITHUB_SECRET}
    hook = {
        "id": "github",
        "execute-command": "/bin/true",
        "trigger-rule": {"match": rule | {"parameter": {"source": "header", "name": "X-Hub-Signature-256"}}},
        "trigger-rule-mismatch-http-response-code": 401,
    }
    hooks = place / "hooks.json"
    hooks.write_text(json.dumps([hook]))
    return f"webhook -hooks {hooks} -ip 127.0.0.1 -port {port} -urlprefix webhooks"


def _octokit_command(place: Path, _port: int, patience_s: float) -> str:
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Skipped("node and npm are not installed")
    folder = place / "octokit"
    folder.mkdir()
    (folder / "server.mjs").write_text(SERVER)
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), OCTOKIT]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=patience_s)  # noqa: S603  # our own words
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise Skipped(f"npm could not install {OCTOKIT} ({type(error).__name__})") from error
    return f"node {folder / 'server.mjs'}"
