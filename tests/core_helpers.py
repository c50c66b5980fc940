"""What several tests of the core share: loaded tiny models, and an independent way to find a text's tokens."""

from __future__ import annotations

import functools
import io
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from competency_gaps.concepts.atlas import Atlas
from competency_gaps.reading.profiles import Scale
from competency_gaps.runs.schemas import REGION_COUNTS, REGIONS

KINDS = ("llama", "qwen2", "gemma2", "gpt2")
ROOT = Path(__file__).resolve().parents[1]
TEXT = (
    "The quick brown fox jumps over the lazy dog. What is the capital of France? Paris is a city in France. "
    "How many days are there in March? There are 31 days. Question: Answer: A. B. C. D. yes no 1 2 3 4 5 6 7 8 9 0. "
    "Compute the sum of two numbers and reverse the word. A palindrome reads the same forwards and backwards. "
)


@functools.cache
def loaded(folder: Path):
    """A tiny model as the package loads it, once per folder."""
    from competency_gaps.items.config import ModelConfig
    from competency_gaps.model.load import load_model

    return load_model(ModelConfig(name=str(folder), dtype="float32", device="cpu"))


@functools.cache
def _byte_of() -> dict[str, int]:
    """GPT-2's table of printable characters for bytes, rebuilt from its definition."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(b): b for b in printable}
    hidden = [b for b in range(256) if b not in printable]
    return {**table, **{chr(256 + i): b for i, b in enumerate(hidden)}}


def token_bytes(tokenizer, token: int) -> bytes:
    """The bytes that one token of a byte-level vocabulary stands for."""
    text = tokenizer.convert_ids_to_tokens(int(token))
    if int(token) in tokenizer.all_special_ids:
        return text.encode()
    return bytes(_byte_of()[c] for c in text)


def tokens_of_range(tokenizer, ids, text: str, start: int, end: int) -> np.ndarray:
    """Tokens that hold a byte of ``text[start:end]``, from the tokens' bytes alone, without offsets."""
    pieces = [token_bytes(tokenizer, i) for i in ids]
    assert b"".join(pieces) == text.encode(), "the tokens do not spell the text"
    ends = np.cumsum([len(p) for p in pieces])
    starts = ends - [len(p) for p in pieces]
    first, last = len(text[:start].encode()), len(text[:end].encode())
    return (starts < last) & (ends > first)


def command(*arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None, code: str | None = None):
    """Run ``cgaps`` in this process; with ``code`` or ``env``, that Python code or ``cgaps`` in one of its own."""
    if code is None and env is None:
        return _command_here(arguments, cwd or Path.cwd())
    return subprocess.run(
        [sys.executable, "-c", code or "from competency_gaps.cli.app import main; main()", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1", **(env or {})},
        timeout=240,
    )


def _command_here(arguments: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    from competency_gaps.cli import app

    out, err, status = io.StringIO(), io.StringIO(), 0
    handler = logging.StreamHandler(err)
    with pytest.MonkeyPatch.context() as patch, chdir(cwd), redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["cgaps", *arguments])
        patch.setattr(app, "_quiet_libraries", lambda console: None)
        logging.getLogger().addHandler(handler)
        try:
            app.main()
        except SystemExit as leave:
            status = int(leave.code or 0)
        finally:
            logging.getLogger().removeHandler(handler)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def write_lines(path: Path, rows: Iterable[Any]) -> Path:
    """Write JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def objects(name: str, items: list[dict], scorer: str | None = None, **settings: Any) -> dict:
    """A benchmark of records, as a configuration has it."""
    return {"name": name, "source": {"kind": "objects", "items": items}, "scorer": scorer, **settings}


def with_benchmarks(config: dict, benchmarks: list[dict], **settings: Any) -> dict:
    """A configuration of other benchmarks; the gate, which has tests of its own, need not pass so few tokens."""
    return {**config, "sae": {**config["sae"], "force": True}, "benchmarks": benchmarks, **settings}


def copied(run, places: pytest.TempPathFactory):
    """A copy of a run that may be changed."""
    import competency_gaps

    return competency_gaps.open_run(shutil.copytree(run.path, places.mktemp("copied") / "run"))


def shard_bytes(folder: Path) -> dict[str, bytes]:
    """Every shard of a run folder by its place."""
    files = [p for sub in ("responses", "activations") for p in (folder / sub).rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


HOLD = """
import sys
from pathlib import Path
from competency_gaps.util.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(folder: Path, before: str = ""):
    """Another process, which runs some code before, that holds a folder while the body runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", before + HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def read_only(folder: Path):
    """A folder may be read but not written while the body runs; root, whom no mode binds, becomes another user."""
    user, paths = os.geteuid(), [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        if user == 0:
            os.seteuid(65534)  # owns nothing
        yield
    finally:
        os.seteuid(user)
        for path in paths:
            path.chmod(0o755)


def seal(folder: Path) -> None:
    """Record a run's tables and manifest as they are, after a test has changed them by hand."""
    from competency_gaps.runs.manifest import write_manifest

    held = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    write_manifest(folder, {key: value for key, value in held.items() if key not in ("checksum", "schema_version")})


def seal_dictionary(folder: Path) -> None:
    """Record a dictionary's tables as they are, after a test has written them by hand."""
    from competency_gaps.util.checked import entry_of, write_document

    held = json.loads((folder / "dictionary.json").read_text(encoding="utf-8"))
    tables = folder.glob("*.parquet")
    write_document(folder / "dictionary.json", {**held, "files": {path.name: entry_of(path) for path in tables}})


STORED = 1.01 * 2.0**-10
"""Relative distance of stored CAS that belong to nearly equal ones: they may be neighbours in float16."""
TABLES = ("items", "concepts", "concept_benchmarks", "benchmarks", "overlap")


def hand_atlas(width: int, names: Sequence[str] = ()) -> Atlas:
    """Each eighth of the concepts, in their order, makes a finest region; two of these a middle one, four a coarse one.

    Names are those given, then ``region N``.
    """
    own = np.arange(width) * 8 // width
    finest = np.eye(8, dtype=np.float32)
    middle, coarse = (np.kron(np.eye(8 // n), np.full(n, n**-0.5)).astype(np.float32) for n in (2, 4))
    regions = pl.DataFrame(
        {
            "region": range(14),
            "level": [1] * 2 + [2] * 4 + [3] * 8,
            "parent": [None, None, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5],
            "name": [*names, *(f"region {number}" for number in range(len(names), 14))],
            "kind": ["written"] * 14,
            "x": [4, 12, 2, 6, 10, 14, *range(1, 16, 2)],
            "y": [number % 3 for number in range(14)],
            "items": [40, 40, *[20] * 4, *[10] * 8],
        },
        schema=REGIONS,
        strict=False,
    )
    return Atlas(
        scale=Scale(np.arange(width, dtype=np.int32), *np.ones((2, width), np.float32)),
        projection=finest[own],
        centres=np.concatenate([coarse, middle, finest]),
        reach=0.5,
        concept_region=np.where(np.arange(width) < width - 4, 6 + own, -1).astype(np.int32),
        regions=regions,
        counts=pl.DataFrame({"benchmark": ["b", "a"], "region": [6, 13], "items": [7, 3]}, schema=REGION_COUNTS),
    )


def assert_same_run(a, b) -> None:
    """Tables equal value for value, shards byte for byte."""
    for name in TABLES:
        assert getattr(a, name).equals(getattr(b, name), null_equal=True), name
    first, second = (run.scan("slices").collect() for run in (a, b))
    assert first.equals(second, null_equal=True)
    assert shard_bytes(a.path) == shard_bytes(b.path)


def benchmark_of(name: str, objects, *, fields=None, scorer: str | None = None):
    """A benchmark of records (as in a JSONL file) and ready items."""
    from competency_gaps.items.records import Record, gather

    entries = [
        Record(entry, f"benchmark {name!r}, object {number}") if isinstance(entry, dict) else entry
        for number, entry in enumerate(objects, start=1)
    ]
    return gather(entries, name, source=f"benchmark {name!r}", fields=fields or {}, scorer=scorer)


class RayErrors:
    """The exceptions of Ray that the package knows, without Ray."""

    class RayError(Exception):
        pass

    class RayTaskError(RayError):
        pass

    class ObjectStoreFullError(RayError):
        pass

    class OutOfDiskError(RayError):
        pass


def with_groups(folder: Path, names: Sequence[str]) -> None:
    """Give a run's items groups by turns, and make its slices anew."""
    from competency_gaps.runs.open import open_folder
    from competency_gaps.slices.make import write_slices

    table = pl.read_parquet(folder / "items.parquet")
    table = table.with_columns(group=pl.Series([names[i % len(names)] for i in range(table.height)]))
    table.write_parquet(folder / "items.parquet")
    seal(folder)
    write_slices(open_folder(folder))
