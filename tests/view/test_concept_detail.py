"""Details of concepts against dense matrices of the run, and against the words that its tokens are made of."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from explorer_runs import WIDTH, excited

from competency_gaps import open_run
from competency_gaps.concepts.folder import open_dictionary
from competency_gaps.view.page.parts import concept as concept_module
from competency_gaps.view.page.parts.context import Context
from competency_gaps.view.page.parts.records import plain


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
        shown = detail[order]
        # Items of two benchmarks may agree in all that they are ordered by.
        ids = [table["item_id"][use["item"]] for use in shown]
        assert sorted(ids) == sorted(expected["item_id"])
        for name, column in (("score", "score"), ("cas", "cas"), ("saliency", "ncas")):
            ours = np.array([use[name] for use in shown], float)
            assert ours == pytest.approx(expected[column].cast(float).to_numpy(), rel=1e-6, nan_ok=True)


def test_tokens_are_the_words_that_excite_the_concept(context, details):
    texts = context.run.items["text"]
    checked = 0
    for concept, detail in enumerate(details):
        for use in (use for order in ("strongest", "best", "worst") for use in detail[order]):
            text = texts[use["item"]]
            for start, end, activation in use["tokens"]:
                assert activation == pytest.approx(excited(text[start:end])[concept], rel=1e-3)
                checked += 1
            start, end = use["peak"]
            strongest = max(value for *_, value in use["tokens"])
            assert excited(text[start:end])[concept] == pytest.approx(strongest, rel=1e-3)
    assert checked > 500


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
