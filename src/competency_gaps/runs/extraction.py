"""The extraction stage: CAS rows in shards per benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.activations.extract import Extractor, ItemTokens
from competency_gaps.activations.spans import NEEDS_RESPONSE, span_mask
from competency_gaps.activations.store import CasBlock, CasStore
from competency_gaps.config import Span
from competency_gaps.model.prepare import PreparedItem
from competency_gaps.progress import Bar
from competency_gaps.runs.responses import fingerprint, shard_by_length

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHARD_TOKENS = 32_768


@dataclass(frozen=True)
class Reading:
    """What is read of an item: its tokens, or why it is left out."""

    tokens: ItemTokens | None
    excluded: str | None
    text: str
    """All that the model read, the response included if the span holds it."""


def reading(
    index: int,
    one: PreparedItem,
    span: Span,
    response: str | None,
    response_ids: np.ndarray,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
) -> Reading:
    """The tokens of one item and its span, or the reason why there is none."""
    if one.excluded is not None:
        return Reading(None, one.excluded, one.text.text)
    ids, offsets, text = one.tokens.ids, one.tokens.offsets, one.text.text
    written = 0
    if span in NEEDS_RESPONSE:
        if not response or not response.strip():
            if span == "response":
                return Reading(None, "no response", text)
        else:
            extra_ids, extra_offsets, shown = _response_tokens(tokenizer, response, response_ids, text)
            ids = np.concatenate([ids, extra_ids])
            offsets = np.concatenate([offsets, extra_offsets + len(text)]).astype(np.int32)
            text, written = text + shown, len(extra_ids)
    if len(ids) > max_length:
        return Reading(None, f"longer than the context: {len(ids)} > {max_length} tokens", text)
    mask = span_mask(span, one.tokens, written)
    if not mask.any():
        return Reading(None, "empty span", text)
    return Reading(ItemTokens(index, ids, offsets, mask), None, text)


def _response_tokens(
    tokenizer: PreTrainedTokenizerBase, response: str, response_ids: np.ndarray, prompt: str
) -> tuple[np.ndarray, np.ndarray, str]:
    """Ids and character ranges of a response: its own tokens if the model wrote it, else tokenised now."""
    if len(response_ids):
        ends = text_ends(tokenizer, response_ids)
        shown = tokenizer.decode(response_ids, skip_special_tokens=True)
        return response_ids, np.stack([np.r_[0, ends[:-1]], ends], axis=1).astype(np.int32), shown
    shown = response if prompt[-1:].isspace() else " " + response.lstrip()
    encoded = tokenizer(shown, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids = np.asarray(encoded["input_ids"], dtype=np.int32)
    return ids, np.asarray(encoded["offset_mapping"], dtype=np.int32).reshape(-1, 2), shown


def text_ends(tokenizer: PreTrainedTokenizerBase, ids: np.ndarray) -> np.ndarray:
    """Where each token's text ends in the decoded whole: int64 of shape (tokens,), ascending.

    A token alone may decode to half of a character, or lose its leading blank; so each is decoded after the last few
    that made whole characters. Where this does not add up to the whole text, every beginning is decoded.
    """

    def length(part: np.ndarray) -> tuple[int, bool]:
        text = str(tokenizer.decode(part, skip_special_tokens=True))
        return len(text), not text.endswith("\ufffd")

    ends = np.zeros(len(ids), np.int64)
    begin = settled = done = 0
    for n in range(len(ids)):
        before, _ = length(ids[begin:settled])
        now, whole = length(ids[begin : n + 1])
        ends[n] = done + max(0, now - before)
        if now > before and whole:
            done, begin, settled = int(ends[n]), settled, n + 1
    if len(ids) and ends[-1] != length(ids)[0]:
        ends = np.asarray([length(ids[: n + 1])[0] for n in range(len(ids))])
    return np.maximum.accumulate(ends)


class ExtractionStage:
    """Extracts benchmarks and keeps what was extracted."""

    def __init__(self, folder: Path, extractor: Extractor) -> None:
        self.store = CasStore(folder, extractor.sae.d_sae)
        self.extractor = extractor

    def run(self, prefix: str, readings: Sequence[Reading], bar: Bar) -> list[str]:
        """Extract one benchmark; returns the names of its shards."""
        kept = [one.tokens for one in readings if one.tokens is not None]
        names = []
        for number, group in enumerate(shards_by_tokens([len(tokens.ids) for tokens in kept])):
            name = f"{prefix}-{number:04d}"
            members = [kept[i] for i in group]
            made_of = fingerprint(member for tokens in members for member in (tokens.ids, tokens.span))
            if self.store.shards.is_whole(name, made_of):
                bar.skip(sum(len(tokens.ids) for tokens in members))
            else:
                self.store.write(name, self.extractor.extract(members, bar.advance), made_of)
            names.append(name)
        return names

    def blocks(self, names: Sequence[str]) -> Iterator[CasBlock]:
        """The rows of shards, one at a time."""
        yield from (self.store.read(name) for name in names)


def shards_by_tokens(lengths: Sequence[int]) -> Iterator[np.ndarray]:
    """Cut items, sorted by length, into shards of about ``SHARD_TOKENS`` tokens."""
    for group in shard_by_length(lengths, max(1, len(lengths))):
        sizes = np.cumsum(np.asarray(lengths)[group])
        yield from np.split(group, np.flatnonzero(np.diff(sizes // SHARD_TOKENS)) + 1)
