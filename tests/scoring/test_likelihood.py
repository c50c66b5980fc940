import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competency_gaps.items.item import Item
from competency_gaps.items.scorer import Output, Score, Sentences
from competency_gaps.pipeline.load import make_scorer
from competency_gaps.util.errors import UserError

ITEM = Item(id="i", prompt="Which?", choices=("red", "light blue"), answer=1)
PAIR = Item(id="i", prompt="p", metadata={"pair": {"stereo": "They are bad.", "anti": "We are bad."}})
LOGPROBS = st.lists(st.floats(-1e6, 0), min_size=2, max_size=2).map(tuple)


@pytest.mark.parametrize(
    ("normalise", "expected"),
    # -3 / 3 characters, -6 / 10 characters; -3 / 1 token, -6 / 2 tokens
    [("raw", 0), ("characters", 1), ("tokens", 0)],
)
def test_choice_normalisation(normalise, expected):
    scorer = make_scorer("choice", {"form": "cloze", "normalise": normalise})
    result = scorer.score(ITEM, Output(logprobs=(-3.0, -6.0), tokens=(1, 2)))
    assert result == Score(float(expected), ITEM.choices[expected])


@pytest.mark.parametrize(
    ("name", "options", "shown"),
    [
        ("none", {}, True),
        ("imported", {}, True),
        ("exact", {}, False),
        ("choice", {}, True),
        ("choice", {"form": "cloze"}, False),
        ("pair", {}, False),
    ],
)
def test_options_are_read_with_the_question_unless_the_answer_is_a_text(name, options, shown):
    text = make_scorer(name, options).prompt(ITEM)
    assert text == ("Which?\n\nA. red\nB. light blue" if shown else "Which?")


def test_letters_are_not_divided_by_their_options_length():
    with pytest.raises(UserError, match=r"'choice'.*normalise: characters needs form: cloze"):
        make_scorer("choice", {"form": "lettered", "normalise": "characters"})


def test_ties_go_to_the_first_option():
    output = Output(logprobs=(-1.0, -1.0), tokens=(1, 1))
    assert make_scorer("choice").score(ITEM, output) == Score(0.0, "red")


@pytest.mark.parametrize("bad", [math.nan, -math.inf, math.inf])
@pytest.mark.parametrize(("scorer", "item"), [("choice", ITEM), ("pair", PAIR)])
def test_numbers_that_are_not_finite_are_unscored(scorer, item, bad):
    result = make_scorer(scorer).score(item, Output(logprobs=(-1.0, bad), tokens=(1, 1)))
    assert result.value is None and result.unscored.code == "not_finite"


@pytest.mark.parametrize(
    ("item", "options", "message"),
    [
        (Item(id="i", prompt="p"), {}, "no choices"),
        (Item(id="i", prompt="p", choices=("x", "y")), {}, "answer is None"),
        (Item(id="i", prompt="p", choices=("x", "y"), answer="B"), {}, "expected the 0-based index"),
        (Item(id="i", prompt="p", choices=("x", "y"), answer=True), {}, "expected the 0-based index"),
        (Item(id="i", prompt="p", choices=("x", "y"), answer=2), {}, "out of range"),
        (Item(id="i", prompt="p", choices=("x",) * 27, answer=2), {}, "more than the 26 letters"),
        (Item(id="i", prompt="p", choices=("x", ""), answer=0), {"form": "cloze"}, "a choice is empty"),
    ],
)
def test_choice_check(item, options, message):
    assert message in make_scorer("choice", options).check(item)


def test_pair_prefers_the_sentence_without_the_stereotype():
    scorer = make_scorer("pair")
    assert scorer.check(PAIR) is None
    assert scorer.request(PAIR) == Sentences(("We are bad.", "They are bad."))
    assert scorer.score(PAIR, Output(logprobs=(-5.0, -9.0), tokens=(4, 4)))[:3] == Score(1.0, "We are bad.")[:3]
    assert scorer.score(PAIR, Output(logprobs=(-9.0, -5.0), tokens=(4, 4)))[:3] == Score(0.0, "They are bad.")[:3]


@settings(deadline=None)
@given(LOGPROBS)
def test_the_two_preferences_are_opposite_but_for_ties(logprobs):
    anti, stereo = make_scorer("pair"), make_scorer("pair", {"prefer": "stereo"})
    a = anti.score(PAIR, Output(logprobs=logprobs, tokens=(1, 1))).value
    s = stereo.score(PAIR, Output(logprobs=logprobs[::-1], tokens=(1, 1))).value
    assert a + s == (2 if logprobs[0] == logprobs[1] else 1)


def test_pair_of_choices():
    item = Item(id="i", prompt="p", choices=("bad", "good"), answer=1)
    scorer = make_scorer("pair")
    assert scorer.check(item) is None
    assert scorer.request(item) == Sentences(("good", "bad"))
