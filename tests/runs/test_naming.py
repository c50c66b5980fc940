"""Adding a dictionary to a run: the same by the pipeline and afterwards; an error leaves the run unchanged."""

from __future__ import annotations

import shutil

import numpy as np
import polars as pl
import pytest

import competency_gaps
from competency_gaps.dictionary.folder import write_dictionary
from competency_gaps.dictionary.labels import SCHEMA, write_label_table
from competency_gaps.dictionary.theme_tables import ThemeNames, name_table, theme_table, write_themes
from competency_gaps.dictionary.themes import ThemeTree
from competency_gaps.errors import UserError
from competency_gaps.runs.open import open_folder
from competency_gaps.stages.naming import THEME_FILES, name_finished_run


@pytest.fixture
def dictionary(tmp_path, tiny_run):
    folder, width = tmp_path / "dictionary", tiny_run.width
    write_dictionary(folder, tiny_run.manifest["sae"])
    row = dict.fromkeys(SCHEMA) | {"kind": "explained", "explainer": "me", "placeholder": False, "date": "2026-01-01"}
    labels = [
        {**row, "concept": c, "label": f"label {c}", "score": 0.6 + c / 100, "scored_by": "detection"} for c in range(5)
    ]
    write_label_table(folder, pl.DataFrame([*labels, {**row, "concept": 7}], schema=SCHEMA))
    number = np.arange(width) // (width // 2)
    themes = theme_table(ThemeTree(number, number, np.zeros((width, 2), np.float32)), np.ones(width, bool))
    write_themes(folder, themes, name_table(ThemeNames(["low", "high"], ["a", "b"]), themes))
    return folder


def test_a_finished_run_is_named(tiny_run, dictionary, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.path, folder)
    before = open_folder(folder).concepts
    named = name_finished_run(folder, dictionary)
    concepts = named.concepts
    assert concepts["label"].to_list()[:6] == [*(f"label {c}" for c in range(5)), None]
    assert concepts["label_state"].to_list()[:8] == ["labelled"] * 5 + ["never", "never", "none"]
    assert concepts["label_score"][4] == 0.64 and concepts["label_scored_by"][4] == "detection"
    labels = [name for name in concepts.columns if name.startswith("label") or name == "explainer"]
    assert concepts.drop(labels).equals(before.drop(labels), null_equal=True), "nothing else changes"
    names = named.theme_names
    assert names.filter(pl.col("level") == "theme")["name"].to_list() == ["low", "high"]
    assert named.themes["theme"].n_unique() == 2
    assert named.manifest["dictionary"]["labelled"] == 5 and named.manifest["dictionary"]["themes"] == 2


def test_a_run_takes_the_dictionary_that_is_configured(tiny_config, tiny_run, dictionary, tmp_path):
    config = {**tiny_config, "sae": {**tiny_config["sae"], "dictionary": str(dictionary)}}
    folder = tmp_path / "configured"
    shutil.copytree(tiny_run.path, folder)
    run = competency_gaps.run(config, folder)
    assert run.concepts["label"][3] == "label 3" and run.theme_names.height == 4
    again = competency_gaps.run(tiny_config, folder)
    assert again.concepts["label"].null_count() == again.width and again.theme_names is None
    assert not any((folder / name).exists() for name in THEME_FILES)


def test_another_saes_dictionary_is_refused(tiny_config, tiny_run, dictionary, tmp_path):
    other = tmp_path / "other"
    write_dictionary(other, {**tiny_run.manifest["sae"], "weights_sha256": "0" * 64})
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.path, folder)
    with pytest.raises(UserError, match="belongs to another SAE"):
        name_finished_run(folder, other)
    config = {**tiny_config, "sae": {**tiny_config["sae"], "dictionary": str(other)}}
    with pytest.raises(UserError, match="belongs to another SAE"):
        competency_gaps.run(config, tmp_path / "new")


def test_a_fault_leaves_the_run_as_it_was(tiny_run, dictionary, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.path, folder)
    name_finished_run(folder, dictionary)
    (folder / "slices.parquet").write_bytes(b"no table")
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(UserError):
        name_finished_run(folder, dictionary)
    assert files == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
