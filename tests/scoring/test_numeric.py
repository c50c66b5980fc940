from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competency_gaps.items.item import Item
from competency_gaps.items.scorer import Output
from competency_gaps.pipeline.load import make_scorer
from competency_gaps.scoring.numeric import answer_number, numbers


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("42.", ["42"]),
        ("1,234,567.5 and 1,2", ["2469135/2", "1", "2"]),
        ("5-3 = 2", ["5", "3", "2"]),
        ("-$5.50 or $-7 or $ 8", ["-11/2", "-7", "8"]),
        ("−9", ["-9"]),
        ("3/4 and 1 1/2 and -2/3", ["3/4", "3/2", "-2/3"]),
        ("1.5e3 2E-2", ["1500", "1/50"]),
        ("gpt-4", ["4"]),
        ("abc1 nothing", []),
        (".5", ["1/2"]),
        (r"\frac{3}{4} \$1{,}000"[:11], ["3/4"]),
        (r"\$12", ["12"]),
        ("1/0", []),
    ],
)
def test_numbers(text, values):
    assert [number.value for number in numbers(text)] == [Fraction(value) for value in values]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("First 3, then 4.", 4),
        ("We get 10.\n#### 12\nSee also 99", 12),
        ("The answer is 42. It took 3 steps.", 42),
        ("The answer is 3 + 4 = 7.", 7),
        ("Answer: $1,200", 1200),
        ("so \\boxed{17} because of 2 things", 17),
        ("I think the answer is unclear, perhaps 5", 5),
        ("the answer is unclear.\nPerhaps 6 or 8", 8),
        ("", None),
    ],
)
def test_answer_number(text, value):
    found = answer_number(text)
    assert (found.value if found else None) == value


def score(text, gold, **options):
    scorer = make_scorer("numeric", options)
    item = Item(id="i", prompt="p", answer=gold)
    assert scorer.check(item) is None
    return scorer.score(item, Output(text=text)).value


@pytest.mark.parametrize(
    ("text", "gold", "value"),
    [
        ("18.0", "18", 1),
        ("19", "18", 0),
        ("It costs $1,000,001.", "1000000", 0),
        ("0.333333", "1/3", 1),
        ("0.33", "1/3", 0),
        ("1 1/2", "1.5", 1),
        ("45%", "0.45", 1),
        ("45%", "45", 1),
        ("45%", "4.5", 0),
        ("0.45", "45%", 1),
        ("45", "45%", 1),
        ("-8", "8", 0),
        ("7", ["6", "7"], 1),
        ("7", 7, 1),
    ],
)
def test_score(text, gold, value):
    assert score(text, gold) == value


@settings(deadline=None)
@given(
    st.integers(-(10**12), 10**12), st.sampled_from(["{}", "{:,}", "The answer is {}.", "2 + 2\n#### {:,}", "${:,}"])
)
def test_any_integer_is_found(number, form):
    assert score(form.format(number), str(number)) == 1
    assert score(form.format(number), str(number + 1)) == 0
