"""Build, render and tokenise prompts, and locate the item's body exactly.

A text is rendered once and tokenised once. The range of the body is known by construction (plain prompts) or
by rendering the chat template around a placeholder, never by a search for similar text. Tokens are assigned to the
range by character offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from competency_gaps.items.config import BenchmarkConfig, ModelConfig
from competency_gaps.items.item import Item, Message, Reason, Text
from competency_gaps.items.scorer import Continuations, Generation, Request, Scorer, Sentences
from competency_gaps.model.load import LanguageModel
from competency_gaps.util.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class SpanError(UserError):
    """The item's body cannot be located exactly in the text that the model reads; ``reason`` says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text}.")
        self.reason = Reason(code, text)


@dataclass(frozen=True)
class Tokens:
    """A tokenised text."""

    ids: np.ndarray
    """int32 of shape (tokens,): token ids, first token included."""
    offsets: np.ndarray
    """int32 of shape (tokens, 2): character range of each token; (0, 0) for tokens without text."""
    in_body: np.ndarray
    """bool of shape (tokens,): whether the token overlaps the item's body."""
    bos: np.ndarray
    """bool of shape (tokens,): whether the token only marks the start of the input."""
    added: int
    """Number of leading tokens prepended to the text: 0 or 1."""


def plain_text(before: str, body: str, after: str) -> Text:
    """Return a prompt without a chat template: ``before`` (instructions, few-shot examples), body, ``after``."""
    return Text(before + body + after, (len(before), len(before) + len(body)), templated=False)


def chat_text(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], body: tuple[int, int, int]) -> Text:
    """Render messages, and the opening of the assistant's turn, with the tokenizer's chat template, and locate the
    item's own text in the result.

    Parameters
    ----------
    body
        The item's own text: index of a message, and the range [start, end) inside its content.

    Raises
    ------
    UserError
        If the tokenizer has no chat template, or the template fails on these messages.
    SpanError
        If the template rewrites a message so that its text cannot be found exactly.
    """
    rendered = render_chat(tokenizer, messages, generation_prompt=True)
    index, start, end = body
    origin, first, last = locate_message(tokenizer, messages, index, rendered, generation_prompt=True)
    return Text(rendered, (max(first, origin + start), min(last, origin + end)), templated=True)


def render_chat(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, generation_prompt: bool) -> str:
    """Return messages rendered with the tokenizer's chat template.

    Raises
    ------
    UserError
        If the tokenizer has no chat template, or the template fails on these messages.
    """
    from jinja2.exceptions import TemplateError

    if tokenizer.chat_template is None:
        raise UserError("the tokenizer has no chat template: set model.chat_template to 'off'.")
    try:
        text: Any = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=generation_prompt
        )
    except TemplateError as error:
        raise UserError(f"the chat template rejects these messages: {error}") from error
    return str(text)


def locate_message(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    index: int,
    rendered: str,
    *,
    generation_prompt: bool,
) -> tuple[int, int, int]:
    """Return where a message's content starts in the rendered text (as if nothing were stripped), and its range there.

    Raises
    ------
    SpanError
        If the template rewrites the message so that its text cannot be located exactly.
    """
    content = messages[index]["content"]
    if not content.strip():
        raise SpanError("text_empty", "the item's own text is empty")
    lead = len(content) - len(content.lstrip())
    mark = "\u2402item\u2403"
    while mark in rendered:
        mark += "\u2403"
    replaced = [{**m, "content": mark} if i == index else m for i, m in enumerate(messages)]
    parts = render_chat(tokenizer, replaced, generation_prompt=generation_prompt).split(mark)
    if len(parts) == 2:
        head, tail = parts
        # Templates often strip a message, which keeps every token of the text.
        for text, cut in ((content, 0), (content.strip(), lead), (content.lstrip(), lead), (content.rstrip(), 0)):
            if rendered == head + text + tail:
                return len(head) - cut, len(head), len(head) + len(text)
        # If the template adds to the text, the range is the text, provided that it occurs once and whole. Only the
        # stretch between head and tail is searched: elsewhere the same words belong to a role or an instruction.
        if rendered.startswith(head) and rendered.endswith(tail) and len(head) + len(tail) <= len(rendered):
            middle = rendered[len(head) : len(rendered) - len(tail)]
            if middle.count(content.strip()) == 1:
                start = len(head) + middle.index(content.strip())
                return start - lead, start, start + len(content.strip())
    text = "the chat template rewrites the item's text, so its tokens cannot be found exactly"
    raise SpanError("template_rewrites", f"{text}; set the benchmark's chat_template to 'off'")


def tokenize(tokenizer: PreTrainedTokenizerBase, text: Text, *, bos_id: int | None) -> Tokens:
    """Return a text's tokens, with those of the item's body marked.

    Parameters
    ----------
    bos_id
        Token before an untemplated text; None: there is none. A chat template brings its own.

    Returns
    -------
    Tokens
        A token belongs to the body if their character ranges share at least one character.
    """
    encoded = tokenizer(text.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids = np.asarray(encoded["input_ids"], dtype=np.int32)
    offsets = np.asarray(encoded["offset_mapping"], dtype=np.int32).reshape(-1, 2)
    in_body = overlaps(offsets, *text.body)
    bos = np.zeros(len(ids), dtype=bool)
    added = 0
    if text.templated:
        # The first token of a template marks the start if it is a special token.
        if len(ids) and int(ids[0]) in set(tokenizer.all_special_ids):
            bos[0] = not in_body[0]
    elif bos_id is not None:
        ids = np.concatenate([np.asarray([bos_id], dtype=np.int32), ids])
        offsets = np.concatenate([np.zeros((1, 2), dtype=np.int32), offsets])
        in_body = np.concatenate([[False], in_body])
        bos = np.concatenate([[True], bos])
        added = 1
    return Tokens(ids, offsets, in_body, bos, added)


def overlaps(offsets: np.ndarray, start: int, end: int) -> np.ndarray:
    """Mark the tokens that share a character with a range: bool of shape (tokens,)."""
    return np.asarray(np.minimum(offsets[:, 1], end) - np.maximum(offsets[:, 0], start) > 0)


def resolve_bos(tokenizer: PreTrainedTokenizerBase, setting: str, *, sae_prepends: bool | None) -> int | None:
    """Return the id of the token that starts an untemplated prompt, or None if there is none.

    Parameters
    ----------
    setting
        ``none``, a token of the vocabulary, or ``auto``: as the SAE was trained if that is known,
        else as the tokenizer does by itself.
    sae_prepends
        The SAE's ``prepend_bos``; None: unknown.

    Raises
    ------
    UserError
        If the token is not in the vocabulary.
    """
    if setting == "none":
        return None
    if setting == "auto":
        ids = tokenizer("a", verbose=False)["input_ids"]
        adds = bool(ids) and ids[0] == tokenizer.bos_token_id
        wanted = adds if sae_prepends is None else sae_prepends
        return int(tokenizer.bos_token_id) if wanted and tokenizer.bos_token_id is not None else None
    vocabulary = tokenizer.get_vocab()
    if setting not in vocabulary:
        raise UserError(f"model.bos {setting!r} is not a token of this model. Give 'auto', 'none' or a token.")
    return int(vocabulary[setting])


@dataclass(frozen=True)
class PreparedItem:
    """An item as the model reads it."""

    item: Item
    scorer: Scorer
    text: Text
    tokens: Tokens
    request: Request
    excluded: Reason | None
    """Why the item is excluded; None if it is not."""


def prepare(
    item: Item, scorer: Scorer, benchmark: BenchmarkConfig, config: ModelConfig, lm: LanguageModel, bos_id: int | None
) -> PreparedItem:
    """Return an item with its prompt built and tokenised, and a reason if it is excluded.

    An item whose prompt (with room for the answer) exceeds the context, or whose text the chat template rewrites, is
    excluded, never truncated.
    """
    request = scorer.request(item)
    try:
        text = item.seen or _text(item, scorer, request, benchmark, config, lm.tokenizer)
    except SpanError as error:
        flags, none = np.zeros(0, bool), np.zeros((0, 2), np.int32)
        tokens = Tokens(none[:, 0], none, flags, flags, 0)
        return PreparedItem(item, scorer, plain_text("", scorer.prompt(item), ""), tokens, request, error.reason)
    if item.seen is not None and config.bos == "auto":
        # Another tool's text begins as the tokenizer makes it begin, however the SAE was trained.
        bos_id = resolve_bos(lm.tokenizer, "auto", sae_prepends=None)
    tokens = tokenize(lm.tokenizer, text, bos_id=bos_id)
    prompt, room = _longest(request, tokens, lm.tokenizer)
    limit, reason = lm.max_length, None
    if max(len(tokens.ids), prompt + room) > limit:
        reason = Reason("too_long", f"longer than the context: {prompt} > {limit} tokens", (prompt, limit))
        if room:
            words = f"longer than the context: {prompt} + {room} > {limit} tokens"
            reason = Reason("too_long_with_answer", words, (prompt, room, limit))
    return PreparedItem(item, scorer, text, tokens, request, reason)


def _longest(request: Request, tokens: Tokens, tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """Return the tokens of the longest prompt (with a continuation), and the tokens to reserve for an answer."""

    def lengths(texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]

    prompt = len(tokens.ids)
    if isinstance(request, Generation):
        return prompt, request.max_new_tokens
    if isinstance(request, Sentences):
        return max(prompt, *lengths(request.texts)), 0
    if not isinstance(request, Continuations):
        return prompt, 0
    # The last token of an option is predicted, not read.
    return prompt, max(length - 1 for length in lengths(request.texts))


def _text(
    item: Item,
    scorer: Scorer,
    request: Request,
    benchmark: BenchmarkConfig,
    config: ModelConfig,
    tokenizer: PreTrainedTokenizerBase,
) -> Text:
    """Return the text that the model reads, with the item's body located."""
    text, setting = scorer.prompt(item), benchmark.chat_template or config.chat_template
    wants_answer = isinstance(request, Generation)
    templated = setting == "on" or (setting == "auto" and wants_answer and tokenizer.chat_template is not None)
    if item.messages is None and not templated:
        after = scorer.default_after if benchmark.after is None else benchmark.after
        return plain_text(benchmark.before, text, after)
    content = benchmark.before + text + (benchmark.after or "")
    span = (len(benchmark.before), len(benchmark.before) + len(text))
    system = benchmark.system_prompt or config.system_prompt
    if item.messages is None:
        messages = [{"role": "user", "content": content}]
    else:
        messages = [dict(message) for message in item.messages]
        last = max(i for i, message in enumerate(messages) if message["role"] == "user")
        if item.body is None:
            messages[last]["content"] = content
        else:
            span = item.body
    bare = setting == "off" or (setting == "auto" and tokenizer.chat_template is None)
    if bare and item.messages is not None and [message["role"] for message in messages] == ["user"]:
        return Text(messages[0]["content"], span, templated=False)
    if tokenizer.chat_template is None and item.messages is not None:
        text = "a chat of several messages, but the tokenizer has no chat template to render it"
        raise SpanError("no_chat_template", text)
    if system and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system})
    index = max(i for i, message in enumerate(messages) if message["role"] == "user")
    return chat_text(tokenizer, messages, (index, *span))
