"""Workers and sweepers read the rules of alerts when they start, and do not start with what cannot be used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import CHECKOUT

WORKER = ["-c", "from workers.main import setup; setup()"]
SWEEPER = ["-m", "workers.sweep"]


@pytest.mark.parametrize("process", [WORKER, SWEEPER], ids=["worker", "sweeper"])
def test_a_process_does_not_start_with_rules_that_cannot_be_used_and_names_the_line(
    tmp_path: Path, process: list[str]
) -> None:
    rules = tmp_path / "alerts.toml"
    rules.write_text('time_zone = "UTC"\n\n[alerts.dispute]\nchannel = "finance"\n')
    ours = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    ours |= {"HOOKLINE_ALERTS": str(rules), "HOOKLINE_DATA_DIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, *process], cwd=CHECKOUT, env=ours, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert f"{rules}, line 4: alerts.dispute.channel: must be a channel's name" in ended.stderr
