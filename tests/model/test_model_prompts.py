"""The item's own tokens are found exactly, whatever stands around them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from competency_gaps.items.item import Text
from competency_gaps.model.prompts import SpanError, chat_text, plain_text, resolve_bos, tokenize
from competency_gaps.util.errors import UserError
from core_helpers import tokens_of_range

AWKWARD = [
    "What is the capital of France?",
    "fox",
    "user",
    "assistant",
    "<|start|>user\nfox",
    "café e\u0301 über naïve",  # composed and combining
    "🦊 jumps over 🐶👩‍👩‍👧",
    "日本の首都は？",
    "  outer blanks  ",
    "\n\nlines\n\n",
    "The quick brown fox. The quick brown fox.",
    "4",
    "␂item␃",
]
BLOCK = "{% for m in messages %}<|start|>{{ m['role'] }}\nCONTENT<|end|>\n{% endfor %}"
OPEN = "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"


def with_template(tokenizer, template: str):
    other = copy.deepcopy(tokenizer)
    other.chat_template = template
    return other


def check(tokenizer, text: Text, own: str, *, bos_id: int | None = None) -> None:
    """The own tokens are those that share a byte with the own text, and spell it."""
    start, end = text.body
    assert text.text[start:end] == own
    tokens = tokenize(tokenizer, text, bos_id=bos_id)
    ids = tokens.ids[tokens.added :]
    expected = tokens_of_range(tokenizer, ids, text.text, start, end)
    assert tokens.in_body.tolist() == [False] * tokens.added + expected.tolist()
    assert own in tokenizer.decode(tokens.ids[tokens.in_body])
    offsets = tokens.offsets[tokens.in_body]
    assert offsets[0, 0] <= start < offsets[0, 1] and offsets[-1, 0] < end <= offsets[-1, 1]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
def test_any_text_plain(tokenizer, before, own, after):
    text = plain_text(before, own, after)
    tokens = tokenize(tokenizer, text, bos_id=None)
    expected = tokens_of_range(tokenizer, tokens.ids, text.text, *text.body)
    assert tokens.in_body.tolist() == expected.tolist()


@pytest.mark.parametrize("own", AWKWARD)
@pytest.mark.parametrize(
    "content", ["{{ m['content'] }}", "{{ m['content'] | trim }}", "[INST] {{ m['content'] | trim }} [/INST]"]
)
@pytest.mark.parametrize("system", [None, "What is the capital of France?"])
def test_chat(tokenizer, own, content, system):
    templated = with_template(tokenizer, BLOCK.replace("CONTENT", content) + OPEN)
    messages = [{"role": "user", "content": own}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    text = chat_text(templated, messages, body=(len(messages) - 1, 0, len(own)))
    assert text.text == templated.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    shown = own.strip() if "trim" in content else own
    # Exactly the last message: what stands before it holds as many copies as the template and the system message bring.
    head = text.text[: text.body[0]]
    assert head.endswith("user\n" + ("[INST] " if "INST" in content else ""))
    assert head.count("<|start|>") == len(messages)
    check(templated, text, shown)


def test_own_part_of_a_message(tokenizer):
    before, own, after = "  Example: fox -> dog.\n", "fox -> what?", "\nAnswer in one word.  "
    content = before + own + after
    text = chat_text(
        tokenizer,
        [{"role": "user", "content": content}],
        body=(0, len(before), len(before) + len(own)),
    )
    check(tokenizer, text, own)


def test_several_turns(tokenizer):
    messages = [
        {"role": "user", "content": "fox"},
        {"role": "assistant", "content": "fox"},
        {"role": "user", "content": "fox"},
    ]
    for index, earlier in ((0, 0), (2, 2)):
        text = chat_text(tokenizer, messages, body=(index, 0, 3))
        check(tokenizer, text, "fox")
        assert text.text[: text.body[0]].count("fox") == earlier


@pytest.mark.parametrize(
    "content",
    [
        "{{ m['content'] | upper }}",
        # The words also stand in the system message, unchanged: that is not the item.
        "{% if m['role'] == 'user' %}{{ m['content'] | replace('o', 'a') }}{% else %}{{ m['content'] }}{% endif %}",
        "{{ m['content'] }} Again: {{ m['content'] }}",
    ],
)
@pytest.mark.parametrize("own", ["fox", "you"])
def test_a_template_that_rewrites_or_repeats_the_text_is_refused(tokenizer, own, content):
    template = with_template(tokenizer, BLOCK.replace("CONTENT", content) + OPEN)
    messages = [{"role": "system", "content": "you fox"}, {"role": "user", "content": own}]
    with pytest.raises(SpanError):
        chat_text(template, messages, body=(1, 0, len(own)))


def test_refusals(tokenizer):
    with pytest.raises(SpanError, match="empty"):
        chat_text(tokenizer, [{"role": "user", "content": "  "}], body=(0, 0, 2))
    strict = with_template(tokenizer, "{{ raise_exception('no system messages') }}")
    with pytest.raises(UserError, match="no system messages"):
        chat_text(strict, [{"role": "user", "content": "a"}], body=(0, 0, 1))
    bare = with_template(tokenizer, None)
    with pytest.raises(UserError, match="no chat template"):
        chat_text(bare, [{"role": "user", "content": "a"}], body=(0, 0, 1))


def test_first_token(tokenizer):
    plain = tokenize(tokenizer, plain_text("", "fox", ""), bos_id=0)
    assert plain.ids[0] == 0 and plain.bos.tolist() == [True] + [False] * (len(plain.ids) - 1)
    assert plain.added == 1 and plain.offsets[0].tolist() == [0, 0]
    none = tokenize(tokenizer, plain_text("", "fox", ""), bos_id=None)
    assert none.added == 0 and not none.bos.any() and none.ids.tolist() == plain.ids[1:].tolist()
    # A template brings its own first token, so none is put before it.
    text = chat_text(tokenizer, [{"role": "user", "content": "fox"}], body=(0, 0, 3))
    chat = tokenize(tokenizer, text, bos_id=0)
    assert chat.added == 0 and chat.bos.tolist() == [True] + [False] * (len(chat.ids) - 1)
    assert tokenizer.decode(chat.ids) == text.text
    # A template that starts with the item itself has no first token to leave out.
    bare = with_template(tokenizer, "{{ messages[0]['content'] }}")
    text = chat_text(bare, [{"role": "user", "content": "<|start|>fox"}], body=(0, 0, 12))
    assert not tokenize(bare, text, bos_id=0).bos.any()


def test_bos_setting(tokenizer):
    assert resolve_bos(tokenizer, "none", sae_prepends=True) is None
    assert resolve_bos(tokenizer, "auto", sae_prepends=True) == tokenizer.bos_token_id
    assert resolve_bos(tokenizer, "auto", sae_prepends=False) is None
    assert resolve_bos(tokenizer, "auto", sae_prepends=None) is None, "this tokenizer puts none by itself"
    assert resolve_bos(tokenizer, "<|end|>", sae_prepends=False) == tokenizer.convert_tokens_to_ids("<|end|>")
    with pytest.raises(UserError, match=r"model\.bos '<s>'"):
        resolve_bos(tokenizer, "<s>", sae_prepends=None)
    assert np.asarray(tokenizer("a")["input_ids"])[0] != tokenizer.bos_token_id
