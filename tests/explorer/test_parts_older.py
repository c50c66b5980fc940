"""A run that an older version wrote is shown: what its tables lack is null in every part and query."""

from __future__ import annotations

import io
import json
import shutil

import polars as pl
import pytest
from explorer_runs import NAMES

from competency_gaps.dictionary.of_run import dictionary_of
from competency_gaps.explorer.parts import Parts
from competency_gaps.explorer.parts.older import ADDED, complete, scan
from competency_gaps.explorer.parts.probing import probe
from competency_gaps.explorer.parts.tables import BENCHMARK, CONCEPTS, ITEMS
from competency_gaps.explorer.queries.registry import QUERIES, ask
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.runs.open import open_folder

LATER = {
    "concepts": ("chance_seen", "exact_token", "leader", "label_state", "drawn"),
    "concept_benchmarks": ("chance_seen", "leader", "share", "drawn"),
    "items": ("own_start", "own_end", "identity", "greedy", "details", "epochs", "group"),
}
"""Columns that some earlier version did not write."""


@pytest.fixture(scope="module")
def old(hostile, tmp_path_factory):
    """The drawn run as an earlier version would have written it."""
    folder = tmp_path_factory.mktemp("old") / "run"
    shutil.copytree(hostile.run, folder)
    for table, columns in LATER.items():
        path = folder / f"{table}.parquet"
        pl.read_parquet(path).drop(columns).write_parquet(path)
    return folder


def test_types_are_those_of_a_table_written_today(hostile):
    for table, columns in ADDED.items():
        today = pl.read_parquet(hostile.run / f"{table}.parquet")
        assert {name: today.schema[name] for name in columns} == dict(columns)
        without = today.drop(list(columns))
        assert complete(without, table).select(today.columns).schema == today.schema
        assert complete(today, table).equals(today)


def test_scanned_tables_have_what_they_lack(old):
    run = open_folder(old)
    for table, columns in LATER.items():
        frame = scan(run, table).collect()
        assert all(frame[name].null_count() == frame.height for name in columns if name != "leader")


def test_without_groups_each_weak_or_strong_concept_leads_itself(old):
    for table in ("concepts", "concept_benchmarks"):
        for row in scan(open_folder(old), table).collect().iter_rows(named=True):
            leads = row["performance_status"] in ("weak", "strong")
            assert row["leader"] == (row["concept"] if leads else None)


@pytest.mark.parametrize("redact", [False, True])
def test_settings_of_another_version_are_shown_as_they_are(hostile, tmp_path, redact):
    folder = tmp_path / "run"
    shutil.copytree(hostile.run, folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["settings"]["sae"] = {**manifest["settings"].get("sae", {}), "of_another_version": 3}
    path.write_text(json.dumps(manifest))
    parts = Parts(open_folder(folder), key="old", redact=redact)
    info = json.loads(parts.read("run.json"))
    assert redact or ["sae.of_another_version", "3"] in info["settings"]
    _, says = probe(parts.context, [1], "--concept", "1")
    assert says.startswith("No new items can be generated")


@pytest.mark.parametrize("redact", [False, True])
def test_every_part_can_be_read(hostile, old, redact):
    run = open_folder(old)
    parts = Parts(
        run,
        key="old",
        dictionary=dictionary_of(run, hostile.dictionary),
        redact=redact,
        concepts_per_part=40,
        items_per_part=100,
    )
    found = {name: parts.read(name) for name in parts.names()}
    assert parts.search("Roman", 5)["total"] > 0 or redact
    for name, columns in (("concepts", CONCEPTS), ("concepts/0", BENCHMARK), ("items", ITEMS)):
        table = pl.read_parquet(io.BytesIO(found[f"{name}.parquet"]))
        assert set(columns) <= set(table.columns)
        lacking = set(LATER[{"concepts/0": "concept_benchmarks"}.get(name, name)]) & set(table.columns) - {"leader"}
        assert lacking and all(table[column].null_count() == table.height for column in lacking)
    (item, *_) = json.loads(found["item/0.json"])
    assert item["own"] is None and item["details"] is None and item["group"] is None and item["epochs"] == 1
    shown = {spec["key"] for spec in json.loads(found["run.json"])["columns"]}
    assert "chance_seen" not in shown and "gap" in shown


@pytest.mark.parametrize("name", list(QUERIES))
def test_every_query_can_be_asked(hostile, old, name):
    run = open_folder(old)
    subject = Subject(Parts(run, key="old", dictionary=dictionary_of(run, hostile.dictionary)))
    wanted = {
        "top_concepts": [{}, {"benchmark": NAMES[0]}],
        "concept": [{"concept": 1}],
        "find_items": [{}, {"concept": 1}, {"text": "Roman"}, {"group": "even"}],
        "item": [{"item": 0}],
        "theme": [{"theme": 0}],
        "finding": [{"finding": 0}],
        "correlation": [{"first": NAMES[0], "second": NAMES[1]}],
    }
    for arguments in wanted.get(name, [{}]):
        assert "error" not in ask(subject, name, arguments), arguments
