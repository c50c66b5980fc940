"""The tables that a page reads, against the run's own."""

from __future__ import annotations

import io
import json

import numpy as np
import polars as pl
import pytest
from explorer_runs import HUGE, NAMES

from competency_gaps.runs.open import open_folder
from competency_gaps.util.text import visible
from competency_gaps.view.page.parts import Context, NoSuchPartError, Parts
from competency_gaps.view.page.parts.excerpts import EXCERPT
from competency_gaps.view.page.parts.records import as_json
from competency_gaps.view.page.parts.records.run import AssociationTest


@pytest.fixture
def parts(hostile) -> Parts:
    return Parts(Context(open_folder(hostile.run), "a"))


def read(parts: Parts, name: str) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(parts.read(name)))


def same(found: pl.Series, expected: pl.Series) -> None:
    """Equal as the page's type holds it; null where the run says null."""
    assert found.null_count() == expected.null_count(), found.name
    assert found.equals(expected.cast(found.dtype), null_equal=True), found.name


def test_concepts_are_the_runs(parts, hostile):
    run, found = open_folder(hostile.run), read(parts, "concepts.parquet")
    assert found.height == run.width
    for name in found.columns:
        same(found[name], run.concepts[name])
    assert found["chi_model"].dtype == pl.Float32 and found["chi_model"].null_count() > 0


def test_a_benchmarks_concepts_are_its_own(parts, hostile):
    run = open_folder(hostile.run)
    for place, name in enumerate(NAMES):
        found = read(parts, f"concepts/{place}.parquet")
        own = run.concept_benchmarks.filter(pl.col("benchmark") == name).sort("concept")
        for column in found.columns:
            same(found[column], own[column])
    assert read(parts, "concepts/3.parquet")["chi_bench"].null_count() == run.width, "nothing is kept of the last"


def test_items_are_the_runs(parts, hostile):
    run, found = open_folder(hostile.run), read(parts, "items.parquet")
    assert found.height == run.items.height
    assert [NAMES[place] for place in found["benchmark"]] == run.items["benchmark"].to_list()
    for name in ("item_id", "group", "score", "scorer", "n_tokens"):
        same(found[name], run.items[name])
    for name in ("excluded", "unscored"):
        same(found[name], run.items[name].struct.field("text"))


def test_the_atlas_is_the_runs(parts, hostile, bare):
    run, found = open_folder(hostile.run), read(parts, "item_regions.parquet")
    assert found.equals(run.item_regions) and found["region"].is_null().equals(run.items["excluded"].is_not_null())
    without = Parts(Context(open_folder(bare.run), "a"))
    assert "item_regions.parquet" not in without.names()
    assert read(without, "concepts.parquet")["region"].null_count() == run.width


def test_excerpts_are_one_visible_line_of_160_characters(parts, hostile):
    found = read(parts, "items.parquet")["excerpt"]
    for prompt, excerpt in zip(open_folder(hostile.run).items["prompt"], found, strict=True):
        line = " ".join(prompt[: 2 * EXCERPT].split())
        expected = visible(line[:EXCERPT]) + ("…" if len(line) > EXCERPT else "")
        assert excerpt == expected
        assert "\n" not in excerpt and "\u202e" not in excerpt and "\x1b" not in excerpt
    texts = " ".join(found)
    assert "<U+202E>" in texts and "<U+0000>" in texts and "𝒳" in texts
    assert found.str.len_chars().max() <= EXCERPT + 40
    assert max(len(prompt) for prompt in open_folder(hostile.run).items["prompt"]) == HUGE


def test_json_has_a_float32s_digits_foreign_numbers_all_digits():
    values = AssociationTest(12345.678901234, 0.1 + 0.2, "x"), AssociationTest(float("nan"), -1e-50, "x")
    shown = json.loads(as_json([*values, {"price": 0.12345678912345, "none": float("inf")}]))
    assert shown[0] == {"min_n_eff": 12345.68, "min_association": 0.3, "alike": "x"}
    assert shown[1] == {"min_n_eff": None, "min_association": -1e-50, "alike": "x"}
    assert shown[2] == {"price": 0.12345678912345, "none": None}
    for number in np.random.default_rng(3).lognormal(0, 8, 2_000).astype(np.float32):
        (held,) = json.loads(as_json([float(number)]))
        assert abs(held - float(number)) <= 5.1e-7 * number


@pytest.mark.parametrize(
    "name",
    [
        "../manifest.json",
        "concepts/00.parquet",
        "concepts/4.parquet",
        "concept/96.json",
        "concept/1.json\n",
        "item/１.json",
    ],
)
def test_other_names_are_no_parts(parts, name):
    with pytest.raises(NoSuchPartError):
        parts.read(name)
