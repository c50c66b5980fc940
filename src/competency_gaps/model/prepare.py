"""Build and tokenise each item's prompt, once for scoring and extraction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.config import BenchmarkConfig, ModelConfig
from competency_gaps.errors import UserError
from competency_gaps.items.item import Item, Message, Reason, Text
from competency_gaps.items.policy import Continuations, Generation, Policy, Request, Sentences
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prompts import SpanError, Tokens, chat_text, plain_text, resolve_bos, tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class PreparedItem:
    """An item as the model reads it."""

    item: Item
    policy: Policy
    text: Text
    tokens: Tokens
    request: Request
    excluded: Reason | None
    """Why the item is excluded; None: it is kept."""


def prepare(
    item: Item, policy: Policy, benchmark: BenchmarkConfig, config: ModelConfig, lm: LanguageModel, bos_id: int | None
) -> PreparedItem:
    """Build and tokenise an item's prompt, and decide whether the item is kept.

    An item whose prompt (with room for the answer) exceeds the context, or whose text the chat template rewrites, is
    excluded with its reason, never truncated.
    """
    request = policy.request(item)
    own = policy.prompt(item)
    try:
        text = item.seen or _text(item, own, request, policy, benchmark, config, lm.tokenizer)
    except SpanError as error:
        return _unfit(item, policy, own, request, error.reason)
    if policy.as_plain_text and text.templated:
        text = replace(text, templated=text.text.startswith(lm.tokenizer.bos_token or "\0"))
    if (item.seen is not None or policy.as_plain_text) and config.bos == "auto":
        # Another tool's text begins as the tokenizer makes it begin, however the SAE was trained.
        bos_id = resolve_bos(lm.tokenizer, "auto", sae_prepends=None)
    tokens = tokenize(lm.tokenizer, text, bos_id=bos_id)
    prompt, room = _longest(request, tokens, lm.tokenizer)
    if max(len(tokens.ids), prompt + room) > lm.max_length:
        limit = lm.max_length
        reason = (
            Reason(
                "too_long_with_answer",
                f"longer than the context: {prompt} + {room} > {limit} tokens",
                (prompt, room, limit),
            )
            if room
            else Reason("too_long", f"longer than the context: {prompt} > {limit} tokens", (prompt, limit))
        )
        return PreparedItem(item, policy, text, tokens, request, reason)
    return PreparedItem(item, policy, text, tokens, request, None)


def _longest(request: Request, tokens: Tokens, tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """The longest prompt with its continuation or answer: tokens of both."""

    def lengths(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]

    prompt = len(tokens.ids)
    if isinstance(request, Generation):
        return prompt, request.max_new_tokens
    if isinstance(request, Sentences):
        return max(prompt, *lengths(request.texts)), 0
    if not isinstance(request, Continuations):
        return prompt, 0
    before = [prompt] * len(request.texts)
    for place, context in enumerate(request.contexts):
        if context is not None:
            before[place] = tokens.added + lengths([context])[0]
    # The last token of an option is predicted, not read.
    after = [length - 1 for length in lengths(request.texts)]
    return max(zip(before, after, strict=True), key=sum)


def _text(
    item: Item,
    own: str,
    request: Request,
    policy: Policy,
    benchmark: BenchmarkConfig,
    config: ModelConfig,
    tokenizer: PreTrainedTokenizerBase,
) -> Text:
    setting = benchmark.chat_template or config.chat_template
    wants_answer = isinstance(request, Generation)
    templated = setting == "on" or (setting == "auto" and wants_answer and tokenizer.chat_template is not None)
    if item.messages is None and not templated:
        after = policy.default_after if benchmark.after is None else benchmark.after
        return plain_text(benchmark.before, own, after)
    content = benchmark.before + own + (benchmark.after or "")
    place = (len(benchmark.before), len(benchmark.before) + len(own))
    system = benchmark.system_prompt or config.system_prompt
    if item.messages is None:
        messages = [{"role": "user", "content": content}]
    else:
        messages = [dict(message) for message in item.messages]
        last = max(i for i, message in enumerate(messages) if message["role"] == "user")
        if item.own is None:
            messages[last]["content"] = content
        else:
            place = item.own
    bare = setting == "off" or (setting == "auto" and tokenizer.chat_template is None)
    if bare and item.messages is not None and [message["role"] for message in messages] == ["user"]:
        return Text(messages[0]["content"], place, templated=False)
    if tokenizer.chat_template is None and item.messages is not None:
        raise SpanError(
            Reason(
                "no_chat_template",
                "a chat of several messages, but the tokenizer has no chat template to make a text of it",
            )
        )
    if system and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system})
    return _chat(tokenizer, messages, place, without_system=policy.as_plain_text)


def _chat(
    tokenizer: PreTrainedTokenizerBase, messages: list[Message], place: tuple[int, int], *, without_system: bool
) -> Text:
    """The rendered chat; with ``without_system``, system messages that the template refuses are dropped."""
    index = max(i for i, message in enumerate(messages) if message["role"] == "user")
    try:
        return chat_text(tokenizer, messages, own=(index, *place), generation_prompt=True)
    except SpanError:
        raise
    except UserError:
        rest = [message for message in messages if message["role"] != "system"]
        if not without_system or len(rest) == len(messages):
            raise
        return _chat(tokenizer, rest, place, without_system=False)


def _unfit(item: Item, policy: Policy, own: str, request: Request, reason: Reason) -> PreparedItem:
    empty = np.zeros(0, np.int32)
    tokens = Tokens(empty, np.zeros((0, 2), np.int32), np.zeros(0, bool), np.zeros(0, bool), 0)
    return PreparedItem(item, policy, plain_text("", own, ""), tokens, request, reason)
