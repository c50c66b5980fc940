"""Answers, slices and models as a page has them, beside what the run itself says."""

from __future__ import annotations

import io
import json

import numpy as np
import polars as pl
import pytest
from explorer_runs import SECRETS

import competency_gaps as cg
from competency_gaps.findings.answer import slices_of
from competency_gaps.findings.items import Sides, detail
from competency_gaps.findings.kept import answer, model_slices
from competency_gaps.findings.model_scores import item_models
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices import CONCEPTS
from competency_gaps.view import words
from competency_gaps.view.page.export import _context
from competency_gaps.view.page.opened import open_runs
from competency_gaps.view.page.parts import Context, NoSuchPartError, Parts
from competency_gaps.view.page.parts.answers import similar_order
from competency_gaps.view.page.parts.context import ONE_FILE
from competency_gaps.view.page.parts.names import display_names


@pytest.fixture(scope="module")
def parts(modelled) -> Parts:
    (opened,) = open_runs([modelled.run])
    return opened.now().parts


def read(parts: Parts, name: str):
    return json.loads(parts.read(name))


def table(parts: Parts, name: str) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(parts.read(name)))


def test_every_models_answers_are_the_runs(modelled, parts):
    run = cg.open_run(modelled.run)
    scores = model_scores(run)
    info = read(parts, "run.json")
    assert info["models"] == display_names(scores.models) and scores.models[info["model"]] == run.scored_model
    found = 0
    for place, model in enumerate(scores.models):
        held = read(parts, f"answers/{place}.json")
        for kind, against in (("peers", None), ("benchmark", "benchmark")):
            made = answer(run, model, against)
            if made.kind == "score" and kind == "peers":
                assert held[kind] is None
                continue
            assert held[kind]["headline"] == words.headline(made) and held[kind]["kind"] == made.kind
            assert len(held[kind]["findings"]) == len(made.findings)
            for line, finding in zip(held[kind]["findings"], made.findings, strict=True):
                found += 1
                assert (line["slice"], line["name"]) == (finding.slice, finding.name)
                assert line["gap"] == pytest.approx(finding.gap, rel=1e-6)
                assert (line["quote"] is None) == (finding.example is None)
    assert found
    with pytest.raises(NoSuchPartError):
        parts.read(f"answers/{len(scores.models)}.json")


def test_slices_have_the_weights_of_the_families(modelled, parts):
    run = cg.open_run(modelled.run)
    families = slices_of(run)
    listed, weights = read(parts, "slices.json"), table(parts, "slice_items.parquet")
    numbers = [entry["number"] for entry in listed]
    assert numbers == [int(number) for family in families for number in family.number]
    portable = read(Parts(Context(run, "k", portable=True)), "slices.json")
    kept = [entry["number"] for entry in portable]
    assert [number for number in kept if number < CONCEPTS] == [number for number in numbers if number < CONCEPTS]
    named = {
        line["slice"]
        for place in range(6)
        for kind in read(parts, f"answers/{place}.json").values()
        if kind
        for line in kind["findings"]
    }
    assert named <= set(kept) and {number for number in kept if number >= CONCEPTS} <= named
    rows = {
        int(number): family.weights[[k]].toarray().ravel()
        for family in families
        for k, number in enumerate(family.number)
    }
    for place, entry in enumerate(listed):
        own = weights.filter(slice=place)
        held = np.zeros(run.items.height)
        held[own["item"].to_numpy()] = own["weight"].to_numpy()
        np.testing.assert_allclose(held, rows[entry["number"]], atol=6e-4)
    scores = model_scores(run)
    held = table(parts, "scores.parquet").fill_null(float("nan")).to_numpy().T
    np.testing.assert_allclose(held, scores.values, atol=1e-6)


def test_models_are_set_against_slices_as_the_run_does(modelled, parts):
    run = cg.open_run(modelled.run)
    held, made = read(parts, "models.json"), model_slices(run)
    names = model_scores(run).models
    assert [tuple(row) for row in held["slices"]] == made.slices.select("slice", "name").rows()
    assert sorted(held["columns"]) == list(range(len(names)))
    cells = {(row["slice"], row["model"]): row for row in made.cells.iter_rows(named=True)}
    assert len(cells) == sum(map(len, held["cells"]))
    for (number, _), line in zip(held["slices"], held["cells"], strict=True):
        for place, cell in zip(held["columns"], line, strict=True):
            row = cells[number, names[place]]
            for name in ("gap", "low", "high", "mean", "items", "verdict", "reason"):
                wanted = pytest.approx(row[name], rel=1e-6) if isinstance(row[name], float) else row[name]
                assert cell[name] == wanted, name
    # Scores: plain means in the order of the models, and who may be the best.
    scores, benchmark = model_scores(run), run.items["benchmark"].to_numpy()
    assert held["scores"][0]["column"] == "benchmark" and held["overall"]["items"] == run.items["excluded"].null_count()
    table = run.scores_by("benchmark")
    for part in (held["overall"], *held["scores"][0]["categories"]):
        rows = np.isin(benchmark, part["category"] or benchmark)
        mean = np.ma.masked_invalid(scores.values[:, rows]).mean(axis=1)
        assert np.array(part["mean"], float) == pytest.approx(mean.filled(np.nan), abs=6e-5, nan_ok=True)
        assert part["scored"] == (~np.isnan(scores.values[:, rows])).sum(axis=1).tolist()
        if part["category"]:
            best = table.filter(pl.col("may_be_best"), slice=part["slice"])["model"].to_list()
            assert sorted(best) == sorted(np.array(names)[part["may_be_best"]]) and best
    for place, model in enumerate(held["models"]):
        assert model["sentence"] == words.model_sentence(answer(run, names[place]))


def test_a_slice_has_one_gap_and_one_list_of_items(modelled, parts):
    run, found = cg.open_run(modelled.run), 0
    heat, answers = read(parts, "models.json"), run.answers()
    cells = {
        (number, place): cell
        for (number, _), line in zip(heat["slices"], heat["cells"], strict=True)
        for place, cell in zip(heat["columns"], line, strict=True)
    }
    for place, model in enumerate(model_scores(run).models):
        gaps = {
            kind: made and {gap["slice"]: gap for gap in made}
            for kind, made in read(parts, f"gaps/{place}.json").items()
        }
        made = answers[model]
        own = gaps["peers"] or gaps["benchmark"]
        for finding in made.findings:
            found += 1
            gap, behind = own[finding.slice], detail(run, made, finding)
            for name in ("gap", "low", "high", "mean"):
                assert gap[name] == pytest.approx(getattr(finding, name), abs=1e-6), name
            assert gap["failing"] == [item.row for item in behind.failing]
            assert gap["passing"] == [item.row for item in behind.passing]
            assert finding.example in gap["failing"] + gap["passing"]
        for (number, of), cell in cells.items():
            if of == place:
                assert cell["gap"] == own[number]["gap"]
        scores, benchmarks = model_scores(run).of(model), run.items["benchmark"].to_list()
        mean = dict(
            run.items.select("benchmark", score=pl.Series(scores).fill_nan(None))
            .group_by("benchmark")
            .mean()
            .iter_rows()
        )
        for gap in own.values():
            assert all(scores[row] < mean[benchmarks[row]] for row in gap["failing"])
            assert all(scores[row] > mean[benchmarks[row]] for row in gap["passing"])
    assert found
    last = read(Parts(Context(run, "k", portable=True, amounts=ONE_FILE)), f"gaps/{place}.json")
    listed = {finding.slice for finding in made.findings}
    kind = "peers" if made.kind == "peers" else "benchmark"
    assert {gap["slice"] for gap in last[kind] if gap["failing"] or gap["passing"]} == listed


def test_an_item_that_all_peers_fail_is_no_passing_one():
    # Scores 0 0 1 1 less peers' 0 1 0 1: the first item lies above the mean outcome of those that peers pass.
    outcome = np.array([0.0, -1.0, 1.0, 0.0, np.nan])
    score = np.array([0.0, 0.0, 1.0, 1.0, np.nan])
    sides = Sides(outcome, outcome + 0.1, score - 0.5, np.arange(5))
    assert sides.choose(np.ones(5)) == ([1, 0], [2, 3])


def test_a_pair_is_the_comparison_of_two_models(modelled, parts):
    run = cg.open_run(modelled.run)
    names = model_scores(run).models
    big, small = names.index("big"), names.index("small")
    pair, made = read(parts, f"pairs/{small * len(names) + big}.json"), run.compare("small", "big")
    assert pair["why"] is None and pair["above"]
    assert [row["verdict"] for row in pair["categories"]] == made.slices["verdict"].to_list()
    assert [line["slice"] for line in pair["answer"]["findings"]] == [one.slice for one in made.answer.findings]
    gaps = {gap["slice"]: gap["gap"] for gap in pair["gaps"]}
    for one in made.answer.findings:
        assert gaps[one.slice] == pytest.approx(one.change, abs=1e-6)
    assert read(parts, f"pairs/{big * (len(names) + 1)}.json")["why"]
    exported = set(Parts(_context(*open_runs([modelled.run]), texts=True)).names())
    assert "models.json" in exported and not any(name.startswith("pairs/") for name in exported)


def test_without_texts_no_part_quotes_an_item(modelled):
    parts = Parts(Context(cg.open_run(modelled.run), "k", portable=True, texts=False))
    for name in ("slices.json", "answers/0.json", "answers/1.json", "models.json"):
        assert not [word for word in SECRETS if word in parts.read(name).decode()], name


def test_a_run_of_one_model_has_its_answer_alone(hostile):
    parts = Parts(Context(cg.open_run(hostile.run), "k"))
    assert read(parts, "run.json")["models"] and read(parts, "answers/0.json")["peers"] is None
    for name in ("models.json", "pairs/0.json", "answers/1.json"):
        assert name not in set(parts.names())
        with pytest.raises(NoSuchPartError):
            parts.read(name)


def test_similar_rows_stand_side_by_side():
    rows = np.array([[0.0, 0.1], [5.0, 5.0], [0.1, 0.0], [5.0, 5.1], [0.0, 0.0]])
    order = similar_order(rows)
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert abs(order.index(1) - order.index(3)) == 1 and {order[0], order[-1]} & {1, 3}


def test_an_item_lists_what_every_model_did(modelled, parts):
    run = cg.open_run(modelled.run)
    scores = model_scores(run)
    for row in (0, 1, 245, 335):
        (item,) = read(parts, f"item/{row}.json")
        for number, model in enumerate(scores.models):
            told, score = item["models"][number], scores.values[number, row]
            assert told["score"] == (None if np.isnan(score) else score)
            says = f"{model} says {SECRETS[1]}" if number else run.items["response"][row]
            assert told["response"] == (says if item["excluded"] is None else None)
    excluded = run.items["excluded"].is_not_null().arg_true()[0]
    (item,) = read(parts, f"item/{excluded}.json")
    assert {told["score"] for told in item["models"]} == {None}


def test_items_have_the_mean_score_of_all_models(modelled, parts, hostile):
    items, wanted = table(parts, "items.parquet"), item_models(cg.open_run(modelled.run))
    assert items["models_mean"].null_count() == wanted["mean"].null_count() < items.height
    assert np.allclose(items["models_mean"].fill_null(-9), wanted["mean"].fill_null(-9), atol=1e-6)
    assert "models_mean" not in table(Parts(Context(cg.open_run(hostile.run), "k")), "items.parquet").columns
