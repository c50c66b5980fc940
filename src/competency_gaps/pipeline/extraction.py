"""The extraction stage: the model's responses, their scores and the CAS rows of a benchmark, in shards.

Its steps are separate, because shards may be read by other processes and machines: :func:`plan_suite` cuts benchmarks
into shards (a pure function of the prepared items, so every reader gets the same), :meth:`ShardReader.read` reads one,
and :meth:`ShardReader.collect` puts finished ones together.

The pass over a prompt that scores its options or begins its answer also gives the activations of the prompt's span.
Only if there is no such pass, or the span includes the response, a separate pass, which ends at the hook, gives the
rows.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from competency_gaps.items.item import Reason
from competency_gaps.items.scorer import Generation
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.model.respond import Responded, draw_keys, respond
from competency_gaps.pipeline.items import ItemInput, excluded_table, item_input, read_responses, response_table
from competency_gaps.pipeline.setting import Setting
from competency_gaps.reading.extract import NEEDS_RESPONSE, ItemTokens
from competency_gaps.reading.pooling import SparseRow
from competency_gaps.reading.rows import CasStore
from competency_gaps.util.shards import ShardDraft, ShardFolder

log = logging.getLogger(__name__)

SHARD_TOKENS = 32_768
SHARD_ITEMS = 256
TOKEN_CHARACTERS = 4
"""Typical number of characters per token."""
GENERATED_ITEMS = 64
"""Maximum number of items per shard with generated answers: a killed run loses at most two such shards."""


class Shard(NamedTuple):
    """Items of a benchmark that are read and stored together."""

    name: str
    """Name of its files, without suffix."""
    members: list[int]
    """Positions of its items in the benchmark."""
    made_of: str
    """Hash of its input, from :func:`fingerprint`."""
    tokens: int = 0
    """Approximate number of tokens read and generated for its items."""
    sampled: bool = False
    """Whether the SAE is checked on its items: these are read before all others, with their whole prompts."""

    def counter(self, advance: Callable[[float], None]) -> Callable[[float], None]:
        """Return a function that reports a number of read items as tokens; items of a shard are about equally long."""
        return lambda items: advance(items * self.tokens / len(self.members))


@dataclass(frozen=True)
class BenchmarkPlan:
    """How a benchmark is cut into shards."""

    name: str
    items: Sequence[PreparedItem]
    keys: Mapping[int, str]
    """Position of an item to read -> key that seeds its sampled answers."""
    shards: list[Shard]

    @property
    def to_read(self) -> int:
        """Number of items in the shards."""
        return len(self.keys)


def plan_suite(prepared: Mapping[str, Sequence[PreparedItem]], sample_tokens: int) -> list[BenchmarkPlan]:
    """Return how each benchmark of a run is cut into shards.

    Parameters
    ----------
    sample_tokens
        Number of tokens on which the SAE is checked: prompts of items drawn uniformly from the run. These items get
        shards that hold no others.
    """
    lengths = {
        (name, i): len(item.tokens.ids)
        for name, items in prepared.items()
        for i, item in enumerate(items)
        if item.excluded is None and len(item.tokens.ids)
    }
    usable = list(lengths)
    drawn = [usable[k] for k in np.random.default_rng(0).permutation(len(usable))]
    ends = np.cumsum([lengths[position] for position in drawn])
    sample = {*drawn[: int(np.searchsorted(ends, sample_tokens)) + 1]}
    return [_plan(f"b{number:03d}", name, items, sample) for number, (name, items) in enumerate(prepared.items())]


def _plan(prefix: str, name: str, items: Sequence[PreparedItem], sample: set[tuple[str, int]]) -> BenchmarkPlan:
    """Return how one benchmark is cut into shards, the sampled items first."""
    kept = [i for i, item in enumerate(items) if item.excluded is None]
    most = GENERATED_ITEMS if any(isinstance(items[i].request, Generation) for i in kept) else SHARD_ITEMS
    shards: list[Shard] = []
    parts = [[i for i in kept if ((name, i) in sample) is sampled] for sampled in (True, False)]
    groups = (
        part[group]
        for part in map(np.asarray, parts)
        for group in cut_shards([len(items[i].tokens.ids) for i in part], most)
    )
    for members in (group.tolist() for group in groups):
        made_of = fingerprint([items[i] for i in members])
        tokens, sampled = sum(_tokens(items[i]) for i in members), (name, members[0]) in sample
        shards.append(Shard(f"{prefix}-{len(shards):04d}", members, made_of, tokens, sampled))
    return BenchmarkPlan(name, items, draw_keys(name, {i: items[i].tokens.ids for i in kept}), shards)


def _tokens(item: PreparedItem) -> int:
    """Return the approximate number of tokens read and generated for an item."""
    if isinstance(item.request, Generation):
        return len(item.tokens.ids) + item.request.max_new_tokens
    return len(item.tokens.ids) + sum(map(len, item.request.texts if item.request else ())) // TOKEN_CHARACTERS


def cut_shards(lengths: Sequence[int], items: int) -> Iterator[np.ndarray]:
    """Yield shards of items, longest first, each of at most ``items`` items and about ``SHARD_TOKENS`` tokens.

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


def fingerprint(items: Sequence[PreparedItem]) -> str:
    """Return a hash of the tokens and requests of a shard's items, in order, which identifies its input."""
    digest = hashlib.sha256("\0".join(repr(item.request) for item in items).encode("utf-8", "surrogatepass"))
    for array in (array for item in items for array in (item.tokens.ids, item.tokens.in_body)):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Extraction:
    """What was read of one benchmark."""

    items: list[PreparedItem]
    """All items as they were prepared; those that could not be read are marked as excluded."""
    responses: pl.DataFrame
    """One row per item in order, as made by :func:`~competency_gaps.pipeline.items.response_table`; excluded items
    are unscored."""
    inputs: list[ItemInput]
    """The model's input for each item."""
    shards: list[str]
    """Names of the shards of CAS rows."""


class Content(NamedTuple):
    """What was read of the items of a shard."""

    responses: pl.DataFrame
    """One row per item; ``excluded``: why it could not be read."""
    spans: list[ItemTokens]
    """Tokens and span of each item that could be read."""
    rows: list[SparseRow]
    """CAS row of each item that could be read."""


class ShardFiles:
    """The shards of a run, each a file of responses and a file of CAS rows.

    A shard counts only if both files are complete and from the same pass: the stamp of the responses is written last
    and contains the checksum of the rows. Otherwise one pass makes both again, so that a resumed run ends in the same
    bytes as an uninterrupted one.
    """

    def __init__(self, folder: Path, width: int) -> None:
        self.responses = ShardFolder(folder / "responses", ".parquet")
        self.store = CasStore(folder / "activations", width)
        self.folders = (self.store.shards, self.responses)

    def finished(self, shard: Shard) -> pl.DataFrame | None:
        """Return the responses of a finished shard; None if it is unfinished or damaged."""
        name = shard.name
        if not self.store.shards.is_whole(name, shard.made_of):
            return None
        if not self.responses.is_whole(name, _pass(shard.made_of, self.store.shards.checksum(name))):
            return None
        table = read_responses(self.responses.path(name), shard.members)
        if table is None:
            log.warning("%s lacks the responses of its items, so it counts as missing.", self.responses.path(name))
        return table

    def commit(self, draft: ShardDraft) -> None:
        """Make a shard count."""
        rows, responses = draft.files
        self.store.shards.commit(draft.name, rows, draft.made_of)
        self.responses.commit(draft.name, responses, _pass(draft.made_of, rows.sha256))

    def forget(self, draft: ShardDraft) -> None:
        """Remove a draft of a shard that another reader finished first."""
        for folder, file in zip(self.folders, draft.files, strict=True):
            folder.forget(file)

    def sweep(self) -> None:
        """Remove the drafts that killed readers left."""
        for folder in self.folders:
            folder.sweep()


def _pass(made_of: str, rows: str) -> str:
    """Return the stamp of a shard's responses: its input, and the checksum of the rows from the same pass."""
    return f"{made_of} {rows}"


class ShardReader:
    """Reads shards of a run: asks the model, scores its answers, and computes CAS rows.

    An item that cannot be read (its activations are not finite, the model fails on it, it does not fit into memory) is
    excluded, and the shard records why.
    """

    def __init__(self, folder: Path, setting: Setting) -> None:
        self.files = ShardFiles(folder, setting.sae.d_sae)
        self.extractor, self.bos_id = setting.extractor, setting.bos_id
        self.span, self.generation = setting.config.span, setting.config.generation

    def read(self, plan: BenchmarkPlan, shard: Shard, advance: Callable[[float], None]) -> Content:
        """Return the responses and rows of a shard's items; ``advance`` is called with the number of items read."""
        items, members = plan.items, shard.members

        def tokens(i: int, response: str | None, response_ids: np.ndarray) -> ItemTokens | None:
            """Return the tokens of an item to read."""
            row = self._input(i, items[i], response, response_ids).tokens
            return row and replace(row, prompt=len(items[i].tokens.ids) * shard.sampled)

        asked = [items[i] for i in members]
        tapped: list[ItemTokens | None] = [None] * len(members)
        if self.span not in NEEDS_RESPONSE:
            tapped = [tokens(i, None, np.zeros(0, np.int32)) for i in members]
        tap = self.extractor.tap(tapped)
        responses = respond(
            self.extractor.lm,
            asked,
            [plan.keys[i] for i in members],
            bos_id=self.bos_id,
            config=self.generation,
            token_budget=self.extractor.batch_tokens,
            advance=advance,
            attempts=self.extractor.attempts,
            tap=tap,
        )
        # By position in the shard, here and below: the row of an item, or why it has none. If its activations are not
        # finite, that is the reason, even if its answer failed too.
        rows_: dict[int, SparseRow | Reason] = {
            position: why for position, why in enumerate(responses) if isinstance(why, Reason)
        }
        rows_ |= {
            position: row for position, row in tap.taken.items() if position not in rows_ or isinstance(row, Reason)
        }
        answered = {
            position: answer
            for position, answer in enumerate(responses)
            if isinstance(answer, Responded) and not isinstance(rows_.get(position), Reason)
        }
        table = response_table(items, [members[position] for position in answered], list(answered.values()))
        spans = {position: tapped[position] for position in answered}
        if self.span in NEEDS_RESPONSE:
            spans = {
                position: tokens(members[position], text, answer.response_ids)
                for (position, answer), text in zip(answered.items(), table["response"], strict=True)
            }
        advance(sum(span is None and asked[position].request is None for position, span in spans.items()))
        rest = {position: span for position, span in spans.items() if span is not None and position not in rows_}
        # Items with a request are counted already.
        uncounted = sum(asked[position].request is None for position in rest) / max(1, len(rest))
        rows = self.extractor.rows(list(rest.values()), lambda number: advance(number * uncounted))
        rows_ |= zip(rest, rows, strict=True)
        excluded = {members[position]: why for position, why in sorted(rows_.items()) if isinstance(why, Reason)}
        table = pl.concat([table.filter(~pl.col("item").is_in(list(excluded))), excluded_table(excluded)])
        read = [
            (span, row) for position, span in spans.items() if span and isinstance(row := rows_[position], SparseRow)
        ]
        return Content(table, [span for span, _ in read], [row for _, row in read])

    def write(self, shard: Shard, content: Content) -> ShardDraft:
        """Write a shard's content as a draft, under file names that no other reader uses."""
        rows = self.files.store.draft(shard.name, *self.extractor.block(content.spans, content.rows))
        responses = self.files.responses.draft(shard.name, content.responses.write_parquet)
        return ShardDraft(shard.name, shard.made_of, [rows, responses])

    def collect(self, plan: BenchmarkPlan, tables: Sequence[pl.DataFrame]) -> Extraction:
        """Return a benchmark's results from its finished shards.

        Parameters
        ----------
        tables
            The responses of each shard.
        """
        items, names = plan.items, [shard.name for shard in plan.shards]
        excluded = excluded_table({i: item.excluded for i, item in enumerate(items) if item.excluded})
        responses = pl.concat([excluded, *tables]).sort("item")
        read = [
            item if why is None or item.excluded is not None else replace(item, excluded=Reason.of(why))
            for item, why in zip(items, responses["excluded"], strict=True)
        ]
        answers = zip(read, responses.select("response", "response_ids").iter_rows(), strict=True)
        inputs = [
            self._input(i, item, text, np.asarray(ids, np.int32)) for i, (item, (text, ids)) in enumerate(answers)
        ]
        return Extraction(read, responses, inputs, names)

    def _input(self, index: int, item: PreparedItem, response: str | None, response_ids: np.ndarray) -> ItemInput:
        """Return the model's input for an item, with the response if the span includes it."""
        return item_input(index, item, self.span, response, response_ids, self.extractor.lm)


def unreadable(responses: pl.DataFrame) -> list[Reason]:
    """Return why items of a shard could not be read, one reason each."""
    return [Reason.of(why) for why in responses["excluded"].drop_nulls()]
