"""A web process that cannot do its work does not start. It says why in one sentence."""

import shutil
import subprocess
from pathlib import Path

import pytest

from config.settings import CHECKOUT
from tests.receivers.http.server import Server, web_command

START_S = 30

PACKAGES = ("receivers", "handlers", "ledger", "config")

BROKEN = {
    "receivers/providers/paypal.py": "import there_is_no_such_module\n",
    "receivers/providers/square.py": "SECRET = 'no providers here'\n",
    "receivers/providers/syntax.py": "def read(:\n",
    "handlers/broken.py": "raise ValueError('broken on purpose')\n",
}

SECRET_VARIABLES = ("STRIPE_WEBHOOK_SECRET", "GITHUB_WEBHOOK_SECRET", "SLACK_SIGNING_SECRET")


@pytest.fixture
def prepared(tmp_path: Path) -> Server:
    """A server that is not started, with a ledger that is ready."""
    server = Server(tmp_path)
    server.migrate()
    return server


def refused(environ: dict[str, str], directory: Path = CHECKOUT) -> str:
    """Start it and give the one sentence with which it ends."""
    done = subprocess.run(
        web_command(), cwd=directory, env=environ, capture_output=True, text=True, timeout=START_S, check=False
    )
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("hookline: ")
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


def test_without_any_secret_it_does_not_start_and_names_the_variables(prepared: Server) -> None:
    environ = {name: value for name, value in prepared.environ.items() if name not in SECRET_VARIABLES}
    sentence = refused(environ)
    assert all(name in sentence for name in SECRET_VARIABLES)


@pytest.mark.parametrize(
    "secrets",
    [("", "  ", "\t \n"), (",", "very5hort", "15 characters!!"), ("good enough for anybody,", ",x", "\xa0" * 20)],
)
def test_with_blank_or_short_secrets_it_does_not_start_and_names_each_without_showing_any(
    prepared: Server, secrets: tuple[str, ...]
) -> None:
    sentence = refused(prepared.environ | dict(zip(SECRET_VARIABLES, secrets, strict=True)))
    assert all(f"of {variable}" in sentence for variable in SECRET_VARIABLES)
    assert not any(shown in sentence for shown in ("very5hort", "15 characters!!", "good enough"))


@pytest.mark.parametrize(("file", "text"), BROKEN.items())
def test_with_a_broken_plugin_it_does_not_start_and_names_the_file(
    prepared: Server, tmp_path: Path, file: str, text: str
) -> None:
    tree = tmp_path / "checkout"
    for package in PACKAGES:
        shutil.copytree(CHECKOUT / package, tree / package)
    (tree / file).write_text(text)
    assert file.removesuffix(".py") in refused(prepared.environ | {"PYTHONPATH": str(tree)}, tree)


def test_without_tables_it_does_not_start_and_says_how_to_make_them(tmp_path: Path) -> None:
    assert "hookline migrate" in refused(Server(tmp_path).environ)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "mysql://127.0.0.1/hookline"),
        ("DATABASE_URL", "sqlite:////there/is/no/such/directory/ledger.db"),
        ("DATABASE_URL", "postgresql://hookline:hunter2hunter2@127.0.0.1:1/hookline"),
        ("REDIS_URL", "redis://127.0.0.1:port/0"),
    ],
)
def test_with_a_url_that_cannot_be_used_it_does_not_start_and_names_it(
    prepared: Server, variable: str, value: str
) -> None:
    sentence = refused(prepared.environ | {variable: value})
    assert variable in sentence or "ledger" in sentence
    assert "hunter2" not in sentence
