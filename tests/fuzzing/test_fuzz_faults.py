"""Content that once ended in another error than one of this package's."""

from __future__ import annotations

import struct
import tracemalloc

import polars as pl
import pytest
from fuzz_readers import read_log
from fuzz_samples import LOGS, REFERENCE, autodetect, garak_rows, saes

from competency_gaps.items.config import BenchmarkConfig
from competency_gaps.items.config.load import read_yaml
from competency_gaps.logs.find import find_parts
from competency_gaps.pipeline.load import load_benchmark
from competency_gaps.sae.reference import read_reference
from competency_gaps.slices.lists import read_list
from competency_gaps.util.errors import UserError
from core_helpers import write_lines
from log_samples import attempt, sample
from sae_helpers import LATENTS

HUGE = 10**400
"""A whole number in JSON that no float holds."""


def loaded(path, **source):
    (part,) = find_parts(path)
    kind = {"kind": "log", "path": str(path), "format": part.format, **source}
    return load_benchmark(BenchmarkConfig(name="x", source=kind))


def test_numbers_beyond_floats_are_no_scores(tmp_path):
    rows = [sample(0), sample(1, exact_match=HUGE, resps=[[[HUGE, "False"]]])]
    log = write_lines(tmp_path / "samples_sums_2026-11-24T10-00-00.000001.jsonl", rows)
    with pytest.raises(UserError, match="outside"):
        loaded(log)
    assert [item.score for item in loaded(log, metric="none").items] == [None, None]
    report = write_lines(tmp_path / "x.report.jsonl", [*garak_rows(), attempt("w", {"a": [HUGE, 0]}, seq=2)])
    assert len(loaded(report).items) == 3
    file = write_lines(tmp_path / "a.jsonl", [{"prompt": "x", "score": HUGE}])
    with pytest.raises(UserError, match="is not a number"):
        load_benchmark(BenchmarkConfig(name="x", source={"kind": "file", "path": str(file)}, scorer="imported"))
    autodetect(tmp_path / "points")
    (log,) = (tmp_path / "points").rglob("log.json")
    log.write_text(log.read_text().replace('"score": 7', f'"score": {HUGE}'))
    assert all(entry.score is None or 0 <= entry.score <= 1 for entry in read_list(log.parent))


@pytest.mark.parametrize("content", [b"a: \xff", b"[" * 50_000, b"a: 2026-99-99", b"a: " + b"9" * 5000])
def test_a_configuration_that_is_no_yaml(tmp_path, content):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is not valid YAML"):
        read_yaml(path)


def test_declared_sizes_of_zip_members_take_no_memory(tmp_path):
    _, log, _ = LOGS["inspect"](tmp_path)
    name, content = b"samples/p_epoch_1.json", bytearray(log.read_bytes())
    entry = content.rindex(b"PK\1\2", 0, content.rindex(name))  # in the directory at the end of the file
    content[entry + 20 : entry + 24] = struct.pack("<I", 2**31 - 1)
    log.write_bytes(content)
    (part,) = find_parts(log)
    tracemalloc.start()
    try:
        read_log(log)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100_000_000
    assert part.format == "inspect"
    kept = loaded(log)
    assert [item.id for item in kept.items] == ["q"]
    assert [(out.where, out.reason.code) for out in kept.left_out] == [
        ("log.eval, samples/p_epoch_1.json", "sample_lost")
    ]


@pytest.mark.parametrize("passed", [3, 10**9, -1, HUGE])
def test_more_passes_in_a_report_of_garak_than_it_judged(tmp_path, passed):
    rows = garak_rows()[2:]  # without the threshold, which is found by the passes then
    more = {"passed": passed, "total_evaluated": 4}
    changed = [{**row, **more} if row["entry_type"] == "eval" else row for row in rows]
    report = write_lines(tmp_path / "x.report.jsonl", changed)
    assert loaded(report).items
    read_log(report)


def test_structs_in_a_reference_are_refused(tmp_path):
    (folder, _) = saes(tmp_path)
    file = folder / REFERENCE
    table = pl.read_parquet(file)
    table.with_columns(pl.struct("concept").alias("markup")).write_parquet(file)
    with pytest.raises(UserError, match="markup"):
        read_reference(file, LATENTS)
