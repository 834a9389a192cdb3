"""Programs that a test runs as the page says they are run."""

import subprocess
from pathlib import Path

from config.settings import CHECKOUT


def run(*words: str | Path) -> str:
    """Run a program in the checkout; fail with what it printed when it does not succeed."""
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
