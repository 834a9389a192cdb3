"""The lock files: `make` makes them anew from pyproject.toml, `check` says whether they are in step with it.

The check resolves with the pins there are as the preference, so that a newer release of something alone is no reason
to fail. That asks the package index; without a network it still compares each requirement with its pin, and says so.
"""

# ruff: noqa: INP001, T201  # a script, and it prints

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).parent / "uv"

RUN, DEV = "requirements.txt", "requirements-dev.txt"
PROJECT = "pyproject.toml"

FLAGS = ("--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--quiet", PROJECT)
TARGETS = {
    RUN: ("--group", "build"),
    DEV: ("--group", "build", "--group", "dev", "-c", RUN),
}
GROUPS = {RUN: ("build",), DEV: ("build", "dev")}

NO_SOLUTION = 1
# uv's exit status when the requirements contradict each other; 2 is for everything else, such as no network.

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def compile_locks(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Make the lock files in a directory that holds pyproject.toml; those that are there are the preference."""
    for target, groups in TARGETS.items():
        command = [str(UV), "pip", "compile", *FLAGS, *groups, *options, "-o", target]
        done = subprocess.run(command, cwd=directory, text=True, stderr=subprocess.PIPE, check=False)  # noqa: S603  # uv from the lock file
        if done.returncode:
            return done
    return done


def make(options: Iterable[str]) -> int:
    """Make the lock files anew; `--upgrade` takes the newest of everything."""
    done = compile_locks(ROOT, *options)
    sys.stderr.write(done.stderr)
    return done.returncode


def check() -> int:
    """Compare the lock files with what would be made now."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for file in (PROJECT, RUN, DEV):
            shutil.copy(ROOT / file, directory)
        done = compile_locks(directory)
        if done.returncode == NO_SOLUTION:
            return fail(f"{PROJECT} asks for what cannot be had together: {done.stderr.strip()}")
        if done.returncode:
            return check_without_index(done.stderr)
        stale = [file for file in (RUN, DEV) if (directory / file).read_bytes() != (ROOT / file).read_bytes()]
    if stale:
        return fail(f"not in step with {PROJECT}: {', '.join(stale)}. Run `make lock`")
    print("the lock files are in step with", PROJECT)
    return 0


def check_without_index(reason: str) -> int:
    """Compare what pyproject.toml asks for by name with the pins: all that can be known without the index."""
    project = tomllib.loads((ROOT / PROJECT).read_text())
    problems = [
        f"{requirement} is not what {file} pins"
        for file, groups in GROUPS.items()
        for requirement in requirements_of(project, groups)
        if not is_pinned(Requirement(requirement), (ROOT / file).read_text())
    ]
    if problems:
        return fail(f"{'; '.join(problems)}. Run `make lock`")
    print(reason.strip(), file=sys.stderr)
    print("the package index cannot be asked; each requirement by name is pinned as", PROJECT, "allows")
    return 0


def requirements_of(project: dict[str, object], groups: Iterable[str]) -> list[str]:
    """Give the project's own requirements and those of some groups."""
    match project:
        case {"project": {"dependencies": [*own]}, "dependency-groups": dict(extra)}:
            return [*own, *(requirement for group in groups for requirement in extra[group])]
    message = f"{PROJECT} lists no dependencies"
    raise ValueError(message)


def is_pinned(requirement: Requirement, lock: str) -> bool:
    """Whether a lock file pins this to a version that is asked for."""
    name = canonicalize_name(requirement.name)
    return any(
        canonicalize_name(pinned) == name and requirement.specifier.contains(version, prereleases=True)
        for pinned, version in PIN.findall(lock)
    )


def fail(sentence: str) -> int:
    """Say what is wrong."""
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", *options]:
            sys.exit(make(options))
        case ["check"]:
            sys.exit(check())
        case _:
            sys.exit(f"usage: {sys.argv[0]} make [--upgrade] | check")
