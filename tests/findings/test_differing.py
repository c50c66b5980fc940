"""What differs between the prompts of a benchmark."""

from __future__ import annotations

from itertools import pairwise

import pytest

from competency_gaps.findings.items import body_part, fold, template_of

HEADER = "Answer as shown.\nQ: What is 1 + 1?\nA: 2\n\n"


def differing(prompts):
    template = template_of(prompts)
    return [fold(prompt, template) for prompt in prompts]


def text_of(pieces):
    return "".join(piece.text for piece in pieces)


def own(pieces):
    return [piece.text.strip() for piece in pieces if not piece.is_constant]


def test_a_few_shot_header_and_a_template_are_constant():
    prompts = [f"{HEADER}Q: What is {a} + {b}? Give the number only.\nA:" for a, b in ((3, 4), (10, 2), (77, 5))]
    found = differing(prompts)
    assert [own(one) for one in found] == [["3 + 4"], ["10 + 2"], ["77 + 5"]]
    assert [body_part(one) for one in found] == ["3 + 4", "10 + 2", "77 + 5"]
    assert found[0][0].text == f"{HEADER}Q: What is "
    assert found[0][-1].text == "? Give the number only.\nA:"


@pytest.mark.parametrize(
    "prompts",
    [
        ["same", "same"],
        ["alone"],
        ["", "x"],
        ["<script>alert(1)</script> a \x1b[31m b", "<script>alert(1)</script> c \x1b[31m d", "\u202e"],
        ["one two three four five", "one two three four five six seven"],
        ["日本語 テスト 1", "日本語 テスト 2"],
    ],
)
def test_pieces_add_up_to_the_prompt_as_it_is(prompts):
    for prompt, pieces in zip(prompts, differing(prompts), strict=True):
        assert text_of(pieces) == prompt
        assert all(a.is_constant != b.is_constant for a, b in pairwise(pieces))


def test_long_prompts_are_compared_in_bounded_time():
    import time

    prompts = [f"{HEADER}" + " ".join(f"{i * k}" for i in range(6000)) + " end of it" for k in (1, 2, 3)]
    start = time.process_time()
    found = [fold(prompt, template_of(prompts)) for prompt in prompts]
    assert time.process_time() - start < 5
    assert [text_of(one) for one in found] == prompts
    assert found[1][0].is_constant and found[1][0].text.startswith("Answer as shown.")
