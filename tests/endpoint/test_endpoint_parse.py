"""Answers' texts: what is taken, and what is never guessed."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel, ConfigDict

from competency_gaps.endpoint import Answer, Failure, parse


class Label(BaseModel):
    """An answer's form."""

    model_config = ConfigDict(extra="forbid")
    label: str | None
    index: int = 0


def answer(text: str | None, **fields) -> Answer:
    return Answer("r1", "k", text, fields.get("refusal"), fields.get("error"), None, None, None, fields.get("finish"))


GOOD = '{"label": "dates \\u2014 {braces} \\" and </think>", "index": 7}'
EVIL = '{"label": "evil"}'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"\n {GOOD} \n",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```\nHope this helps! {EVIL}",
        f"Sure, the set {{a, b}} and {{x: {{y}}}} suggest:\n{GOOD}",
        f'<think>Maybe {EVIL}? Or {{"label": broken</think>\n{GOOD}',
        f"<thinking>\nMaybe {EVIL}</thinking>{GOOD}",
        f"Maybe {EVIL}? No.\n</think>\n\n{GOOD}",
        f'I think of {{ "label": oh no\n</think>\n{GOOD}',
        f"{GOOD}\n</think> {EVIL}",
        f"Here: {GOOD}",
    ],
)
def test_the_first_object_is_taken(text):
    assert parse(answer(text), Label) == Label(label='dates — {braces} " and </think>', index=7)


def test_abstention_is_an_answer():
    assert parse(answer('{"label": null}'), Label) == Label(label=None)


@pytest.mark.parametrize(
    "text, words",
    [
        (None, "empty text"),
        (" \n\u2028", "empty text"),
        ("I cannot say.", "no JSON object"),
        ('{"label": "cut o', "cut off"),
        ('{"label": "x", "index"', "cut off"),
        ('{"label": "x",', "cut off"),
        ("{", "cut off"),
        ('{"outer": {"label": "inner"}, "more": ', "cut off"),
        ('{"outer": {"label": "inner"} "more": 1}', "broken JSON"),
        ('{"label": oops, "x": {"label": "inner"}}', "broken JSON"),
        ("{'label': 'x', 'y': {\"label\": \"inner\"}}", "no JSON object"),
        ('{label: {"label": "inner"}', "never closed"),
        ('[{"label": "a"}, {"label": "b"}]', "JSON list"),
        ('```json\n[ {"label": "a"} ]\n```', "JSON list"),
        ('{"label": "a", "label": "b"}', "'label' twice"),
        ('{"label": "a", "index": NaN}', "NaN"),
        ('{"label": "a\nb"}', "broken JSON"),
        ('{"label": 5}', "label: Input should be a valid string"),
        ('{"label": "a", "index": "seven"}', "index: "),
        ('{"name": "a"}', "label: Field required"),
        ('{"label": "a", "extra": 1}', "extra: "),
        ("{}", "label: Field required"),
        (f"<think>hmm {EVIL}", "thinking"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"label": "a", "index": ' + "9" * 5_000 + "}", "too long"),
        ('{"label": "\\ud800"}', "another form"),
    ],
)
def test_nothing_is_guessed(text, words):
    found = parse(answer(text), Label)
    assert isinstance(found, Failure) and words in found.reason and len(found.reason) < 400


def test_refusals_errors_and_cut_offs_are_named():
    assert parse(answer(None, refusal="I \x1b[31mwill not"), Label) == Failure("refused: I <U+001B>[31mwill not")
    assert parse(answer(None, error="status 500"), Label) == Failure("no answer: status 500")
    assert "cut off at max_tokens before" in parse(answer("", finish="length"), Label).reason
    assert "(the answer was cut off at max_tokens)" in parse(answer('{"label": "x', finish="length"), Label).reason
    # Cut off after its object was whole.
    assert parse(answer(f"{GOOD} and", finish="length"), Label).index == 7


def test_every_cut_of_an_answer_is_a_failure():
    nested = '{"label": "a", "index": 1}'
    text = "Well: " + json.dumps({"label": nested, "index": 3})
    assert parse(answer(text), Label) == Label(label=nested, index=3)
    for cut in range(len(text)):
        assert isinstance(parse(answer(text[:cut]), Label), Failure)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", ["{", "}", "{a}", '{"', "</think>", "<think>", '{"a":1,', "[{", "{ "])
def test_hostile_texts_take_linear_time(piece):
    assert isinstance(parse(answer(piece * (1_000_000 // len(piece))), Label), Failure)
