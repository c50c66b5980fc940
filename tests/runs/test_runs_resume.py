"""A run that was stopped, killed, damaged or out of disk space ends in the bytes of an undisturbed run."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import competency_gaps
from competency_gaps.activations.extract import Extractor
from competency_gaps.errors import MachineError, UserError
from competency_gaps.files import write_atomic
from competency_gaps.stages import extraction
from competency_gaps.stages.extraction import ShardReader
from core_helpers import ROOT, assert_same_run, shard_bytes

ITEMS, TOKENS = 8, 250


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Several shards per benchmark, so that a run can stop between them."""
    make_small(monkeypatch)


def make_small(patch) -> None:
    for name, value in {"SHARD_ITEMS": ITEMS, "GENERATED_ITEMS": ITEMS, "SHARD_TOKENS": TOKENS}.items():
        patch.setattr(extraction, name, value)


@pytest.fixture(scope="module", params=["question", "all"])
def config(tiny_config, request):
    """Rows from the scoring pass, and rows from a separate pass, which a span with the response needs."""
    quiz, sums = tiny_config["benchmarks"]
    told = {**sums, "name": "told", "policy": "none", "options": {"max_new_tokens": 4}, "limit": 10}
    generation = {"temperature": 0.9, "seed": 3}
    return {
        **tiny_config,
        "benchmarks": [{**quiz, "limit": 20}, {**sums, "limit": 20}, told],
        "generation": generation,
        "span": request.param,
    }


@pytest.fixture(scope="module")
def undisturbed(config, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        run = competency_gaps.run(config, tmp_path_factory.mktemp("undisturbed") / "run")
    names = [name for name in shard_bytes(run.path) if not name.endswith(".json")]
    assert sum(name.startswith("responses") for name in names) >= 7
    assert sum(name.endswith(".safetensors") for name in names) >= 7
    assert run.items["score"].null_count() < run.items.height
    assert run.has_token_activations, "they are a part of what must come out the same"
    return run


class Stop(Exception):
    pass


def stop_at(monkeypatch, owner, name: str, call: int, error: BaseException | None = None) -> list[int]:
    """Raise at one call of a method; return the list in which calls are counted."""
    calls: list[int] = []
    original = getattr(owner, name)

    def counted(*args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            raise error or Stop
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


@pytest.mark.parametrize(("owner", "name", "calls"), [(ShardReader, "read", (1, 4)), (Extractor, "rows", (1, 3))])
def test_stopped_inside_a_shard(owner, name, calls, config, undisturbed, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    for call in calls:
        with monkeypatch.context() as patch:
            stop_at(patch, owner, name, call)
            with pytest.raises(Stop):
                competency_gaps.run(config, folder)
        with pytest.raises(UserError, match="not finished"):
            competency_gaps.open_run(folder)
    done = len(shard_bytes(folder))
    with monkeypatch.context() as patch:
        counted = stop_at(patch, owner, name, 10_000)
        run = competency_gaps.run(config, folder)
    assert_same_run(run, undisturbed)
    whole = len([f for f in shard_bytes(undisturbed.path) if f.endswith(".safetensors")])
    kept = sum(c - 1 for c in calls)
    assert done > 0 and len(counted) == whole - kept, "what was finished is not computed again"


CHILD = """
import json, os, signal, sys, threading, time
import numpy, polars, sae_lens, torch, transformers
import competency_gaps
from competency_gaps.stages import pipeline
from competency_gaps.stages import extraction
extraction.SHARD_ITEMS, extraction.GENERATED_ITEMS, extraction.SHARD_TOKENS = {items}, {items}, {tokens}
config, out, limit = json.loads(sys.argv[1]), sys.argv[2], float(sys.argv[3])
start = time.process_time()
def watch():
    while time.process_time() - start < limit:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)
if limit > 0:
    threading.Thread(target=watch, daemon=True).start()
competency_gaps.run(config, out)
print(time.process_time() - start)
"""


def child(config, folder, limit: float) -> subprocess.CompletedProcess:
    """Run in a process that kills itself after some seconds of CPU time, whatever the load of the machine."""
    code = CHILD.format(items=ITEMS, tokens=TOKENS)
    return subprocess.run(
        [sys.executable, "-c", code, json.dumps(config), str(folder), str(limit)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"},
        timeout=250,
    )


@pytest.fixture(scope="module")
def seconds(config, tmp_path_factory) -> float:
    """CPU time of a whole run in such a process."""
    whole = child(config, tmp_path_factory.mktemp("whole") / "run", 0)
    assert whole.returncode == 0, whole.stderr[-2000:]
    return float(whole.stdout.split()[-1])


def killed_twice_and_resumed(config, undisturbed, folder, seconds: float) -> None:
    seed = int.from_bytes(os.urandom(4))
    first, second = np.random.default_rng(seed).uniform(0.1, 0.9, 2)
    limit = seconds * 0.9 * first
    while (done := child(config, folder, limit)).returncode == 0 and limit > 0.01:
        # Threads that wait spin or sleep as the machine is busy or idle: it was done with less than was measured.
        shutil.rmtree(folder)
        limit /= 2
    assert done.returncode == -signal.SIGKILL, f"seed {seed}: {done.stderr[-2000:]}"
    # The second process has less to do, so it may be done before it is killed.
    assert child(config, folder, seconds * first * second).returncode in (0, -signal.SIGKILL), f"seed {seed}"
    assert_same_run(competency_gaps.run(config, folder), undisturbed)


@pytest.mark.parametrize("config", ["all", pytest.param("question", marks=pytest.mark.slow)], indirect=True)
def test_killed_twice(config, undisturbed, seconds, tmp_path):
    killed_twice_and_resumed(config, undisturbed, tmp_path / "run", seconds)


def test_killed_while_the_plan_was_written(config, undisturbed, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".plan.json.part").write_text("{")
    assert_same_run(competency_gaps.run(config, folder), undisturbed)


def test_damaged_shards_are_computed_again_with_a_warning(config, undisturbed, tmp_path, monkeypatch, caplog):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed.path, folder)
    answers = folder / "responses" / "b000-0001.parquet"
    content = bytearray(answers.read_bytes())
    content[len(content) // 2] ^= 1
    answers.write_bytes(content)
    rows = folder / "activations" / "b001-0000.safetensors"
    rows.write_bytes(rows.read_bytes()[:-9])
    stamp = folder / "activations" / "b000-0000.json"
    stamp.write_text("{")
    read = stop_at(monkeypatch, ShardReader, "read", 10_000)
    with caplog.at_level(logging.WARNING):
        run = competency_gaps.run(config, folder)
    said = [r.getMessage() for r in caplog.records if "does not match its checksum" in r.getMessage()]
    assert len(said) == 3 and all(any(str(path) in one for one in said) for path in (answers, rows))
    assert len(read) == 3
    assert_same_run(run, undisturbed)


def test_a_shard_made_of_other_input_is_made_again(config, undisturbed, tmp_path, caplog):
    """Intact by its checksum, but of another item, as after a change of the tokenizer or template."""
    folder = tmp_path / "run"
    shutil.copytree(undisturbed.path, folder)
    for suffix in (".safetensors", ".json"):
        shutil.copy(folder / "activations" / f"b000-0001{suffix}", folder / "activations" / f"b000-0000{suffix}")
    with caplog.at_level(logging.WARNING):
        run = competency_gaps.run(config, folder)
    assert "was made of other input" in caplog.text
    assert_same_run(run, undisturbed)


def disk_full_errors():
    import polars as pl
    from safetensors import SafetensorError

    return [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        # What the two libraries raise on a full disk, word for word; neither is an OSError.
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        pl.exceptions.ComputeError(
            "parquet: File out of specification: underlying IO error: No space left on device (os error 28)"
        ),
    ]


@pytest.mark.parametrize("which", range(4))
def test_disk_full(which, tmp_path):
    path = tmp_path / "a" / "table.parquet"
    write_atomic(path, lambda part: part.write_text("old") and None)

    def fails(part):
        part.write_text("half")
        raise disk_full_errors()[which]

    with pytest.raises(MachineError, match=r"the disk is full: .*table\.parquet .*is kept"):
        write_atomic(path, fails)
    assert [p.name for p in path.parent.iterdir()] == ["table.parquet"] and path.read_text() == "old"
