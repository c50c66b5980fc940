"""Chats of other tools for a model whose tokenizer has no chat template, or shall not use it."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from competency_gaps.items.config import BenchmarkConfig, ModelConfig
from competency_gaps.items.config.benchmark import ObjectsSource
from competency_gaps.items.item import Item
from competency_gaps.model.prompts import prepare
from competency_gaps.pipeline.load import make_scorer
from core_helpers import loaded

TEXT = "Answer briefly.\n\nWhat is the capital?\nA) Paris"
BODY = (17, len(TEXT))


def prepared(lm, item: Item, setting: str):
    benchmark = BenchmarkConfig(name="b", source=ObjectsSource(items=[]), chat_template=setting)
    return prepare(item, make_scorer("imported"), benchmark, ModelConfig(name="x"), lm, 0)


@pytest.fixture
def bare(model_folder):
    """The tiny model with a tokenizer that has no chat template."""
    lm = loaded(model_folder("llama"))
    tokenizer = copy.deepcopy(lm.tokenizer)
    tokenizer.chat_template = None
    return replace(lm, tokenizer=tokenizer)


def chat(*roles: str) -> Item:
    messages = tuple({"role": role, "content": TEXT if role == "user" else "You are kind."} for role in roles)
    return Item(id="1", prompt=TEXT[slice(*BODY)], messages=messages, body=BODY, scorer="imported")


def test_one_message_is_a_plain_text(bare, model_folder):
    for lm, setting in ((bare, "auto"), (bare, "off"), (loaded(model_folder("llama")), "off")):
        one = prepared(lm, chat("user"), setting)
        assert one.excluded is None and one.text.text == TEXT and one.text.body == BODY
        assert one.tokens.added == 1 and one.tokens.in_body.any()


def test_several_messages_need_a_template(bare, model_folder):
    one = prepared(bare, chat("system", "user"), "off")
    assert one.excluded is not None and one.excluded.code == "no_chat_template"
    templated = prepared(loaded(model_folder("llama")), chat("system", "user"), "auto")
    assert templated.excluded is None and "<|start|>user" in templated.text.text
    start, end = templated.text.body
    assert templated.text.text[start:end] == TEXT[slice(*BODY)]
