"""The model's input for each item: the text, its tokens and the span, or the reason for its exclusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.activations.extract import ItemTokens
from competency_gaps.activations.spans import NEEDS_RESPONSE, span_mask
from competency_gaps.config import Span
from competency_gaps.items.item import Reason
from competency_gaps.model.prompts import PreparedItem

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class ItemInput:
    """The model's input for an item."""

    tokens: ItemTokens | None
    """Tokens and span; None: the item is excluded."""
    excluded: Reason | None
    """Why the item is excluded; None: it is kept."""
    text: str
    """The whole text that the model reads, with the response if the span includes it."""


def item_input(
    index: int,
    item: PreparedItem,
    span: Span,
    response: str | None,
    response_ids: np.ndarray,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
) -> ItemInput:
    """Make the input for one item, with the response if the span includes it."""
    if item.excluded is not None:
        return ItemInput(None, item.excluded, item.text.text)
    ids, offsets, text = item.tokens.ids, item.tokens.offsets, item.text.text
    written = 0
    if span in NEEDS_RESPONSE:
        if not response or not response.strip():
            if span == "response":
                return ItemInput(None, Reason("no_response", "no response"), text)
        else:
            extra_ids, extra_offsets, shown = _response_tokens(tokenizer, response, response_ids, text)
            ids = np.concatenate([ids, extra_ids])
            offsets = np.concatenate([offsets, extra_offsets + len(text)]).astype(np.int32)
            text, written = text + shown, len(extra_ids)
    if len(ids) > max_length:
        return ItemInput(
            None,
            Reason("too_long", f"longer than the context: {len(ids)} > {max_length} tokens", (len(ids), max_length)),
            text,
        )
    mask = span_mask(span, item.tokens, written)
    if not mask.any():
        return ItemInput(None, Reason("empty_span", "empty span"), text)
    return ItemInput(ItemTokens(index, ids, offsets, mask), None, text)


def _response_tokens(
    tokenizer: PreTrainedTokenizerBase, response: str, response_ids: np.ndarray, prompt: str
) -> tuple[np.ndarray, np.ndarray, str]:
    """Ids, character ranges and text of a response: the generated tokens if the model wrote it, else tokenised anew."""
    if len(response_ids):
        ends = text_ends(tokenizer, response_ids)
        shown = tokenizer.decode(response_ids, skip_special_tokens=True)
        return response_ids, np.stack([np.r_[0, ends[:-1]], ends], axis=1).astype(np.int32), shown
    shown = response if prompt[-1:].isspace() else " " + response.lstrip()
    encoded = tokenizer(shown, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids = np.asarray(encoded["input_ids"], dtype=np.int32)
    return ids, np.asarray(encoded["offset_mapping"], dtype=np.int32).reshape(-1, 2), shown


def text_ends(tokenizer: PreTrainedTokenizerBase, ids: np.ndarray) -> np.ndarray:
    """End of each token's text in the decoded whole: int64 of shape (tokens,), ascending.

    A single token may decode to part of a character or lose its leading blank, so each is decoded together with the
    tokens since the last whole character but one. If these lengths do not add up to the whole text, every prefix is
    decoded.
    """

    def length(part: np.ndarray) -> tuple[int, bool]:
        text = str(tokenizer.decode(part, skip_special_tokens=True))
        return len(text), not text.endswith("\ufffd")

    ends = np.zeros(len(ids), np.int64)
    begin = complete = done = 0
    for n in range(len(ids)):
        before, _ = length(ids[begin:complete])
        now, whole = length(ids[begin : n + 1])
        ends[n] = done + max(0, now - before)
        if now > before and whole:
            done, begin, complete = int(ends[n]), complete, n + 1
    if len(ids) and ends[-1] != length(ids)[0]:
        ends = np.asarray([length(ids[: n + 1])[0] for n in range(len(ids))])
    return np.maximum.accumulate(ends)
