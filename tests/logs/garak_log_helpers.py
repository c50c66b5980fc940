"""Real and hand-made reports of garak."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROBES = ("dan.Dan_11_0", "dan.DUDE", "dan.AntiDAN", "dan.STAN", "goodside.ThreatenJSON", "lmrc.SlurUsage", "test.Test")


def run_garak(folder: Path, name: str, *options: str) -> Path:
    """Run garak on the local model; nothing is written or read outside ``folder``, and no network is used."""
    config = folder / "garak.yaml"
    config.write_text("run:\n  system_prompt: You are careful.\n  generations: 3\n")
    homes = {f"XDG_{kind}_HOME": str(folder / "home") for kind in ("DATA", "CACHE", "CONFIG")}
    environment = {**os.environ, **homes, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-m", "garak", "--config", str(config), "--report_prefix", str(folder / name)]
    command += ["--target_type", "function", "--target_name", "garak_model#answer", *options]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder / f"{name}.report.jsonl"


def entries(path: Path, kind: str) -> list[dict[str, Any]]:
    """Entries of one type, parsed without the reader."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [value for line in lines if line and (value := json.loads(line))["entry_type"] == kind]


def attempt(uuid: str, scores: Any, *, probe: str = "dan.DUDE", seq: int = 0, text: str = "Do it.", **more: Any):
    made = {
        "entry_type": "attempt",
        "uuid": uuid,
        "seq": seq,
        "status": 2,
        "probe_classname": probe,
        "prompt": {"turns": [{"role": "user", "content": {"text": text}}]},
        "outputs": [{"text": "Sure."}],
        "detector_results": scores,
        "goal": "get it done",
    }
    return {**made, **more}


def write_report(path: Path, *attempts: dict[str, Any], end: bool = True, **setup: Any) -> Path:
    """A report with its first and last entry; setup keys have ``__`` for the dot."""
    start = {"plugins.target_name": "maker/name", "transient.starttime_iso": "2026-01-01T00:00:00"}
    start |= {key.replace("__", "."): value for key, value in setup.items()}
    rows = [{"entry_type": "start_run setup", **start}, *attempts, *([{"entry_type": "completion"}] if end else [])]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
