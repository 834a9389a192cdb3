"""What is sent to a laptop verifies with npm's @octokit/webhooks, where it is installed."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.sample import load_sample
from ledger.store import Ledger
from tests.cli.laptop import SECRET
from tests.cli.shell import Shell
from tests.ledger.making import new_event, store

PACKAGE = "@octokit/webhooks"

SERVER = """
import { createServer } from "node:http";
import { Webhooks, createNodeMiddleware } from "@octokit/webhooks";
const webhooks = new Webhooks({ secret: process.env.SECRET });
webhooks.onAny(({ name, payload }) => console.log(`${name}.${payload.action}`));
webhooks.onError(() => {});
const log = { error() {}, warn() {}, info() {}, debug() {} };
const server = createServer(createNodeMiddleware(webhooks, { path: "/hooks", log }));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""
# As its README has it.


def modules() -> Path | None:
    """Find the folder that has the package: one of NODE_PATH, or the one of what is installed for everybody."""
    npm = shutil.which("npm")
    places = [Path(each) for each in os.environ.get("NODE_PATH", "").split(os.pathsep) if each]
    if npm and shutil.which("node"):
        places.append(
            Path(subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=True).stdout.strip())
        )
    return next((each for each in places if (each / PACKAGE).is_dir()), None)


@pytest.fixture
def octokit(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A server that octokit verifies for; it prints its port, and then what it took."""
    found = modules()
    if found is None:
        pytest.skip(f"npm's {PACKAGE} is not installed, or not in NODE_PATH")
    (tmp_path / "node_modules").symlink_to(found)
    (tmp_path / "server.mjs").write_text(SERVER)
    environ = {"PATH": os.environ["PATH"], "SECRET": SECRET}
    command = ["node", "server.mjs"]
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_octokit_takes_a_replay_and_refuses_it_under_another_secret(
    shell: Shell, ledger: Ledger, octokit: subprocess.Popen[str]
) -> None:
    assert octokit.stdout is not None
    url = f"http://localhost:{int(octokit.stdout.readline())}/hooks"
    body = json.dumps(load_sample("github", "issues.opened").payload, ensure_ascii=False).encode()
    headers = {"x-github-event": "issues", "x-github-delivery": "4bbaa3ab-9ef1", "user-agent": "GitHub-Hookshot/1"}
    store(ledger, new_event(source="github", type="issues.opened", body=body, headers=headers))
    [taken] = shell.objects("replay", "1", "--to", url, "--secret", SECRET)
    assert (taken["http_status"], taken["body"].strip()) == (200, "ok")
    assert octokit.stdout.readline() == "issues.opened\n"
    refused = shell.run("replay", "1", "--to", url, "--secret", f"{SECRET}x", "--json")
    assert (refused.returncode, json.loads(refused.stdout)["http_status"]) == (1, 400)
