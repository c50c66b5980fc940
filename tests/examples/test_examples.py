"""The examples: a harness on a local task and the embedded model, its log read, and findings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import competency_gaps as cg
from core_helpers import ROOT

CGAPS = "#!{python}\nfrom competency_gaps.cli.app import main\nmain()\n"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "items", "tool"), [("lm_eval", 60, "lm_eval"), ("inspect", 40, "inspect_ai")])
def test_an_example_ends_in_findings(tmp_path, name, items, tool):
    pytest.importorskip(tool)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cgaps").write_text(CGAPS.format(python=sys.executable))
    (tmp_path / "bin" / "cgaps").chmod(0o755)
    path = f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    homes = {f"XDG_{kind}_HOME": str(tmp_path / "home") for kind in ("DATA", "CACHE", "CONFIG")}
    env = {**os.environ, **homes, "PATH": path, "HF_HUB_OFFLINE": "1", "CGAPS_CACHE": os.environ.get("CGAPS_CACHE", "")}
    script = [str(ROOT / "examples" / name / "run.sh"), str(items), str(tmp_path / "out")]
    done = subprocess.run(script, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=290)
    assert not done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
    run = cg.open_run(tmp_path / "out" / "run")
    assert run.items.height == items and run.items["group"].n_unique() > 1
    assert run.models["scored"].to_list() == [items]
    assert f"100% of {items} items scored" in done.stdout
