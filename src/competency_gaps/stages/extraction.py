"""The extraction stage: the model's responses, their scores and the CAS rows of a benchmark, in shards.

The pass over a prompt that scores its options or begins its answer also gives the activations of the prompt's span.
Only if there is no such pass, or the span includes the response, a separate pass, which ends at the hook, gives the
rows.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from competency_gaps.activations.extract import Extractor, ItemTokens, SpanTap
from competency_gaps.activations.spans import NEEDS_RESPONSE
from competency_gaps.activations.store import CasStore
from competency_gaps.activations.tokens import lacking
from competency_gaps.config import GenerationConfig, Span
from competency_gaps.items.policy import Generation
from competency_gaps.model.prepare import PreparedItem
from competency_gaps.model.respond import PromptRequest, respond
from competency_gaps.progress import Bar
from competency_gaps.shards import ShardFolder
from competency_gaps.stages.inputs import ItemInput, item_input
from competency_gaps.stages.items import excluded_table, response_table

log = logging.getLogger(__name__)

SHARD_TOKENS = 32_768
SHARD_ITEMS = 256
GENERATED_ITEMS = 64
"""Items of a shard with generated answers; bounds what a killed run loses."""


@dataclass(frozen=True)
class Extraction:
    """Results of the stage for one benchmark."""

    responses: pl.DataFrame
    """One row per item in order, as made by :func:`~competency_gaps.stages.items.response_table`; excluded items
    are unscored."""
    inputs: list[ItemInput]
    """Per item."""
    shards: list[str]
    """Names of the shards of CAS rows."""


class ExtractionStage:
    """Extracts benchmarks into shards, each a file of responses and a file of CAS rows.

    A shard counts only if both files are whole; else one pass makes both again, so that a resumed run ends in the same
    bytes as an uninterrupted one.
    """

    def __init__(
        self, folder: Path, extractor: Extractor, span: Span, bos_id: int | None, generation: GenerationConfig
    ) -> None:
        self.responses = ShardFolder(folder / "responses", ".parquet")
        self.store = CasStore(folder / "activations", extractor.sae.d_sae)
        self.extractor, self.span, self.bos_id, self.generation = extractor, span, bos_id, generation

    def run(self, prefix: str, items: Sequence[PreparedItem], bar: Bar) -> Extraction:
        """Extract one benchmark; ``bar`` counts items."""
        kept = [i for i, item in enumerate(items) if item.excluded is None]
        names, tables = [], [excluded_table([i for i, item in enumerate(items) if item.excluded is not None])]
        writes = any(isinstance(items[i].request, Generation) for i in kept)
        cut = shards([len(items[i].tokens.ids) for i in kept], GENERATED_ITEMS if writes else SHARD_ITEMS)
        for number, group in enumerate(cut):
            name = f"{prefix}-{number:04d}"
            members = [kept[i] for i in group]
            made_of = fingerprint(
                (array for i in members for array in (items[i].tokens.ids, items[i].tokens.own)),
                (repr(items[i].request) for i in members),
            )
            whole = self.responses.is_whole(name, made_of) and self.store.shards.is_whole(name, made_of)
            if whole:
                bar.skip(len(members))
            else:
                self._read_shard(name, items, members, made_of, bar)
            tables.append(pl.read_parquet(self.responses.path(name)))
            names.append(name)
        self._warn_without_tokens(names)
        responses = pl.concat(tables).sort("item")
        return Extraction(responses, self._inputs(items, responses), names)

    def _read_shard(self, name: str, items: Sequence[PreparedItem], members: list[int], made_of: str, bar: Bar) -> None:
        asked = [PromptRequest(items[i].text.text, items[i].tokens, items[i].request) for i in members]
        tapped: list[ItemTokens | None] = [None] * len(members)
        if self.span not in NEEDS_RESPONSE:
            tapped = [self._input(i, items[i], None, np.zeros(0, np.int32)).tokens for i in members]
        tap = SpanTap(self.extractor, tapped)
        responses = respond(
            self.extractor.lm,
            asked,
            bos_id=self.bos_id,
            config=self.generation,
            token_budget=self.extractor.batch_tokens,
            advance=bar.advance,
            tap=tap,
        )
        table = response_table(items, members, responses)
        sequences = tapped
        if self.span in NEEDS_RESPONSE:
            texts = table["response"]
            sequences = [
                self._input(i, items[i], texts[row], responses[row].response_ids).tokens
                for row, i in enumerate(members)
            ]
        rest = [i for i, sequence in enumerate(sequences) if sequence is not None and i not in tap.rows]
        # Items with a request are counted already.
        asked_nothing = sum(asked[i].request is None for i in rest) / max(1, len(rest))
        counted = 0.0

        def count(number: int) -> None:
            nonlocal counted
            before, counted = int(counted), counted + number * asked_nothing
            bar.advance(int(counted + 1e-9) - before)

        read = self.extractor.rows([sequence for i in rest if (sequence := sequences[i]) is not None], count)
        rows = tap.rows | dict(zip(rest, read, strict=True))
        there = [sequence for sequence in sequences if sequence is not None]
        in_order = [rows[i] for i, sequence in enumerate(sequences) if sequence is not None]
        bar.advance(sum(sequence is None and asked[i].request is None for i, sequence in enumerate(sequences)))
        tokens = self.extractor.token_tensors(there, in_order)
        self.store.write(name, self.extractor.block(there, in_order), made_of, tokens)
        self.responses.write(name, table.write_parquet, made_of)

    def _warn_without_tokens(self, names: list[str]) -> None:
        """Warn of finished shards that lack the token activations which the run is now configured to keep."""
        number = lacking(self.store.shards.path(name) for name in names) if self.extractor.keep_tokens else 0
        if number:
            log.warning(
                "%s: %d finished shard(s) keep no activations of single tokens; use another run folder to get them.",
                self.store.shards.folder,
                number,
            )

    def _inputs(self, items: Sequence[PreparedItem], responses: pl.DataFrame) -> list[ItemInput]:
        answers = responses.select("response", "response_ids").iter_rows()
        return [
            self._input(i, item, text, np.asarray(ids, np.int32))
            for i, (item, (text, ids)) in enumerate(zip(items, answers, strict=True))
        ]

    def _input(self, index: int, item: PreparedItem, response: str | None, response_ids: np.ndarray) -> ItemInput:
        lm = self.extractor.lm
        return item_input(index, item, self.span, response, response_ids, lm.tokenizer, lm.max_length)


def shards(lengths: Sequence[int], items: int) -> Iterator[np.ndarray]:
    """Split items, longest first, into shards of at most ``items`` items and about ``SHARD_TOKENS`` tokens.

    Parameters
    ----------
    lengths : sequence of int of shape (items,)
        Tokens of each item.

    Yields
    ------
    ndarray of int64
        Positions of a shard's items.
    """
    sizes = np.asarray(lengths, np.int64)
    order = np.lexsort((np.arange(len(sizes)), -sizes))
    part = np.cumsum(sizes[order]) // SHARD_TOKENS
    for group in np.split(order, np.flatnonzero(np.diff(part)) + 1):
        yield from (group[start : start + items] for start in range(0, len(group), items))


def fingerprint(arrays: Iterable[np.ndarray], words: Iterable[str]) -> str:
    """Hash of arrays and words, in order, that identifies the inputs of a shard."""
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass"))
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
