"""However often a run is interrupted, its folder stays held until what is being written is whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from competency_gaps.activations.pooling import SparseRow
from competency_gaps.activations.store import make_block
from competency_gaps.config import GenerationConfig
from competency_gaps.lock import HeldError, hold
from competency_gaps.stages.extraction import Shard, ShardReader
from core_helpers import ROOT

RUN = """
import json, signal, sys, time
from pathlib import Path

import competency_gaps
from competency_gaps.stages.extraction import ShardReader

read, write = ShardReader.read, ShardReader.write

def reading(self, *rest):
    content = read(self, *rest)
    # polars has put a handler before Python's, with which waiting goes on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print("read", flush=True)
    return content

def slowly(self, shard, content):
    print("writes", flush=True)
    while not Path(sys.argv[3]).exists():
        time.sleep(0.05)
    draft = write(self, shard, content)
    print("wrote", flush=True)
    return draft

ShardReader.read, ShardReader.write = reading, slowly
try:
    competency_gaps.run(json.loads(sys.argv[1]), Path(sys.argv[2]))
except KeyboardInterrupt:
    print("goes on", flush=True)
    sys.stdin.read()
"""
"""As in a notebook: the process outlives the run."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_the_lock_outlasts_the_thread_that_writes(tiny_config, tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, json.dumps(tiny_config), str(folder), str(tmp_path / "go on")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"},
    )
    try:
        assert process.stdout is not None
        # Two are read, and the first is being written.
        lines = Counter(process.stdout.readline() for _ in range(3))
        assert lines == {"read\n": 2, "writes\n": 1}
        # The first ends the reading, which waits for the writer; the second and third end the waits after it.
        for _ in range(3):
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            with pytest.raises(HeldError), hold(folder):
                pass
        assert process.stdout.readline() == "goes on\n"
        with pytest.raises(HeldError), hold(folder):
            pass
        (tmp_path / "go on").touch()
        assert [process.stdout.readline() for _ in range(3)] == ["wrote\n", "writes\n", "wrote\n"]
        assert _is_let_go(folder) and process.poll() is None
    finally:
        process.kill()
        process.communicate()
    stamps = [path.stem for path in (folder / "responses").glob("*.json")]
    assert len(stamps) == 2, "what was read counts: the shard that was being written, and the one that waited"


def _is_let_go(folder: Path) -> bool:
    for _ in range(100):
        with suppress(HeldError), hold(folder):
            return True
        time.sleep(0.1)
    return False


INTERRUPTED = """
import os, signal, sys, threading
from pathlib import Path

import polars as pl

from competency_gaps.stages.engines import read_here
from test_interrupted_write import one_shard

table, tries = pl.DataFrame({"number": range(3_000_000)}).cast(pl.String), []

def write(*_):
    tries.append(1)
    if len(tries) == 1:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            for _ in range(100):
                table.write_parquet(sys.argv[1] + "/table.parquet")
        except KeyboardInterrupt:
            print("polars was interrupted")
            raise
    return "draft"

work = one_shard(Path(sys.argv[1]), write=write)
work.commit = lambda task, draft: print("commits")
try:
    read_here(work)
except KeyboardInterrupt:
    print("interrupted")
"""
"""A shard that is written while the main thread waits, as at the end of a benchmark."""


def one_shard(folder: Path, **reader: Any) -> Any:
    """One shard to read."""
    task = SimpleNamespace(plan=SimpleNamespace(name="sums"), shard=None)
    content = SimpleNamespace(responses=pl.DataFrame(schema={"excluded": pl.String}))
    bar = SimpleNamespace(note=lambda _: None, advance=None)
    reader = SimpleNamespace(read=lambda *_: content, **reader)
    return SimpleNamespace(missing=[task], reader=reader, bar=bar, folder=folder, check=lambda *_: None)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_what_polars_was_writing_when_an_interrupt_came_is_written(tmp_path):
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path)]
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("src", "tests", "tests/runs"))
    env = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert done.stdout.split("\n")[:-1] == ["polars was interrupted", "commits", "interrupted"], done.stderr


def test_rows_whose_responses_cannot_be_written_are_not_left(tmp_path):
    reader = ShardReader(tmp_path, SimpleNamespace(sae=SimpleNamespace(d_sae=4)), "question", None, GenerationConfig())
    row = SparseRow(np.array([1], np.int32), np.array([0.5], np.float32), np.array([0], np.int32))
    block = make_block(np.arange(1), [row], [np.arange(1)], [(np.arange(1), np.zeros((1, 2), np.int32))], 4)

    def full(_path: Path) -> None:
        raise OSError("No space left on device")

    content = SimpleNamespace(block=block, tokens={}, responses=SimpleNamespace(write_parquet=full))
    with pytest.raises(OSError, match="space"):
        reader.write(Shard("b000-0000", [0], "made of"), content)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
