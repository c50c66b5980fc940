"""``cgaps concepts name``, ``cgaps match`` and ``cgaps scope`` on a finished run, through the command line."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest

from competency_gaps.dictionary.folder import open_dictionary, write_dictionary
from competency_gaps.dictionary.labelling.labeller import label_rows
from core_helpers import command

SUBJECTS = ("capital cities", "arithmetic sums", "calendar months", "palindromes", "foxes and dogs", "reversed words")


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of the tiny run, which may be named."""
    shutil.copytree(tiny_run.path, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def taxonomy(tmp_path):
    """Two entries, and a score that is no number."""
    path = tmp_path / "taxonomy.json"
    rows = [
        {"id": "sums", "description": "arithmetic sums, kind 7", "score": "bad"},
        {"id": "opera", "description": "late baroque opera"},
        {"id": "empty"},
    ]
    path.write_text(json.dumps(rows))
    return path


def test_a_run_without_labels_says_what_to_do(run, taxonomy):
    done = command("match", str(run), "--taxonomy", str(taxonomy), "--quiet")
    assert done.returncode == 2 and not done.stdout
    assert (
        "has a label" in done.stderr
        and "cgaps concepts label" in done.stderr
        and "cgaps concepts name RUN DICTIONARY" in done.stderr
    )


def named(tiny_run, run, tmp_path):
    """Name the run with labels written by hand."""
    folder = tmp_path / "dictionary"
    folder.mkdir()
    write_dictionary(folder, tiny_run.manifest["sae"])
    dictionary = open_dictionary(folder)
    labels = [(c, f"{SUBJECTS[c % len(SUBJECTS)]}, kind {c}") for c in range(dictionary.width)]
    dictionary.add_labels(label_rows(dictionary, labels, "explained", "hand", "test"))
    done = command("concepts", "name", str(run), str(folder), "--json")
    assert done.returncode == 0, done.stderr
    return dict(labels)


@pytest.mark.slow
def test_a_named_run_is_matched(tiny_run, run, taxonomy, tmp_path):
    labels = named(tiny_run, run, tmp_path)
    done = command("match", str(run), "--taxonomy", str(taxonomy), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["recovery"]["of"] == 2 and found["left_out"] == 1 and found["dropped"] == []
    assert "1 scores are no numbers" in found["notes"][0] and "no numbers" in done.stderr
    assert all(pair["label"] == labels[pair["concept"]] for pair in found["pairs"])
    ranked = pl.read_parquet(run / "concepts.parquet").filter("ranked")["concept"].to_list()
    assert {pair["concept"] for pair in found["pairs"]} <= set(ranked)
    shown = command("match", str(run), "--taxonomy", str(taxonomy), "--quiet")
    assert shown.returncode == 0 and max(map(len, shown.stdout.splitlines())) <= 80
    assert "arithmetic sums, kind 7" in shown.stdout and "weak concepts that no entry names" in shown.stdout
