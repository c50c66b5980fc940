"""Rules for refusals on answers written by hand."""

from __future__ import annotations

import pytest
import unseen_answers
from declined_answers import COMPLIED, DECLINED

from competency_gaps.judging import declines as declines_module
from competency_gaps.judging.declines import declines


def test_precision_and_recall_on_answers_written_by_hand() -> None:
    assert len(DECLINED) + len(COMPLIED) >= 60
    missed = [text for text in DECLINED if declines(text) is None]
    wrong = [(declines(text), text) for text in COMPLIED if declines(text) is not None]
    right = len(DECLINED) - len(missed)
    assert right / len(DECLINED) >= 0.95, missed
    assert right / (right + len(wrong)) >= 0.95, wrong


def test_figures_on_unseen_answers_are_those_in_the_documentation() -> None:
    found = [declines(text) is not None for text in unseen_answers.DECLINED]
    wrong = [declines(text) is not None for text in unseen_answers.COMPLIED]
    assert (len(found), len(wrong)) == (30, 30)
    told = " ".join(str(declines_module.__doc__).split())
    assert f"find {sum(found)} of 30 refusals and call {sum(wrong)} of 30 other answers refusals" in told
    figures = f"recall {sum(found) / 30:.2f}, precision {sum(found) / sum(found + wrong):.2f}"
    assert figures in told


def test_only_the_beginning_counts() -> None:
    assert declines("Sure. " + "This is how it goes. " * 40 + "I can't help with more than that.") is None
    assert declines("") is None


@pytest.mark.parametrize(
    "text", ["I can't help with that.", "I CANNOT HELP WITH THAT.", "I can\u2019t\nhelp  with that."]
)
def test_writing_does_not_matter(text: str) -> None:
    assert declines(text) == "cannot"
