"""A web process that cannot do its work does not start. It says why in one sentence."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import CHECKOUT
from tests.receivers.http.server import Server, forked_web_command, web_command

START_S = 60

PACKAGES = ("receivers", "handlers", "ledger", "config")

BROKEN = {
    "receivers/providers/paypal.py": "import there_is_no_such_module\n",
    "handlers/broken.py": "raise ValueError('broken on purpose')\n",
}

BROKEN_PROVIDERS = {"square": "SECRET = 'no providers here'\n", "syntax": "def read(:\n"}

LOAD_EACH = """
import sys
from pathlib import Path
from handlers.errors import BrokenPlugin
from receivers.providers import load_providers
for name, text in zip(sys.argv[1::2], sys.argv[2::2]):
    file = Path("receivers/providers", f"{name}.py")
    file.write_text(text)
    try:
        load_providers()
    except BrokenPlugin as error:
        print(error)
    file.unlink()
"""

SECRET_VARIABLES = ("STRIPE_WEBHOOK_SECRET", "GITHUB_WEBHOOK_SECRET", "SLACK_SIGNING_SECRET")


@pytest.fixture
def prepared(tmp_path: Path) -> Server:
    """A server that is not started, with a ledger that is ready."""
    server = Server(tmp_path)
    server.prepare()
    return server


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the web process is made of."""
    for package in PACKAGES:
        shutil.copytree(CHECKOUT / package, tmp_path / "checkout" / package)
    shutil.copy(CHECKOUT / "Procfile", tmp_path / "checkout")
    return tmp_path / "checkout"


def refused(command: list[str], environ: dict[str, str], directory: Path = CHECKOUT) -> str:
    """Start it and give the one sentence with which it ends."""
    done = subprocess.run(
        command, cwd=directory, env=environ, capture_output=True, text=True, timeout=START_S, check=False
    )
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("hookline: ")
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


def test_without_any_secret_it_does_not_start_and_names_the_variables(prepared: Server) -> None:
    environ = {name: value for name, value in prepared.environ.items() if name not in SECRET_VARIABLES}
    sentence = refused(web_command(), environ)
    assert all(name in sentence for name in SECRET_VARIABLES)


@pytest.mark.parametrize(
    "secrets",
    [("", "  ", "\t \n"), (",", "very5hort", "15 characters!!"), ("good enough for anybody,", ",x", "\xa0" * 20)],
)
def test_with_blank_or_short_secrets_it_does_not_start_and_names_each_without_showing_any(
    prepared: Server, nursery: Path, secrets: tuple[str, ...]
) -> None:
    environ = prepared.environ | dict(zip(SECRET_VARIABLES, secrets, strict=True))
    sentence = refused(forked_web_command(nursery), environ)
    assert all(f"of {variable}" in sentence for variable in SECRET_VARIABLES)
    assert not any(shown in sentence for shown in ("very5hort", "15 characters!!", "good enough"))


@pytest.mark.parametrize(("file", "text"), BROKEN.items())
def test_with_a_broken_plugin_it_does_not_start_and_names_the_file(
    prepared: Server, tree: Path, nursery: Path, file: str, text: str
) -> None:
    (tree / file).write_text(text)
    assert file.removesuffix(".py") in refused(forked_web_command(nursery), prepared.environ, tree)


def test_a_provider_that_is_none_or_no_python_is_named_when_the_providers_are_loaded(tree: Path) -> None:
    words = [word for each in BROKEN_PROVIDERS.items() for word in each]
    command = [sys.executable, "-B", "-c", LOAD_EACH, *words]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=START_S, check=True)
    for name, sentence in zip(BROKEN_PROVIDERS, done.stdout.splitlines(), strict=True):
        assert sentence.startswith(f"receivers/providers/{name}.py ")


def test_without_tables_it_does_not_start_and_says_how_to_make_them(tmp_path: Path, nursery: Path) -> None:
    assert "hookline migrate" in refused(forked_web_command(nursery), Server(tmp_path).environ)


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
    prepared: Server, nursery: Path, variable: str, value: str
) -> None:
    sentence = refused(forked_web_command(nursery), prepared.environ | {variable: value})
    assert variable in sentence or "ledger" in sentence
    assert "hunter2" not in sentence
