"""How the items of a run are cut into shards: a pure function of the prepared items, whoever reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from competency_gaps.items.policy import Generation
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.model.respond import draw_keys

SHARD_TOKENS = 32_768
SHARD_ITEMS = 256
GENERATED_ITEMS = 64
"""Items of a shard with generated answers; bounds what a killed run loses."""
_FORMAT = "3"
"""Of the shards' files and of what sampled answers depend on: a shard of another format is made again."""


class Shard(NamedTuple):
    """Items of a benchmark that are read and stored together."""

    name: str
    """Of its files, without suffix."""
    members: list[int]
    """Positions of its items in the benchmark."""
    made_of: str
    """Hash of what is read."""


@dataclass(frozen=True)
class BenchmarkPlan:
    """A benchmark, cut into shards."""

    name: str
    items: Sequence[PreparedItem]
    keys: Mapping[int, str]
    """Per item to read, by its position, what its sampled answers are drawn from."""
    shards: list[Shard]

    @property
    def to_read(self) -> int:
        """Number of items in the shards."""
        return len(self.keys)


def plan_suite(prepared: Mapping[str, Sequence[PreparedItem]]) -> list[BenchmarkPlan]:
    """Cut all benchmarks of a run into shards."""
    return [_plan(f"b{number:03d}", name, items) for number, (name, items) in enumerate(prepared.items())]


def _plan(prefix: str, name: str, items: Sequence[PreparedItem]) -> BenchmarkPlan:
    kept = [i for i, item in enumerate(items) if item.excluded is None]
    writes = any(isinstance(items[i].request, Generation) for i in kept)
    cut = cut_shards([len(items[i].tokens.ids) for i in kept], GENERATED_ITEMS if writes else SHARD_ITEMS)
    shards = []
    for number, group in enumerate(cut):
        members = [kept[i] for i in group]
        made_of = fingerprint(
            (array for i in members for array in (items[i].tokens.ids, items[i].tokens.own)),
            (_FORMAT, *(repr(items[i].request) for i in members)),
        )
        shards.append(Shard(f"{prefix}-{number:04d}", members, made_of))
    return BenchmarkPlan(name, items, draw_keys(name, {i: items[i].tokens.ids for i in kept}), shards)


def cut_shards(lengths: Sequence[int], items: int) -> Iterator[np.ndarray]:
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
