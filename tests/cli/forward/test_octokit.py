"""What is sent to a laptop verifies with npm's @octokit/webhooks: the version in `octokit/package-lock.json`.

npm installs it once, beside that file. Without node or npm the test is skipped, and fails in CI; without an answer of
npm's registry it is skipped there, too, because nothing of ours is wrong then.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.sample import load_sample
from ledger.store import Ledger
from tests.cli.laptop import SECRET
from tests.cli.shell import Shell
from tests.ledger.making import new_event, store
from tests.servers.redis import installed

PLACE = Path(__file__).parent / "octokit"
INSTALLED = PLACE / "node_modules" / ".package-lock.json"
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retry-mintimeout=1000")
INSTALL_S = 60


@pytest.fixture
def octokit() -> Iterator[subprocess.Popen[str]]:
    """A server that octokit verifies for; it prints its port, and then what it took."""
    node = installed("node", package="nodejs")
    _install()
    environ = {"PATH": os.environ["PATH"], "SECRET": SECRET}
    with subprocess.Popen([node, "server.mjs"], cwd=PLACE, env=environ, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def _install() -> None:
    """Have npm install what the lock file says, by its hashes; it was done already if nothing has changed since."""
    npm = installed("npm", package="npm")
    if INSTALLED.exists() and INSTALLED.stat().st_mtime >= (PLACE / "package-lock.json").stat().st_mtime:
        return
    try:
        subprocess.run([npm, *INSTALL], cwd=PLACE, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.SubprocessError as error:
        pytest.skip(f"npm could not install octokit/package-lock.json: {getattr(error, 'stderr', None) or error}")


def test_what_npm_installs_is_known_by_its_hash_and_not_by_where_it_comes_from() -> None:
    packages = json.loads((PLACE / "package-lock.json").read_text())["packages"]
    packages.pop("")
    assert "node_modules/@octokit/webhooks" in packages
    assert all(each["integrity"].startswith("sha512-") and "resolved" not in each for each in packages.values())


def test_octokit_takes_a_replay_and_refuses_it_under_another_secret(
    shell: Shell, ledger: Ledger, octokit: subprocess.Popen[str]
) -> None:
    assert octokit.stdout is not None
    url = f"http://localhost:{int(octokit.stdout.readline())}/hooks"
    body = json.dumps(load_sample("github", "issues.opened").payload, ensure_ascii=False).encode()
    headers = {"x-github-event": "issues", "x-github-delivery": "4bbaa3ab-9ef1", "user-agent": "GitHub-Hookshot/1"}
    store(ledger, new_event(source="github", type="issues.opened", body=body, headers=headers))
    [taken] = shell.objects("replay", "1", "--to", url, "--secret", SECRET, "--yes")
    assert (taken["http_status"], taken["body"].strip()) == (200, "ok")
    assert octokit.stdout.readline() == "issues.opened\n"
    refused = shell.run("replay", "1", "--to", url, "--secret", f"{SECRET}x", "--json", "--yes")
    assert (refused.returncode, json.loads(refused.stdout)["http_status"]) == (1, 400)
