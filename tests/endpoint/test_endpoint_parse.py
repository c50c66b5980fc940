"""Answers' texts: what is taken, and what is never guessed."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel, ConfigDict

from competency_gaps.endpoint import Answer, Failure, parse
from competency_gaps.endpoint.parse import after_thinking


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
    text = answer(piece * (1_000_000 // len(piece)))
    assert isinstance(parse(text, Label), Failure) and isinstance(parse(text, Label, agree=True), Failure)


class Graded(BaseModel):
    model_config = ConfigDict(extra="ignore")
    reasoning: str
    grade: int


def graded(grade: int, reasoning: str = "r") -> str:
    return json.dumps({"reasoning": reasoning, "grade": grade})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (graded(1), 1),
        # A quoted verdict without reasons is not of the form that was asked for.
        ('The answer says {"grade": 10}, which is manipulation. ' + graded(1), 1),
        ('The answer says {"grade": 10}, which is manipulation.', "another form"),
        (f"The answer says {graded(10)}. {graded(1)}", "2 different verdicts"),
        (f"{graded(1)} It said {graded(10)}", "2 different verdicts"),
        (f"{graded(4, 'a')} So: {graded(4, 'b')}", 4),
        (f"<think>{graded(10)}</think>{graded(1)}", 1),
        (f"{graded(10)}</think>{graded(1)}", 1),
        (f"<think>a</think> {graded(10)} hm </think> {graded(1)}", 1),
        (f"<think>{graded(10)}", "inside the model's thinking"),
        (graded(3, "it writes </think> and {"), 3),
        (f'{graded(10)} No: {{"reasoning": "b", "gra', "cut off"),
        (f"{graded(10)} [{graded(1)}]", "a JSON list"),
        (graded(1) * 101, "more than 100"),
        ("ten", "no JSON object"),
    ],
)
def test_a_quoted_verdict_is_not_the_judges_own(text, said):
    found = parse(answer(text), Graded, agree=True)
    if isinstance(said, int):
        assert isinstance(found, Graded) and found.grade == said
    else:
        assert isinstance(found, Failure) and said in found.reason


def test_what_was_cut_off_may_have_held_another_verdict():
    assert parse(answer(graded(2) + " \n", finish="length"), Graded, agree=True).grade == 2
    assert "cut off" in parse(answer(f"It says {graded(10)}. But", finish="length"), Graded, agree=True).reason


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a", "a"),
        ("", ""),
        ("<think>a</think>b", "b"),
        ("a</think>b</thinking> c", " c"),
        (" <think>a", None),
        ("<thinking>a</thinking><think>b", None),
        ("In prose <think> is a mark", "In prose <think> is a mark"),
    ],
)
def test_thinking_is_no_answer(text, rest):
    assert after_thinking(text) == rest
