"""A run that was stopped, killed, damaged or out of disk space ends in the bytes of an undisturbed run."""

from __future__ import annotations

import errno
import importlib.metadata
import logging
import re
import shutil

import pytest

import competency_gaps
from competency_gaps.model import load
from competency_gaps.pipeline import extraction
from competency_gaps.pipeline.extraction import ShardReader
from competency_gaps.reading.extract import Extractor
from competency_gaps.runs import plan
from competency_gaps.util.errors import MachineError, UserError
from competency_gaps.util.files import write_atomic
from core_helpers import assert_same_run, shard_bytes

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
    told = {**sums, "name": "told", "scorer": "none", "options": {"max_new_tokens": 4}, "sample": 10}
    generation = {"temperature": 0.9, "seed": 3}
    return {
        **tiny_config,
        "benchmarks": [{**quiz, "sample": 20}, {**sums, "sample": 20}, told],
        "generation": generation,
        "span": request.param,
        # The sample is a shard of each benchmark.
        "sae": {**tiny_config["sae"], "gate_tokens": 256, "force": True},
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


@pytest.mark.parametrize(
    ("owner", "name", "calls"),
    [(ShardReader, "read", (1, 4)), (Extractor, "rows", (1, 5)), (ShardReader, "write", (1, 5))],
)
def test_stopped_inside_a_shard(owner, name, calls, config, undisturbed, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    for call in calls:
        with monkeypatch.context() as patch:
            stop_at(patch, owner, name, call)
            with pytest.raises(Stop):
                competency_gaps.run(config, folder)
        with pytest.raises(UserError, match="unfinished"):
            competency_gaps.open_run(folder)
    done = len(shard_bytes(folder))
    with monkeypatch.context() as patch:
        counted = stop_at(patch, owner, name, 10_000)
        run = competency_gaps.run(config, folder)
    assert_same_run(run, undisturbed)
    whole = len([f for f in shard_bytes(undisturbed.path) if f.endswith(".safetensors")])
    kept = sum(c - 1 for c in calls)
    assert done > 0 and len(counted) == whole - kept, "what was finished is not computed again"


def install(patch, **others: str) -> None:
    """Pretend that packages have other versions; another transformers knows one more setting of models."""
    real, settings = importlib.metadata.version, load._settings
    patch.setattr(importlib.metadata, "version", lambda name: others.get(name) or real(name))
    if "transformers" in others:
        patch.setattr(load, "_settings", lambda model: {**settings(model), "new_setting": True})


def test_reading_goes_on_under_other_versions_if_that_is_accepted(config, undisturbed, tmp_path, monkeypatch):
    folder, now = tmp_path / "run", importlib.metadata.version("transformers")
    with monkeypatch.context() as patch, pytest.raises(Stop):
        stop_at(patch, ShardReader, "read", 5)
        competency_gaps.run(config, folder)
    finished = shard_bytes(folder)
    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"differs in format \(\d+ and 99\)"):
        patch.setattr(plan, "FORMAT", 99)
        competency_gaps.run(config, folder)
    with monkeypatch.context() as patch:
        install(patch, transformers="4.0")
        says = rf"transformers {re.escape(now)}, here 4.0: .*--set accept_versions=true"
        with pytest.raises(UserError, match=says):
            competency_gaps.run(config, folder)
        assert shard_bytes(folder) == finished
        run = competency_gaps.run({**config, "accept_versions": True}, folder)
        assert {versions["transformers"] for versions in run.manifest["read"]["versions"]} == {"4.0", now}
    with monkeypatch.context() as patch:
        install(patch, **{"competency-gaps": "0.3"})
        run = competency_gaps.run(config, folder)
    assert run.items.equals(undisturbed.items), "a run that is read to its end needs no leave"


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
    assert "was made from other input" in caplog.text
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
