"""Runs of items and scores that no model reads: from logs and tables, kept in the cache, and read later."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import competency_gaps as cg
from competency_gaps.findings.answer import slices_of
from competency_gaps.pipeline import without_reading
from competency_gaps.util.files import CACHE_VARIABLE
from core_helpers import write_lines

ITEMS, MODELS = 240, ("ada", "bob", "cy", "dan")


def drawn(folder):
    """Items in two tables that share ids, and the scores: one model fails where the subject is rivers."""
    rng = np.random.default_rng(0)
    subjects = np.array(["rivers", "trains", "poems"])[np.arange(ITEMS) % 3]
    prompts = [f"Question {i} of {subject} and {rng.integers(10**9)}?" for i, subject in enumerate(subjects)]
    scores = (rng.random((len(MODELS), ITEMS)) < 0.7).astype(int)
    scores[0] = rng.random(ITEMS) < np.where(subjects == "rivers", 0.15, 0.95)
    ids = [f"q{i}" for i in range(ITEMS)]
    items = pl.DataFrame({"id": ids, "prompt": prompts, "group": subjects.tolist()})
    table = pl.DataFrame({"id": ids, **dict(zip(MODELS, scores, strict=True))})
    folder.mkdir()
    write_lines(folder / "items.jsonl", items.to_dicts())
    table.write_csv(folder / "scores.csv")
    return items, table


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs") / "rivers"
    return folder, *drawn(folder)


def test_tables_are_a_run(logs, tmp_path):
    folder, items, table = logs
    run = cg.read_logs(folder)
    assert run.items.select("item_id", "prompt", "group").rows() == items.rows()
    assert dict(run.models.select("model", "mean").iter_rows()) == {name: table[name].mean() for name in MODELS}
    answer = run.answer("ada")
    worst = answer.findings[0]
    assert answer.table.select("name", "gap", "items").row(0) == (worst.name, worst.gap, worst.items)
    assert worst.name == "rivers" and worst.high < -0.3 and run.benchmarks["benchmark"].to_list() == ["rivers"]
    # One table with a column per model, in any format, says the same.
    items.drop("id").with_columns(table.drop("id")).write_parquet(tmp_path / "wide.parquet")
    wide = cg.read_logs(tmp_path / "wide.parquet")
    assert wide.answer("ada").findings[0].gap == pytest.approx(worst.gap, abs=1e-12)


def test_logs_are_read_again_where_their_content_changes(logs, tmp_path, monkeypatch):
    folder, _, table = logs
    before = cg.read_logs(folder)
    with monkeypatch.context() as patch:
        patch.setattr(without_reading, "run_without_reading", None)
        assert cg.read_logs(folder) == before
        assert without_reading.open_source(folder).path == before.path  # as commands do
    copy = tmp_path / "rivers"
    drawn(copy)
    assert cg.read_logs(copy).path == before.path  # elsewhere, but the same
    table.with_columns(ada=pl.lit(1)).write_csv(copy / "scores.csv")
    assert cg.read_logs(copy).models["mean"].max() == 1
    assert not [file for file in folder.rglob("*") if file.name not in ("items.jsonl", "scores.csv")]


def test_what_needs_a_reading_says_so(logs, cli):
    folder, *_ = logs
    run = cg.read_logs(folder)
    for ask in (run.coverage, lambda: run.concept_items(1), run.check):
        with pytest.raises(cg.UserError, match=f"needs a reading .* cgaps run --log {folder} --out RUN --read"):
            ask()
    status, _, err = cli("coverage", str(folder))
    assert status == 2 and "less than a minute" in err


def test_commands_take_logs(logs, cli, tmp_path):
    folder, *_ = logs
    assert "rivers" in cli("show", str(folder), "ada")[1]
    document = json.loads(cli("show", str(folder), "ada", "--slice", "1", "--json")[1])
    assert document["finding"]["name"] == "rivers" and document["run"] == str(folder)
    assert cli("improve", str(folder), "--keep", "40")[0] == 0
    status, _, err = cli("export", str(folder), "--one-file", str(tmp_path / "page.html"))
    assert status == 0 and (tmp_path / "page.html").is_file(), err


def test_a_reading_is_added_later(logs, model_folder, sae_folder, cli, tmp_path):
    folder, *_ = logs
    out = tmp_path / "run"
    assert cli("run", "--log", str(folder), "--out", str(out), "-q")[0] == 0
    alone = cg.open_run(out)
    models = alone.models.drop("reads")
    assert not alone.has_reading and alone.answer("ada").findings[0].name == "rivers"
    settings = ["--set", "ask=false", "--set", "sae.force=true"]
    reader = ["--model", str(model_folder("llama")), "--sae", str(sae_folder), *settings]
    status, _, err = cli("run", "--log", str(folder), *reader, "--out", str(out), "-q")
    assert status == 0, err
    read = cg.open_run(out)
    assert read.has_reading and read.models.drop("reads").equals(models)
    assert read.answer("ada").findings[0].name == "rivers" and read.coverage().width
    status, _, err = cli("run", "--log", str(folder), "--out", str(out), "-q")
    assert status == 2 and "a model has read items" in err


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"prompt": "Why?", "score": None}], "no item has a score"),
        ([{"question": "Why?", "gold": n} for n in (1, 2)], "no readable log"),
        ([{"prompt": "Why?", "score": 7}], "outside"),
    ],
)
def test_logs_that_say_nothing_are_refused(tmp_path, rows, says):
    write_lines(tmp_path / "log.jsonl", rows)
    with pytest.raises(cg.UserError, match=says):
        cg.read_logs(tmp_path / "log.jsonl")


def test_items_are_clustered_by_their_texts_after_the_first_answer(logs, tmp_path, monkeypatch, cli):
    """By vectors that tell rivers, trains and poems apart."""
    folder, *_ = logs
    subjects = ("rivers", "trains", "poems")

    def embed(texts, *_):
        near = np.reshape([[3.0 * (subject in text) for subject in subjects] for text in texts], (-1, 3))
        near += np.random.default_rng(0).normal(0, 0.3, near.shape)
        return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)

    items = pl.read_ndjson(folder / "items.jsonl").with_columns(prompt="Another " + pl.col("prompt"))
    items.with_columns(pl.read_csv(folder / "scores.csv").drop("id")).write_parquet(tmp_path / "wide.parquet")
    logs = str(tmp_path / "wide.parquet")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))  # where an earlier run of the tests left nothing
    status, out, err = cli("show", logs, "ada")
    assert status == 0 and out.count("ada: ") == 1 and "needs the package 'onnxruntime'" in err
    monkeypatch.setattr("competency_gaps.slices.make.embed_texts", embed)
    monkeypatch.setattr("competency_gaps.pipeline.without_reading.embed_texts", embed)
    status, out, err = cli("show", logs, "ada")
    assert status == 0 and out.count("ada: ") == 2 and "come next" in err
    status, out, err = cli("show", logs, "ada")
    assert status == 0 and out.count("ada: ") == 1 and "come next" not in err
    run = cg.read_logs(logs, texts=True)
    clusters = next(family for family in slices_of(run) if family.name == "clusters")
    for subject in subjects:
        inside = (run.items["group"] == subject).to_numpy()
        share = clusters.member @ inside / clusters.member.sum(axis=1)
        of_subject = clusters.member[np.flatnonzero(share > 0.9)].sum(axis=0) > 0
        assert (of_subject & inside).sum() > 0.9 * inside.sum()
    assert len(set(clusters.names)) == len(clusters.names)
