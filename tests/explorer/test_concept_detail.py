"""Details of concepts against dense matrices of the run, and against the words that its tokens are made of."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from competency_gaps.explorer.parts.redacted import RedactedDictionary, RedactedRun
from explorer_extras import add_exemplars, add_match
from explorer_runs import SECRETS, WIDTH, excited

from competency_gaps import open_run
from competency_gaps.dictionary.folder import open_dictionary
from competency_gaps.errors import UserError
from competency_gaps.explorer.parts import concept as concept_module
from competency_gaps.explorer.parts.concept import coactive
from competency_gaps.explorer.parts.context import EXPORTED, SERVED, Context
from competency_gaps.explorer.parts.records import plain
from core_helpers import seal, seal_dictionary, without_tokens


def concept_details(*arguments):
    """Details as JSON has them, with all digits."""
    return plain(concept_module.concept_details(*arguments), digits=None)


@pytest.fixture(scope="module")
def context(hostile) -> Context:
    return Context(open_run(hostile.run), "a", open_dictionary(hostile.dictionary))


@pytest.fixture(scope="module")
def details(context):
    return concept_details(context, range(WIDTH))


@pytest.fixture(scope="module")
def cas(context) -> np.ndarray:
    """All CAS, dense: float64 of shape (items, concepts)."""
    rows = [context.run.cas(name).toarray() for name in context.names]
    return np.concatenate(rows).astype(np.float64)


def test_histogram_is_numpys_with_mean_scores(context, details, cas):
    score = context.run.items["score"].to_numpy()
    seen = 0
    for concept, detail in enumerate(details):
        values, found = cas[:, concept], detail["histogram"]
        active = values > 0
        if not active.any():
            assert found == {"max": 0.0, "counts": [], "score": []}
            continue
        counts, edges = np.histogram(values[active], bins=20, range=(0, values.max()))
        assert found["max"] == pytest.approx(values.max(), rel=1e-6)
        # A value within rounding of an edge may fall on its other side.
        assert (
            np.abs(np.cumsum(counts) - np.cumsum(found["counts"])).max() <= 1 and sum(found["counts"]) == active.sum()
        )
        if found["counts"] != counts.tolist():
            continue
        place = np.clip(np.digitize(values, edges) - 1, 0, 19)
        for place_, shown in enumerate(found["score"]):
            own = score[active & (place == place_) & ~np.isnan(score)]
            assert (shown is None) == (not len(own))
            if shown is not None:
                assert shown == pytest.approx(own.mean(), rel=1e-6)
                seen += 1
    assert seen > 100


@pytest.mark.parametrize(("order", "limit"), [("strongest", 3), ("best", 5), ("worst", 5)])
def test_items_are_those_of_the_run(context, details, order, limit):
    table = context.run.items
    for concept, detail in enumerate(details):
        expected = context.run.concept_items(concept, order=order, limit=limit)
        shown = detail["items"][order]
        # Items of two benchmarks may agree in all that they are ordered by.
        ours = sorted(
            (
                table["item_id"][use["item"]],
                -1.0 if use["score"] is None else use["score"],
                *(use["peak"] or (0, 0)),
                use["cas"],
                use["saliency"],
            )
            for use in shown
        )
        known = expected.with_columns(pl.col("score").fill_null(-1.0))
        known = sorted(known.select("item_id", "score", "peak_start", "peak_end", "cas", "ncas").iter_rows())
        assert [one[:4] for one in ours] == [one[:4] for one in known]
        assert np.array([one[4:] for one in ours]) == pytest.approx(np.array([one[4:] for one in known]), rel=1e-6)
        key = {
            "strongest": lambda use: -use["cas"],
            "best": lambda use: -use["score"],
            "worst": lambda use: use["score"],
        }
        assert [use["item"] for use in shown] == [use["item"] for use in sorted(shown, key=key[order])]


def test_coactive_concepts_by_brute_force(context, details, cas):
    active = cas > 0
    both = active.T.astype(int) @ active
    size = both.diagonal()
    dense = (context.run.concepts["kind"] == "dense").fill_null(False)
    assert dense[0], "the test needs a dense concept"
    for concept, detail in enumerate(details):
        index = {
            other: both[concept, other] / (size[concept] + size[other] - both[concept, other])
            for other in range(WIDTH)
            if other != concept and both[concept, other] >= 3 and not dense[other]
        }
        expected = sorted(index.items(), key=lambda pair: (-pair[1], pair[0]))[:8]
        assert [other for other, _ in detail["coactive"]] == [other for other, _ in expected]
        assert [value for _, value in detail["coactive"]] == pytest.approx([v for _, v in expected], rel=1e-6)
    assert sum(len(detail["coactive"]) for detail in details) > 200


def test_of_frequent_concepts_the_index_is_exact_though_few_items_are_searched(context, cas):
    active = cas > 0
    wanted = [int(c) for c in np.flatnonzero(active.sum(axis=0) >= 60) if c]
    strongest = [np.argsort(-cas[:, concept], kind="stable")[:40] for concept in wanted]
    assert wanted
    for concept, items, found in zip(wanted, strongest, coactive(context.sources, wanted, strongest, 8), strict=True):
        assert found == sorted(found, key=lambda pair: (-pair[1], pair[0])) and len(found) == 8
        for other, index in found:
            union = (active[:, concept] | active[:, other]).sum()
            assert index == pytest.approx((active[:, concept] & active[:, other]).sum() / union)
            assert active[items, other].sum() >= 3 and other not in (0, concept)


def test_tokens_are_the_words_that_excite_the_concept(context, details):
    texts = context.run.items["text"]
    checked = 0
    for concept, detail in enumerate(details):
        for use in (use for uses in detail["items"].values() for use in uses):
            text = texts[use["item"]]
            for start, end, activation in use["tokens"]:
                assert activation == pytest.approx(excited(text[start:end])[concept], rel=1e-3)
                checked += 1
            start, end = use["peak"]
            strongest = max(value for *_, value in use["tokens"])
            assert excited(text[start:end])[concept] == pytest.approx(strongest, rel=1e-3)
    assert checked > 500


def test_one_by_one_and_many_at_once_are_the_same(context, details):
    for concept in (0, 1, 40, WIDTH - 1):
        assert concept_details(context, range(concept, concept + 1)) == details[concept : concept + 1]


def test_a_run_without_activations_of_tokens(hostile, tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(hostile.run, folder)
    for file in (folder / "activations").glob("*.safetensors"):
        without_tokens(file)
    for detail in concept_details(Context(open_run(folder), "a"), range(WIDTH)):
        assert all(use["tokens"] is None for uses in detail["items"].values() for use in uses)
        assert detail["promoted"] is detail["similar"] is detail["exemplars"] is None


def test_redacted_details_point_to_no_text(context):
    hidden = replace(context, run=RedactedRun.of(context.run))
    text = json.dumps(concept_details(hidden, range(WIDTH)))
    assert '"peak": [' not in text and '"tokens": [' not in text and '"exemplars": [' not in text
    assert not any(secret in text for secret in SECRETS)


def test_amounts_are_kept_to(context):
    amounts = replace(SERVED, strongest=1, best=2, worst=0, coactive=3, similar=2, promoted=1, active_tokens=1)
    few = concept_details(replace(context, amounts=amounts), range(1, 9))
    all_ = concept_details(context, range(1, 9))
    for short, whole in zip(few, all_, strict=True):
        for kind, count in (("strongest", 1), ("best", 2), ("worst", 0)):
            assert [u["item"] for u in short["items"][kind]] == [u["item"] for u in whole["items"][kind]][:count]
        assert short["coactive"] == whole["coactive"][:3] and short["similar"] == whole["similar"][:2]
        assert short["promoted"] == whole["promoted"][:1]
        for one, other in zip(short["items"]["best"], whole["items"]["best"], strict=False):
            assert one["tokens"] == [max(other["tokens"], key=lambda token: token[2])]


def test_labels_the_shown_one_first(context, details):
    table = context.dictionary.labels().filter(pl.col("label").is_not_null())
    shown = context.run.concepts["label"]
    several = 0
    for concept, detail in enumerate(details):
        labels = [one["label"] for one in detail["labels"]]
        assert sorted(labels) == sorted(table.filter(pl.col("concept") == concept)["label"])
        assert labels[:1] == ([shown[concept]] if shown[concept] else [])
        several += len(labels) > 1
    assert several, "the test needs a concept with several labels"


def test_the_shown_label_is_as_the_run_knows_it(hostile, tmp_path):
    folder = tmp_path / "dictionary"
    shutil.copytree(hostile.dictionary, folder)
    table = pl.read_parquet(folder / "labels.parquet")
    # The dictionary was scored anew since the run was named.
    table.with_columns(score=pl.lit(0.31), scored_by=pl.lit("fuzzing")).write_parquet(folder / "labels.parquet")
    seal_dictionary(folder)
    run = open_run(hostile.run)
    compared = 0
    for detail in concept_details(Context(run, "a", open_dictionary(folder)), range(WIDTH)):
        row = run.concepts.row(detail["concept"], named=True)
        if not row["label"]:
            continue
        first, *others = detail["labels"]
        shown = ("label", "kind", "explainer", "score", "scored_by")
        of_run = ("label", "label_kind", "explainer", "label_score", "label_scored_by")
        assert [first[name] for name in shown] == [row[name] for name in of_run]
        assert first["date"] and all(one["score"] == 0.31 for one in others)
        assert row["label_score"] is None or f"{row['label_score']:.2f}" in detail["provenance"]
        compared += row["label_score"] is not None
    assert compared


def test_link_to_neuronpedia_is_made_of_a_plain_name_only(hostile, details):
    assert details[7]["neuronpedia"] == "https://www.neuronpedia.org/tiny/2-res/7"
    run = open_run(hostile.run)
    for name in (None, 3, "", "a", "a/b/c", "a/b?x=", "a/b#", "../..//", 'a/"b', "a/b\n", "javascript:alert(1)/x"):
        manifest = {**run.manifest, "sae": {**run.manifest["sae"], "neuronpedia_id": name}}
        other = Context(replace(run, manifest=manifest), "a")
        assert concept_details(other, range(7, 8))[0]["neuronpedia"] is None


def test_matches_of_other_peoples_lists(hostile, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(hostile.run, folder)
    add_match(folder)
    details = concept_details(Context(open_run(folder), "a"), range(4, 7))
    expected = {"taxonomy": "list.yaml", "by": "labels", "number": 0, "entry": "e1: sums <b>"}
    expected |= {"strength": 0.75, "verdict": "same"}
    assert [detail["matched"] for detail in details] == [[], [expected], []]


def test_exemplars_and_their_strongest_part(hostile, tmp_path):
    folder = tmp_path / "dictionary"
    shutil.copytree(hostile.dictionary, folder)
    add_exemplars(folder)
    context = Context(open_run(hostile.run), "a", open_dictionary(folder))
    tokens = ["the", " cat", " <b>sat", "\u202e on", " a", " mat"]
    whole = {"tokens": tokens, "activations": [0.0, 0.5, 0.0, 0.0, 2.0, 0.0], "value": 2.0}
    assert [one["exemplars"] for one in concept_details(context, range(4, 6))] == [[], [whole]]
    for limit, part in ((1, slice(4, 5)), (2, slice(3, 5)), (4, slice(2, 6)), (9, slice(0, 6))):
        few = replace(context, amounts=replace(SERVED, exemplar_tokens=limit))
        shown = concept_details(few, range(5, 6))[0]["exemplars"][0]
        assert shown == {"tokens": tokens[part], "activations": whole["activations"][part], "value": 2.0}
    assert (
        concept_details(replace(context, dictionary=RedactedDictionary.of(context.dictionary)), range(5, 6))[0][
            "exemplars"
        ]
        is None
    )


def test_benchmarks_are_the_rows_of_the_runs_table(context, details):
    table = context.run.concept_benchmarks
    columns = ("support", "n_eff", "chi_bench", "chi_model", "gap", "gap_low", "gap_high", "performance_status")
    for detail in details:
        assert len(detail["benchmarks"]) == len(context.names)
        for name, found in zip(context.names, detail["benchmarks"], strict=True):
            where = (pl.col("concept") == detail["concept"]) & (pl.col("benchmark") == name)
            row = table.row(by_predicate=where, named=True)
            assert set(found) == set(columns)
            for column in columns:
                known = row[column]
                assert found[column] == (pytest.approx(known, rel=1e-6) if isinstance(known, float) else known)


def test_an_export_leaves_benchmarks_to_their_tables(context):
    assert concept_details(replace(context, amounts=EXPORTED), range(1))[0]["benchmarks"] is None


def test_a_table_of_benchmarks_that_is_cut_is_damaged(hostile, tmp_path):
    run = shutil.copytree(hostile.run, tmp_path / "run")
    table = pl.read_parquet(run / "concept_benchmarks.parquet")
    for damaged in (table.head(-1), table.sort("concept", maintain_order=True)):
        damaged.write_parquet(run / "concept_benchmarks.parquet")
        seal(run)
        with pytest.raises(UserError, match=r"rows, expected|in order"):
            concept_details(Context(open_run(run), "a"), range(1, 2))
