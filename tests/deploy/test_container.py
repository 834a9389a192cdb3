"""The container file is in step with the checkout: nothing is missing from the image, and nothing is left over."""

import re
import subprocess
import tomllib
from collections.abc import Iterator

import pytest

from config.settings import CHECKOUT

CONTAINERFILE = (CHECKOUT / "deploy" / "Containerfile").read_text()


def instructions(name: str) -> Iterator[str]:
    """Give the arguments of each instruction of this name, in order."""
    for line in CONTAINERFILE.replace("\\\n", " ").splitlines():
        if line.startswith(f"{name} "):
            yield line.removeprefix(f"{name} ")


def copied() -> set[str]:
    """Give what is copied out of the checkout."""
    words = [line.split()[:-1] for line in instructions("COPY") if not line.startswith("--from")]
    return {word.rstrip("/") for line in words for word in line}


def test_the_image_holds_every_folder_of_the_product() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied()


def test_the_builder_is_sent_what_is_copied_and_nothing_else() -> None:
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied()
    assert all((CHECKOUT / name).exists() for name in copied())


def test_what_only_built_the_image_is_taken_out_of_it() -> None:
    lock = (CHECKOUT / "requirements.txt").read_text()
    packages = re.findall(r"^([a-z0-9-]+)==.*\n(?:    --hash.*\n)*((?:    #.*\n?)*)", lock, re.MULTILINE)
    users = {name: set(re.findall(r"[a-z][a-z0-9-]+", comment.replace("via", ""))) for name, comment in packages}
    only_built = {"hatchling"} | {name for name, names in users.items() if names == {"hatchling"}}
    (uninstall,) = [line for line in instructions("RUN") if "uninstall --yes hatchling" in line]
    assert set(uninstall.partition("--yes ")[2].split()) == only_built


def test_everything_is_installed_by_the_lock_with_hashes() -> None:
    installs = [line for line in instructions("RUN") if " install " in line and "pip" in line]
    assert installs
    assert all("--require-hashes -r requirements.txt" in line or "--no-deps" in line for line in installs)


def test_the_image_does_not_run_as_root() -> None:
    assert list(instructions("USER")) == ["10001:10001"]


@pytest.mark.parametrize(
    ("words", "status", "printed"),
    [([], 2, "usage:"), (["hookline", "--help"], 0, "Usage: hookline"), (["web", "--help"], 127, "web")],
)
def test_one_entry_runs_procfile_lines_and_commands(words: list[str], status: int, printed: str) -> None:
    done = subprocess.run([CHECKOUT / "deploy" / "run", *words], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert printed in done.stdout + done.stderr
