"""The script that loads the explorer's server, for a few seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from explorer_runs import Made

SCRIPT = Path(__file__).parents[2] / "perf" / "explorer_load.py"


@pytest.mark.slow
def test_the_server_stands_many_clients(hostile: Made):
    command = [sys.executable, str(SCRIPT), str(hostile.run), "--clients", "40", "--minutes", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "requests" in done.stdout
