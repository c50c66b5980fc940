import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competency_gaps.items.options import gold_index, option_block, with_options, without_options

TEXT = st.text(alphabet="ab A.B\n?", min_size=1, max_size=12)
STEM = TEXT.map(lambda text: "Q" + text.rstrip())


def test_block_is_written_as_in_the_shared_form():
    assert with_options("Why?", ["one", "two\nlines"]) == "Why?\n\nA. one\nB. two\nlines"


@settings(deadline=None)
@given(STEM, st.lists(TEXT, min_size=2, max_size=6))
def test_removing_options_undoes_appending_them(stem, choices):
    assert without_options(with_options(stem, choices), choices) == stem


def test_a_prompt_without_options_is_unchanged():
    assert without_options("A. is a letter. B. too?\n", ["yes", "no"]) == "A. is a letter. B. too?\n"


@pytest.mark.parametrize("tail", ["A. no\nB. yes", "A. yes\nB. no\nC. maybe", "A) yes\nB) no"])
def test_options_that_differ_from_the_choices_are_refused(tail):
    with pytest.raises(ValueError, match="differ from 'choices'"):
        without_options(f"Is it?\n\n{tail}", ["yes", "no"])


def test_more_options_than_letters_are_refused():
    with pytest.raises(ValueError, match="argument"):
        option_block(["x"] * 27)


@pytest.mark.parametrize(
    ("answer", "index"), [(2, 2), (2.0, 2), ("B", 1), ("(C)", 2), ("a.", None), ("red", 0), ("RED", 0), (" blue ", 2)]
)
def test_gold_index(answer, index):
    choices = ["red", "green", "blue"]
    if index is None:
        with pytest.raises(ValueError, match=r"0-based index.*letter \(A to C\)"):
            gold_index(answer, choices)
    else:
        assert gold_index(answer, choices) == index


@pytest.mark.parametrize("answer", [-1, 3])
def test_gold_index_out_of_range(answer):
    with pytest.raises(ValueError, match=rf"index {answer} is out of range.*0 to 2"):
        gold_index(answer, ["x", "y", "z"])


def test_a_letter_that_is_another_options_text_is_ambiguous():
    with pytest.raises(ValueError, match="ambiguous"):
        gold_index("B", ["B", "A"])
    assert gold_index("B", ["A", "B"]) == 1


def test_digits_are_an_index_only_where_there_are_no_types():
    with pytest.raises(ValueError, match="'labels'"):
        gold_index("1", ["x", "y"])
    assert gold_index("1", ["x", "y"], untyped=True) == 1
    with pytest.raises(ValueError, match="ambiguous"):
        gold_index("1", ["1", "0"], untyped=True)


def test_labels_take_precedence_over_letters_and_texts():
    assert gold_index("1", ["1", "2", "3"], labels=["3", "2", "1"]) == 2
    assert gold_index("A", ["x", "y"], labels=["B", "A"]) == 1
