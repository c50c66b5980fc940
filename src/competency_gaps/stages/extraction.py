"""The extraction stage: the model's responses, their scores and the CAS rows of a benchmark, in shards.

The pass over a prompt that scores its options or begins its answer also gives the activations of the prompt's span.
Only if there is no such pass, or the span includes the response, a separate pass, which ends at the hook, gives the
rows.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from competency_gaps.activations.extract import Extractor, ItemTokens, SpanTap
from competency_gaps.activations.pooling import SparseRow
from competency_gaps.activations.spans import NEEDS_RESPONSE
from competency_gaps.activations.store import CasBlock, CasStore
from competency_gaps.activations.tokens import lacking
from competency_gaps.config import GenerationConfig, Span
from competency_gaps.items.policy import Generation
from competency_gaps.items.remark import Remark
from competency_gaps.model.attempts import OUT_OF_MEMORY
from competency_gaps.model.prepare import PreparedItem
from competency_gaps.model.respond import PromptRequest, Responded, draw_keys, respond
from competency_gaps.progress import Bar
from competency_gaps.shards import ShardFolder
from competency_gaps.stages.inputs import ItemInput, item_input
from competency_gaps.stages.items import excluded_table, response_table
from competency_gaps.stages.unreadable import check_unreadable

log = logging.getLogger(__name__)

SHARD_TOKENS = 32_768
SHARD_ITEMS = 256
GENERATED_ITEMS = 64
"""Items of a shard with generated answers; bounds what a killed run loses."""
MOST_UNREADABLE = 0.1
"""Largest share of a benchmark's items to read that may be excluded because they cannot be read."""
FEW_UNREADABLE = 9
"""So many may be, whatever their share, if any other was read."""
_FORMAT = "2"
"""Of the shards' tables and of what sampled answers depend on: a shard of another format is made again."""


@dataclass(frozen=True)
class Extraction:
    """Results of the stage for one benchmark."""

    items: list[PreparedItem]
    """Per item, as it was prepared; those that could not be read are excluded too."""
    responses: pl.DataFrame
    """One row per item in order, as made by :func:`~competency_gaps.stages.items.response_table`; excluded items
    are unscored."""
    inputs: list[ItemInput]
    """Per item."""
    shards: list[str]
    """Names of the shards of CAS rows."""


class _Shard(NamedTuple):
    """What is stored of the items of a shard."""

    responses: pl.DataFrame
    block: CasBlock
    tokens: dict[str, np.ndarray]
    """Tensors of the activations of single tokens."""


class ExtractionStage:
    """Extracts benchmarks into shards, each a file of responses and a file of CAS rows.

    A shard counts only if both files are whole; else one pass makes both again, so that a resumed run ends in the same
    bytes as an uninterrupted one. An item that cannot be read (its activations are not finite, the model fails on it,
    it does not fit into memory) is excluded, and the shard says why.
    """

    def __init__(
        self, folder: Path, extractor: Extractor, span: Span, bos_id: int | None, generation: GenerationConfig
    ) -> None:
        self.responses = ShardFolder(folder / "responses", ".parquet")
        self.store = CasStore(folder / "activations", extractor.sae.d_sae)
        self.extractor, self.span, self.bos_id, self.generation = extractor, span, bos_id, generation

    def run(self, prefix: str, benchmark: str, items: Sequence[PreparedItem], bar: Bar) -> Extraction:
        """Extract one benchmark; ``bar`` counts items.

        Parameters
        ----------
        prefix
            First part of the names of its shards.

        Raises
        ------
        UserError, MachineError
            If more than a tenth of the items to read, and at least 10, or all of them, cannot be read; earlier shards
            are kept.
        """
        kept = [i for i, item in enumerate(items) if item.excluded is None]
        names, tables = [], [excluded_table({i: item.excluded for i, item in enumerate(items) if item.excluded})]
        writes = any(isinstance(items[i].request, Generation) for i in kept)
        keys = draw_keys(benchmark, {i: items[i].tokens.ids for i in kept})
        cut = shards([len(items[i].tokens.ids) for i in kept], GENERATED_ITEMS if writes else SHARD_ITEMS)
        unreadable: list[Remark] = []
        tried = 0
        for number, group in enumerate(cut):
            name = f"{prefix}-{number:04d}"
            members = [kept[i] for i in group]
            tried += len(members)
            made_of = fingerprint(
                (array for i in members for array in (items[i].tokens.ids, items[i].tokens.own)),
                (_FORMAT, *(repr(items[i].request) for i in members)),
            )
            table = self._finished(name, made_of)
            if table is not None:
                bar.skip(len(members))
                unreadable += _unreadable(table)
            else:
                shard = self._read_shard(items, members, keys, bar)
                table = shard.responses
                unreadable += _unreadable(table)
                self._check(unreadable, benchmark, tried, len(kept))
                self.store.write(name, shard.block, made_of, shard.tokens)
                self.responses.write(name, table.write_parquet, made_of)
            tables.append(table)
            names.append(name)
        self._warn_without_tokens(names)
        responses = pl.concat(tables).sort("item")
        read = [
            item if why is None or item.excluded is not None else replace(item, excluded=Remark.of(why))
            for item, why in zip(items, responses["excluded"], strict=True)
        ]
        return Extraction(read, responses, self._inputs(read, responses), names)

    def _finished(self, name: str, made_of: str) -> pl.DataFrame | None:
        """Responses of a shard that a former run finished; None: it is to be made."""
        if not (self.responses.is_whole(name, made_of) and self.store.shards.is_whole(name, made_of)):
            return None
        table = pl.read_parquet(self.responses.path(name))
        # Memory that was short then may be there now.
        return None if OUT_OF_MEMORY in _unreadable(table) else table

    def _check(self, unreadable: Sequence[Remark], benchmark: str, tried: int, items: int) -> None:
        """Stop if too many of the items to read are unreadable, or, once all were tried, all of them."""
        share = 0.0 if tried == items == len(unreadable) else MOST_UNREADABLE
        if share == 0.0 or len(unreadable) > FEW_UNREADABLE:
            check_unreadable(unreadable, items, benchmark, self.extractor.lm, share=share)

    def _read_shard(
        self, items: Sequence[PreparedItem], members: list[int], keys: Mapping[int, str], bar: Bar
    ) -> _Shard:
        asked = [PromptRequest(items[i].text.text, items[i].tokens, items[i].request, keys[i]) for i in members]
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
            attempts=self.extractor.attempts,
            tap=tap,
        )
        # By place in the shard, whatever follows: the row of an item, or why it has none. Activations that are not
        # finite are the cause where the answer fails too.
        made: dict[int, SparseRow | Remark] = {
            place: why for place, why in enumerate(responses) if isinstance(why, Remark)
        }
        made |= {place: row for place, row in tap.rows.items() if place not in made or isinstance(row, Remark)}
        answered = {
            place: answer
            for place, answer in enumerate(responses)
            if isinstance(answer, Responded) and not isinstance(made.get(place), Remark)
        }
        table = response_table(items, [members[place] for place in answered], list(answered.values()))
        spans = {place: tapped[place] for place in answered}
        if self.span in NEEDS_RESPONSE:
            spans = {
                place: self._input(members[place], items[members[place]], text, answer.response_ids).tokens
                for (place, answer), text in zip(answered.items(), table["response"], strict=True)
            }
        bar.advance(sum(span is None and asked[place].request is None for place, span in spans.items()))
        rest = {place: span for place, span in spans.items() if span is not None and place not in made}
        rows = self._rows(list(rest.values()), [asked[place] for place in rest], bar)
        made |= dict(zip(rest, rows, strict=True))
        return self._shard(members, table, spans, made)

    def _shard(
        self,
        members: list[int],
        table: pl.DataFrame,
        spans: Mapping[int, ItemTokens | None],
        made: Mapping[int, SparseRow | Remark],
    ) -> _Shard:
        excluded = {members[place]: why for place, why in sorted(made.items()) if isinstance(why, Remark)}
        table = pl.concat([table.filter(~pl.col("item").is_in(list(excluded))), excluded_table(excluded)])
        read = [
            (span, row)
            for place, span in spans.items()
            if span is not None and isinstance(row := made[place], SparseRow)
        ]
        there, rows = [span for span, _ in read], [row for _, row in read]
        return _Shard(table, self.extractor.block(there, rows), self.extractor.token_tensors(there, rows))

    def _rows(
        self, sequences: Sequence[ItemTokens], asked: Sequence[PromptRequest], bar: Bar
    ) -> list[SparseRow | Remark]:
        """Rows of sequences from passes of their own; ``bar`` has counted those with a request already."""
        asked_nothing = sum(question.request is None for question in asked) / max(1, len(asked))
        counted = 0.0

        def count(number: int) -> None:
            nonlocal counted
            before, counted = int(counted), counted + number * asked_nothing
            bar.advance(int(counted + 1e-9) - before)

        return self.extractor.rows(sequences, count)

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


def _unreadable(responses: pl.DataFrame) -> list[Remark]:
    """Why items of a shard could not be read."""
    return [Remark.of(why) for why in responses["excluded"].drop_nulls()]


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
