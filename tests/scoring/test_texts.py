import re

import pytest

from competency_gaps.items.item import Item
from competency_gaps.items.registry import SCORERS
from competency_gaps.items.scorer import Output
from competency_gaps.pipeline.load import make_scorer
from core_helpers import benchmark_of


def score(name, text, gold, **options):
    scorer = make_scorer(name, options)
    item = Item(id="i", prompt="p", answer=gold)
    assert scorer.check(item) is None
    result = scorer.score(item, Output(text=text))
    assert result == scorer.score(item, Output(text=text))
    assert result.response == text
    return result.value


@pytest.mark.parametrize(
    ("text", "gold", "options", "value"),
    [
        ("The Eiffel  Tower!", "eiffel tower", {}, 1),
        ("\n\n Paris\n", "Paris", {}, 1),
        ("Eiffel Tower\nIt is high.", "Eiffel Tower", {}, 1),
        ("Eiffel Tower\nIt is high.", "Eiffel Tower", {"first_line": False}, 0),
        ("in Paris", "Paris", {}, 0),
        ("Paris", ["London", "Paris"], {}, 1),
        ("another", "nor", {}, 0),
        ("ﬁve", "five", {}, 1),
        ("“Quoted”", "quoted", {}, 1),
        # Nothing is left of these under SQuAD's rules, so that everything would be right.
        ("] }", "] }", {}, 1),
        ("] ]", "] }", {}, 0),
        ("", "] }", {}, 0),
        ("a", "a", {}, 1),
        ("4", 4, {}, 1),
    ],
)
def test_exact(text, gold, options, value):
    assert score("exact", text, gold, **options) == value


@pytest.mark.parametrize(
    ("text", "gold", "options", "value"),
    [
        ("I live in  new\nyork now", "New York", {}, 1),
        ("category", ["dog", "cat"], {}, 1),
        ("category", ["dog", "cat"], {"whole_words": True}, 0),
        ("a cat.", "cat", {"whole_words": True}, 1),
        ("C++!", "c++", {"whole_words": True}, 1),
    ],
)
def test_contains(text, gold, options, value):
    assert score("contains", text, gold, **options) == value


def test_every_scorer_can_be_named_by_a_record():
    for name in SCORERS:
        assert re.fullmatch("[a-z]+", name)
        assert benchmark_of("b", [{"prompt": "p", "metric": name}]).items[0].scorer == name
