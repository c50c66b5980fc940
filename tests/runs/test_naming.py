"""Adding a dictionary to a run: the same by the pipeline and afterwards; an error leaves the run unchanged."""

from __future__ import annotations

import shutil

import numpy as np
import polars as pl
import pytest

import competency_gaps
from competency_gaps.concepts.atlas import examples_of, write_atlas
from competency_gaps.concepts.document import write_tables
from competency_gaps.concepts.folder import write_dictionary
from competency_gaps.concepts.labels import FILE, SCHEMA
from competency_gaps.pipeline.naming import COUNTS, ITEMS, REGIONS, name_finished_run
from competency_gaps.runs.open import open_folder
from competency_gaps.slices import MIN_ITEMS, read_slices
from competency_gaps.slices.regions import regions_of
from competency_gaps.util.errors import UserError
from core_helpers import hand_atlas


@pytest.fixture
def dictionary(tmp_path, tiny_run):
    folder, width = tmp_path / "dictionary", tiny_run.width
    write_dictionary(folder, tiny_run.manifest["sae"])
    row = dict.fromkeys(SCHEMA) | {"kind": "explained", "explainer": "me", "placeholder": False, "date": "2026-01-01"}
    labels = [
        {**row, "concept": c, "label": f"label {c}", "score": 0.6 + c / 100, "scored_by": "detection"} for c in range(5)
    ]
    write_tables(folder, {FILE: pl.DataFrame([*labels, {**row, "concept": 7}], schema=SCHEMA).write_parquet})
    write_atlas(folder, hand_atlas(width))
    return folder


def test_a_finished_run_is_named(tiny_run, run, dictionary):
    named = name_finished_run(run.path, dictionary)
    concepts = named.concepts
    assert concepts["label"].to_list()[:6] == [*(f"label {c}" for c in range(5)), None]
    assert concepts["label_state"].to_list()[:8] == ["labelled"] * 5 + ["never", "never", "none"]
    assert concepts["label_score"][4] == 0.64 and concepts["label_scored_by"][4] == "detection"
    labels = [name for name in concepts.columns if name.startswith("label") or name in ("explainer", "region")]
    assert concepts.drop(labels).equals(tiny_run.concepts.drop(labels), null_equal=True), "nothing else changes"
    assert named.manifest["dictionary"]["labelled"] == 5 and named.manifest["dictionary"]["regions"] == 8


def test_items_lie_where_the_atlas_has_their_concepts(run, dictionary):
    run, atlas = name_finished_run(run.path, dictionary), hand_atlas(run.width)
    assert run.regions.equals(atlas.regions) and run.region_counts.equals(atlas.counts)
    assert run.concepts["region"].fill_null(-1).to_list() == atlas.concept_region.tolist()
    # Of this atlas the space has a direction for each eighth of the concepts, which is a finest region's centre.
    rows = np.concatenate([run.cas(name).toarray() for name in run.benchmarks["benchmark"]])
    space = np.log1p(rows) @ atlas.projection.astype(float)
    space /= np.maximum(np.linalg.norm(space, axis=1, keepdims=True), 1e-9)
    kept = run.items["excluded"].is_null().to_numpy()
    located = run.item_regions
    assert located.filter(pl.Series(~kept)).null_count().row(0) == ((~kept).sum(),) * 5
    found = located.filter(pl.Series(kept))
    for row, own in zip(found.iter_rows(named=True), space[kept], strict=True):
        pair = own.reshape(4, 2).sum(axis=1).argmax()
        best = 2 * pair + own[2 * pair : 2 * pair + 2].argmax()
        assert row["region"] == 6 + best and row["likeness"] == pytest.approx(own[best], abs=0.01)
    assert (found["unlike"].to_numpy() == (found["likeness"].to_numpy() < atlas.reach)).all()
    pairs = space[kept].reshape(-1, 4, 2).sum(axis=2)  # likeness to the regions of the second level, two in each half
    for region, (typical, edge) in enumerate(examples_of(atlas, space[kept].astype(np.float32))[:2]):
        margin = pairs[:, 2 * region :][:, :2].max(axis=1) - pairs[:, 2 - 2 * region :][:, :2].max(axis=1)
        others = np.setdiff1d(np.flatnonzero(pairs.argmax(axis=1) // 2 == region), typical)
        assert margin[edge] == pytest.approx(np.sort(margin[others])[:4], abs=1e-5) and len(edge)
    (family,) = (family for family in read_slices(run) if family.name == "regions")
    above = dict(run.regions.select("region", "parent").iter_rows())
    paths = [
        {at, above[at], above[above[at]]} if unlike is False else set()
        for at, unlike in located.select("region", "unlike").iter_rows()
    ]
    inside = {region: [region in path for path in paths] for region in above}
    told = {above[region] for region in above if inside[region] == inside.get(above[region])}  # by a finer name
    expected = [region for region in above if sum(inside[region]) >= MIN_ITEMS and region not in told]
    assert family.names == [f"region {region}" for region in expected] != []
    assert (family.weights.toarray() > 0).tolist() == [inside[region] for region in expected]
    quoting = regions_of(run.regions.with_columns(kind=pl.lit("words")), located)
    assert [*map(list, quoting.words)] == [[name] for name in family.names] and not any(family.words)
    likeness = located["likeness"].to_numpy()
    for place, (region, typical) in enumerate(zip(expected, family.typical, strict=True)):
        best = np.flatnonzero(inside[region])
        assert typical == best[np.argsort(-likeness[best], kind="stable")][:2].tolist()
        over = above[region]
        while over is not None and over not in expected:
            over = above[over]
        known = -1 if over is None else family.number[expected.index(over)]
        assert family.parent[place] == known


def test_a_run_takes_the_dictionary_that_is_configured(tiny_config, tiny_run, run, dictionary, tmp_path):
    config = {**tiny_config, "sae": {**tiny_config["sae"], "dictionary": str(dictionary)}}
    folder, other = run.path, shutil.copytree(tiny_run.path, tmp_path / "named")
    run = competency_gaps.run(config, folder)
    assert run.concepts["label"][3] == "label 3"
    assert run.scan("slices").collect().equals(name_finished_run(other, dictionary).scan("slices").collect())
    assert run.item_regions.equals(open_folder(other).item_regions)
    again = competency_gaps.run(tiny_config, folder)
    assert again.concepts["label"].null_count() == again.width and again.regions is None
    assert not any((folder / name).exists() for name in (REGIONS, COUNTS, ITEMS))
    assert "regions" not in again.manifest["slices"]


def test_another_saes_dictionary_is_refused(tiny_config, run, dictionary, tmp_path):
    other = tmp_path / "other"
    write_dictionary(other, {**run.manifest["sae"], "weights_sha256": "0" * 64})
    with pytest.raises(UserError, match="belongs to another SAE"):
        name_finished_run(run.path, other)
    config = {**tiny_config, "sae": {**tiny_config["sae"], "dictionary": str(other)}}
    with pytest.raises(UserError, match="belongs to another SAE"):
        competency_gaps.run(config, tmp_path / "new")


def test_a_fault_leaves_the_run_as_it_was(run, dictionary):
    folder = run.path
    name_finished_run(folder, dictionary)
    (folder / "slices.parquet").write_bytes(b"no table")
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(UserError):
        name_finished_run(folder, dictionary)
    assert files == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
