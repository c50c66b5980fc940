"""Locating an item's own text in all that the model read."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest
import yaml
from log_reading import read

from competency_gaps.logs.lm_eval_document import TEMPLATE, LoggedTask, _compiled, body_text
from competency_gaps.logs.prompt import last_occurrence
from core_helpers import write_lines
from log_samples import sample

NAME = "samples_task_2026-11-24T10-00-00.000001.jsonl"
TAIL = "<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("seen", "own", "marked"),
    [
        (f"<|im_start|>user\nant{TAIL}", "ant", "<|im_start|>user\n⟦ant⟧" + TAIL),
        (f"<|im_start|>user\nassistant{TAIL}", "assistant", "<|im_start|>user\n⟦assistant⟧" + TAIL),
        ("Q: A\nAnswer:", "A", "Q: ⟦A⟧\nAnswer:"),
        ("Q: (no)\nReply with yes or no.", "no", None),
        ("Q: How old is the fox?\nA:", "How old is the fox?", "Q: ⟦How old is the fox?⟧\nA:"),
        ("The old fox sits.\nThe old fox sits. So: the old fox sits.x", "he old fox sits.", None),
        ("请回答中国的首都是哪里呢", "中国的首都是哪里", "请回答⟦中国的首都是哪里⟧呢"),
        ("ananas", "ana", None),
    ],
)
def test_a_place_is_of_whole_words(seen, own, marked):
    found = last_occurrence(seen, own, "way")
    shown = None if found is None else f"{seen[: found.start]}⟦{own}⟧{seen[found.end :]}"
    assert shown == marked


def test_a_short_closing_text_may_stand_elsewhere_too():
    seen = f"<|im_start|>user\nant is an animal? ant{TAIL}"
    assert last_occurrence(seen, "ant", "way") is None
    assert last_occurrence(seen, "ant", "way", closes=True).start == seen.index(" ant") + 1


def test_a_long_prompt_of_special_tokens_takes_no_time():
    begun = time.process_time()
    assert last_occurrence("<|a|> " * 200_000 + "x", "fox", "way") is None
    assert time.process_time() - begun < 2


FOX, DOG = "a fox that lives in the old wood by the river", "a dog that sleeps in the house"
ANIMALS = "Which of all the animals of the wood sat here on that day?"
OPTIONS = f"Who jumps so high?\n\nA. {FOX}\nB. {DOG}"


@pytest.mark.parametrize(
    ("doc", "task", "prompt"),
    [
        pytest.param(
            {"passage": "A fox sat here.", "question": ANIMALS},
            {"shots": 1},
            f"The dog ran off.\n\nWho ran?\ndog\n\n⟦A fox sat here.\n\n{ANIMALS}⟧\nAnswer:",
            id="a passage before a longer question",
        ),
        pytest.param(
            {"passage": "The fox lives in the wood.", "question": "Where does the fox live?", "id": "x"},
            {},
            "The fox lives in the wood. Where does the fox live?\n\nPassage: "
            "⟦The fox lives in the wood.\nAsked: Where does the fox live?⟧\nA:",
            id="texts that occur twice, in their last order",
        ),
        pytest.param(
            {"question": "Who jumps so high?", "choices": {"text": [FOX, DOG]}},
            {},
            f"Who barks?\n\nA. a dog\nAnswer: A\n\n⟦{OPTIONS}⟧\nAnswer:",
            id="options after a blank line",
        ),
        pytest.param(
            {"subject": "wild animals of woods", "question": ANIMALS},
            {"shots": 0, "config": {"description": "About {{subject}}.\n\n"}},
            f"About wild animals of woods.\n\nQ: ⟦{ANIMALS}⟧\nA:",
            id="a value that the description repeats",
        ),
        pytest.param(
            {"sentence": "x _ y"},
            {"shots": 2, "chat_template": False},
            "The dog ran.\n\nThe cat slept.\n\n⟦A fox was⟧",
            id="no text of the document",
        ),
    ],
)
def test_the_items_own_text_is_located_in_the_prompt(doc, task, prompt):
    text = prompt.replace("⟦", "").replace("⟧", "")
    body = body_text(text, doc, None, LoggedTask("task", **task))
    assert f"{text[: body.start]}⟦{text[body.start : body.end]}⟧{text[body.end :]}" == prompt


def test_options_without_a_context_are_named(tmp_path):
    arguments = {f"gen_args_{i}": {"arg_0": "", "arg_1": text} for i, text in enumerate(("A fox sits.", "A fox sit."))}
    found = read(write_lines(tmp_path / NAME, [sample(0, arguments=arguments), sample(1)]))
    assert found.left_out[0].reason.code == "context_empty"


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a'.ljust(20000000) }}",
        "{{ 'a'.center(20000000) }}",
        "{{ 'a' | indent(20000000, true) }}",
        "{{ '%020000000d' | format(1) }}",
        "{{ '{:20000000}'.format(1) }}",
        "{{ text | join('twelve stars') | join('twelve stars') | join('twelve stars') }}",
        "{{ text | replace('', 'ten stars.') | replace('', 'ten stars.') | replace('', 'ten stars.') }}",
        "{{ text" + " ~ text" * 1000 + " }}",
        "{{ text" + " + text" * 300 + " }}",
        "{{ text" + "}}{{ text" * 1000 + " }}",
        "{% set a = text %}" + "{% set a = a + a %}" * 11 + "{{ a }}",
        "{% set a = [text] %}" + "{% set a = [a, a] %}" * 11 + "{{ a }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ 'a' * 1000000000 }}",
        "{% for i in range(1000000000) %}{{ text }}{% endfor %}",
    ],
)
def test_a_template_runs_no_code_and_takes_little_memory(template):
    doc = {"text": "How many foxes? " * 1000}
    tracemalloc.start()
    try:
        body_text("Question: " + doc["text"], doc, None, LoggedTask("task", config={"doc_to_text": template}))
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("template", "prompt"),
    [
        ("Question: {{q.strip()}}\nAnswer:", "Question: How many foxes?\nAnswer:"),
        ("{% set start = 'Q: 1?\nA: 2' %}{{start + '\n\nQ: ' + q}}", "Q: 1?\nA: 2\n\nQ: How many foxes? "),
        ("{{q.split(' ')[:-1]|join(' ')}}", "How many foxes?"),
        ("{{ 'a' if options is none else options[-1] | trim }}, b", "x\n two, b"),
        (
            "{% if options|length > 1 and q is defined %}{{ {'one': 'Un'}[options[0]] }}? {{q}}{% endif %}",
            "Un? How many foxes? ",
        ),
    ],
)
def test_templates_like_those_of_lm_eval_are_rendered(template, prompt):
    doc = {"q": "How many foxes? ", "options": ["one", " two"]}
    assert body_text(prompt, doc, None, LoggedTask("task", config={"doc_to_text": template})).method == TEMPLATE


@pytest.mark.slow
def test_templates_of_lm_evals_tasks_are_rendered():
    tasks = pytest.importorskip("lm_eval.tasks")

    class Loader(yaml.CSafeLoader):
        pass

    Loader.add_multi_constructor("", lambda *_: None)
    files = list(Path(tasks.__file__).parent.rglob("*.yaml"))
    texts = {yaml.load(file.read_text(encoding="utf-8"), Loader).get("doc_to_text") for file in files}
    templates = {text for text in texts if isinstance(text, str) and "{%- for" not in text and "{% for" not in text}
    assert len(templates) > 1000 and [text for text in templates if _compiled(text) is None] == []
