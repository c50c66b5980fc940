"""Runs with scores of several models: what is opened, whose scores are said to be shown, and how models compare."""

from __future__ import annotations

import io
import json
import shlex
import shutil

import numpy as np
import polars as pl
import pytest
from competency_gaps.explorer.parts.models import pair_number, similar_order
from explorer_runs import SECRETS

import competency_gaps as cg
from competency_gaps.explorer.opened import ChangedError, open_runs, run_list
from competency_gaps.explorer.parts import Context, NoSuchPartError, Parts
from competency_gaps.explorer.parts.names import display_names
from competency_gaps.runs.scores import model_scores
from competency_gaps.stages.outcomes import outcomes_folder
from core_helpers import seal


@pytest.fixture(scope="module")
def opened(modelled):
    return open_runs([modelled.run], modelled.dictionary)


def test_a_run_opens_the_outcomes_that_were_made(opened):
    assert [entry.run.kind for entry in opened] == ["score", "peers", "score"]
    assert [entry.run.scored_model for entry in opened[1:]] == ["big", "big"]
    assert [entry.models for entry in opened] == [opened[0].key] * 3
    assert len({entry.key for entry in opened}) == 3
    assert all(entry.key.startswith(f"{opened[0].key}-") for entry in opened[1:])


def test_titles_name_the_scored_and_the_reading_model(opened):
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


def test_a_run_without_own_scores_shows_none(hostile, tmp_path):
    run = shutil.copytree(hostile.run, tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    for entry in manifest["benchmarks"]:
        entry["policy"] = "none"
    (run / "manifest.json").write_text(json.dumps(manifest))
    seal(run)
    scored = json.loads(Parts(Context(open_runs([run])[0].run, "k")).read("run.json"))["scored"]
    assert scored["scored"] is False and scored["title"] == "no scores of its own, items read by <b>tiny"
    assert "no scores of its own" in scored["sentence"]


def test_an_outcome_with_changed_scores_is_left_out(modelled, tmp_path):
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
    folder = next(outcomes_folder(modelled.run).iterdir())
    (alone,) = open_runs([folder])
    assert alone.models is None and alone.run.scored_model == "big"
    opened = open_runs([modelled.run, folder])
    assert len(opened) == 3, "an outcome that is given is not opened twice"


@pytest.fixture(scope="module")
def file(opened) -> dict:
    return json.loads(opened[0].now().parts.read("models.json"))


def test_models_and_cells_are_those_of_the_tables(modelled, opened, file):
    run = cg.open_run(modelled.run)
    table = run.models
    assert [model["name"] for model in file["models"]] == display_names(table["model"].to_list())
    for model, row in zip(file["models"], table.iter_rows(named=True), strict=True):
        for name in ("reads", "scored", "unscored"):
            assert model[name] == row[name]
        for name in ("mean", "low", "high"):
            assert model[name] == pytest.approx(row[name], rel=1e-6)
        assert model["command"].endswith(f"--model {shlex.quote(row['model'])}")
    assert [matrix["kind"] for matrix in file["matrices"]] == ["score", "peers"]
    groups = json.loads(opened[0].now().parts.read("groups.json"))["matrices"]
    assert [matrix["kind"] for matrix in groups] == ["score", "peers"] and groups[0]["columns"]
    for matrix in (*file["matrices"], *groups):
        what = "theme" if matrix in file["matrices"] else "group"
        find = run.model_themes if what == "theme" else run.model_groups
        wanted = find(against_peers=matrix["kind"] == "peers")
        held = {(row["model"], row[what]): row for row in wanted.iter_rows(named=True)}
        assert len(held) == sum(map(len, matrix["cells"]))
        for place, line in zip(matrix["models"], matrix["cells"], strict=True):
            for column, cell in zip(matrix["columns"], line, strict=True):
                row = held[table["model"][place], column["id"]]
                assert column["concepts"] == len(row.get("concepts", ()))
                assert cell["status"] == row["status"]
                for name in ("gap", "gap_low", "gap_high", "q_value", "n_eff", "mean"):
                    wanted_value = row[name] if row[name] is None else pytest.approx(row[name], rel=1e-6)
                    assert cell[name] == wanted_value, name
    themes = run.theme_results.filter(pl.col("level") == "theme")["id"].to_list()
    assert all(sorted(column["id"] for column in matrix["columns"]) == sorted(themes) for matrix in file["matrices"])
    statuses = {cell["status"] for matrix in file["matrices"] for line in matrix["cells"] for cell in line}
    assert "typical" in statuses and statuses & {"weak", "strong"}


def test_similar_rows_stand_side_by_side():
    rows = np.array([[0.0, 0.1], [5.0, 5.0], [0.1, 0.0], [5.0, 5.1], [0.0, 0.0]])
    order = similar_order(rows)
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert abs(order.index(1) - order.index(3)) == 1 and {order[0], order[-1]} & {1, 3}


def test_pairs_are_those_of_compare(modelled, opened, file):
    run, parts = cg.open_run(modelled.run), opened[0].now().parts
    names = run.models["model"].to_list()
    seen = set()
    for later in range(1, len(names)):
        for earlier in range(later):
            number = pair_number(earlier, later)
            assert number == pair_number(later, earlier)
            seen.add(number)
            pair = json.loads(parts.read(f"pairs/{number}.json"))["scores"]
            assert pair["candidate"] == file["models"][later]["name"]
            assert pair["baseline"] == file["models"][earlier]["name"]
    assert seen == set(range(15))
    with pytest.raises(NoSuchPartError):
        parts.read("pairs/15.json")
    big, small = names.index("big"), names.index("small")
    pair = json.loads(parts.read(f"pairs/{pair_number(big, small)}.json"))["scores"]
    made = run.compare("small", "big")
    overall = made.overall.row(by_predicate=pl.col("weighting") == "items", named=True)
    for name, value in overall.items():
        assert name == "weighting" or pair["overall"][name] == (
            pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
        )
    assert pair["paired"] == made.paired and pair["only_candidate"] == len(made.only_candidate)
    for frame, rows in ((made.benchmarks, pair["benchmarks"]), (made.themes, pair["themes"])):
        assert len(rows) == frame.height > 0
        for row, held in zip(rows, frame.iter_rows(named=True), strict=True):
            for name in ("difference", "low", "high", "p_value", "q_value", "detectable"):
                assert row[name] == pytest.approx(held[name], rel=1e-6), name
            assert (row["better"], row["worse"], row["status"]) == (held["better"], held["worse"], held["status"])


def test_only_the_run_itself_gives_models(opened, hostile):
    for parts in (opened[1].now().parts, Parts(Context(open_runs([hostile.run])[0].run, "k"))):
        for name in ("models.json", "groups.json", "pairs/0.json"):
            assert name not in set(parts.names())
            with pytest.raises(NoSuchPartError):
                parts.read(name)


def test_an_item_lists_what_every_model_did(modelled, opened):
    run = cg.open_run(modelled.run)
    scores = model_scores(run)
    for entry in opened:
        parts = entry.now().parts
        info = json.loads(parts.read("run.json"))
        assert info["models"] == display_names(scores.models) and info["home"] == opened[0].key
        if entry is not opened[0]:
            assert not any(name.startswith(("item/", "active/")) for name in parts.names())
            with pytest.raises(NoSuchPartError):
                parts.read("item/0.json")
            parts = Parts(Context(entry.run, "alone"))
        for row in (0, 1, 245, 335):
            (item,) = json.loads(parts.read(f"item/{row}.json"))
            for number, model in enumerate(scores.models):
                answer, score = item["models"][number], scores.values[number, row]
                assert answer["score"] == (None if np.isnan(score) else score)
                says = f"{model} says {SECRETS[1]}" if number else run.items["response"][row]
                assert answer["response"] == (says if item["excluded"] is None else None)
    excluded = run.items["excluded"].is_not_null().arg_true()[0]
    (item,) = json.loads(opened[0].now().parts.read(f"item/{excluded}.json"))
    assert {answer["score"] for answer in item["models"]} == {None}


def test_items_say_how_far_they_tell_models_apart(modelled, opened, hostile):
    table = pl.read_parquet(io.BytesIO(opened[0].now().parts.read("items.parquet")))
    wanted = cg.open_run(modelled.run).item_models()
    names = {"models_mean": "mean", "discrimination_q": "q_value"}
    for name in ("models_mean", "discrimination", "discrimination_q", "wrong", "alike", "alike_q"):
        own = names.get(name, name)
        assert table[name].null_count() == wanted[own].null_count() < table.height
        assert np.allclose(table[name].fill_null(-9), wanted[own].fill_null(-9), atol=1e-6)
    plain = pl.read_parquet(io.BytesIO(Parts(Context(open_runs([hostile.run])[0].run, "k")).read("items.parquet")))
    assert "discrimination" not in plain.columns
