"""Runs with scores of several models: what is opened, and whose scores are said to be shown."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest
from explorer_runs import HOME, SECRETS
from explorer_server import served
from test_export import page  # noqa: F401 - a page that stands for the built one

import competency_gaps as cg
from competency_gaps.explorer.export import export, read_part
from competency_gaps.explorer.opened import ChangedError, open_runs, run_list
from competency_gaps.explorer.parts import Parts
from competency_gaps.explorer.parts.scored import display_names


@pytest.fixture(scope="module")
def opened(modelled):
    return open_runs([modelled.run], modelled.dictionary)


def test_a_run_opens_the_outcomes_that_were_made(opened):
    assert [entry.run.kind for entry in opened] == ["score", "peers", "score"]
    assert [entry.run.scored_model for entry in opened[1:]] == ["big", "big"]
    assert [entry.models for entry in opened] == [opened[0].key] * 3
    assert len({entry.key for entry in opened}) == 3
    assert all(entry.key.startswith(f"{opened[0].key}-") for entry in opened[1:])


def test_titles_say_whose_scores_and_by_which_model_the_items_are_read(opened):
    peers, score = opened[1:]
    assert score.title == "big, items read by <b>tiny"
    assert peers.title.startswith("big against ") and peers.title.endswith(" peers, items read by <b>tiny")
    for entry in opened[1:]:
        info = json.loads(entry.now().parts.read("run.json"))
        assert info["title"] == f"{entry.title} (run)"
        assert info["scored"]["model"] == "big" and info["scored"]["reader"] == "<b>tiny"
        assert "<b>tiny reads the items" in info["scored"]["sentence"]
        assert entry.ask("overview", {})["scored_model"] == "big"
    own = json.loads(opened[0].now().parts.read("run.json"))["scored"]
    assert own["model"] == own["reader"] and own["sentence"].endswith("It also reads the items.")


def test_a_run_of_one_model_has_no_others(hostile):
    (alone,) = open_runs([hostile.run])
    assert alone.models is None and run_list([alone], "served", None).runs[0].models is None


def test_an_outcome_whose_scores_have_changed_is_left_out_and_what_is_shown_fails(modelled, tmp_path):
    run = shutil.copytree(modelled.run, tmp_path / "run")
    opened = open_runs([run])
    for entry in opened:
        entry.now()
    items = cg.open_run(run).items.filter(pl.col("excluded").is_null())
    table = items.select(pl.col("item_id").alias("id"), "benchmark", big=pl.lit(1.0))
    cg.open_run(run).add_scores(table, replace=True)
    for entry in opened:
        with pytest.raises(ChangedError, match="start cgaps explore again"):
            entry.now()
    assert [entry.run.kind for entry in open_runs([run])] == ["score"]


def test_an_outcome_alone_has_no_other_models(modelled):
    folder = next((modelled.run / "outcomes").iterdir())
    (alone,) = open_runs([folder])
    assert alone.models is None and alone.run.scored_model == "big"
    opened = open_runs([modelled.run, folder])
    assert len(opened) == 3, "an outcome that is given is not opened twice"


def test_the_server_and_an_export_list_them_alike(opened, tmp_path, page):  # noqa: F811
    done = export(opened, tmp_path / "page", redact=True)
    listed = json.loads(read_part(done.folder, "runs.json"))["runs"]
    with served(opened) as client:
        assert client.get("/data/runs.json").json()["runs"] == listed
        for run in listed:
            assert client.get(f"/data/{run['key']}/run.json").json()["scored"] == run["scored"]
    assert [run["title"] for run in listed] == [entry.title for entry in opened]


def test_a_redacted_outcome_says_whose_scores_it_shows_and_no_text(opened):
    for entry in opened[1:]:
        parts = Parts(entry.run, key="k", redact=True)
        assert json.loads(parts.read("run.json"))["scored"]["model"] == "big"
        for name in parts.names():
            content = parts.read(name)
            assert not any(secret.encode() in content for secret in SECRETS), name
            assert HOME.encode() not in content, name


def test_names_of_models_are_shown_without_folders_and_told_apart():
    names = ["/home/a/tiny", "owner/big", "/home/b/tiny", "embedded:lens"]
    assert display_names(names) == ["tiny", "owner/big", "tiny (2)", "lens"]
