"""What is read off items, how it becomes features, and how features tell sets of items apart."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from competency_gaps.findings.features import attributes_of, candidates, has_feature, log_odds, question_text
from competency_gaps.findings.words import feature_words


def items(*rows):
    blank = dict.fromkeys(("answer", "choices", "answer_index", "group", "covariates"))
    schema = {
        "prompt": pl.String,
        "answer": pl.String,
        "choices": pl.List(pl.String),
        "answer_index": pl.Int32,
        "group": pl.String,
        "covariates": pl.String,
    }
    return pl.DataFrame([{**blank, **row} for row in rows], schema=schema)


def codes(**row):
    one = attributes_of(items(row))[0]
    return one.flags | one.values


@pytest.mark.parametrize(
    ("row", "has", "lacks"),
    [
        (
            {"prompt": "5 - 9 =", "answer": "-4"},
            {"answer.negative", "answer.even", "number.rising"},
            {"answer.positive"},
        ),
        ({"prompt": "2 + 2", "answer": "4."}, {"answer.number", "answer.positive", "number.equal"}, {"number.rising"}),
        ({"prompt": "Is it not so?", "answer": "Yes"}, {"prompt.negation", "prompt.question", "answer.yes_no"}, set()),
        (
            {"prompt": "It doesn’t fit", "answer": "B"},
            {"prompt.negation", "answer.letter", "prompt.word:doesn't"},
            set(),
        ),
        (
            {"prompt": "How many are there", "answer": "0"},
            {"prompt.asks:how many", "answer.zero", "number.none"},
            set(),
        ),
        ({"prompt": "noting knots", "answer": "[1, 2]"}, {"answer.list", "prompt.no_question"}, {"prompt.negation"}),
        ({"prompt": "-3 and 1,250.5", "answer": "2.5"}, {"number.negative", "number.decimal", "answer.decimal"}, set()),
        ({"prompt": "the red fox", "answer": "Red"}, {"answer.in_prompt", "answer.word"}, {"answer.not_in_prompt"}),
        ({"prompt": "the reddish fox", "answer": "red"}, {"answer.not_in_prompt"}, {"answer.in_prompt"}),
        (
            {"prompt": "x", "group": "algebra", "covariates": '{"year": 3, "set": "b"}'},
            {"group:algebra", "covariate.set:b"},
            set(),
        ),
        (
            {"prompt": "x", "choices": ["1", "30", "-2"], "answer_index": 2, "answer": "-2"},
            {"option.last", "option.smallest"},
            {"option.first", "option.longest"},
        ),
        (
            {"prompt": "x", "choices": ["aa", "bb"], "answer_index": 0, "answer": "aa"},
            {"option.first"},
            {"option.longest"},
        ),
    ],
)
def test_features_of_an_item(row, has, lacks):
    found = codes(**row)
    assert has <= found
    assert not lacks & found


def test_options_below_an_item_are_not_among_its_words():
    prompt = "Which is an animal?\nA. not a stone\nB. cat\n"
    assert question_text(prompt, ["not a stone", "cat"]) == "Which is an animal?"
    assert "prompt.negation" not in codes(prompt=prompt, choices=["not a stone", "cat"])
    told = "cat and stone\nare words"
    assert question_text(told, ["cat", "stone"]) == told


def test_candidates_are_frequent_and_each_set_of_items_once():
    rows = [
        {"prompt": f"word {'alpha beta' if i % 4 == 1 else 'gamma rays'} {i * i}", "answer": str(i - 20)}
        for i in range(40)
    ]
    attributes = attributes_of(items(*rows))
    found = candidates(attributes, np.arange(40), 40)
    assert "answer.negative" in found.codes
    assert "prompt.word:alpha" in found.codes and "prompt.word:beta" not in found.codes  # the same items
    assert "prompt.word:word" not in found.codes  # everywhere
    assert len({column.tobytes() for column in found.values.T}) == len(found.codes)
    for code, column in zip(found.codes, found.values.T, strict=True):
        assert has_feature(code, attributes).tolist() == column.astype(bool).tolist()
        assert feature_words(code).startswith("items ")


def test_log_odds_against_the_formula_written_out():
    rng = np.random.default_rng(0)
    features = (rng.random((60, 4)) < [0.2, 0.4, 0.5, 0.9]).astype(float)
    inside = (rng.random(60) < 0.4).astype(float)
    found = log_odds(inside, 1 - inside, features)
    for f in range(4):
        share = (features[:, f].sum() + 0.5) / 61
        parts = []
        for side in (1, 0):
            rows = features[inside == side, f]
            parts.append((rows.sum() + 10 * share, (1 - rows).sum() + 10 * (1 - share)))
        (a, b), (c, d) = parts
        expected = (math.log(a / b) - math.log(c / d)) / math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
        assert found[f] == pytest.approx(expected)
    telling = np.stack([inside, 1 - inside], axis=1)
    assert log_odds(inside, 1 - inside, telling)[0] > 4 > 0 > -4 > log_odds(inside, 1 - inside, telling)[1]
