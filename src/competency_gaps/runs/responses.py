"""The scoring stage: the model's responses and scores, in shards per benchmark."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.config import GenerationConfig
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prepare import PreparedItem
from competency_gaps.model.respond import Asked, respond
from competency_gaps.progress import Bar
from competency_gaps.shards import ShardFolder

SHARD_ITEMS = 64
SCHEMA: dict[str, Any] = {
    "item": pl.Int64,
    "score": pl.Float64,
    "response": pl.String,
    "unscored": pl.String,
    "logprobs": pl.List(pl.Float64),
    "response_ids": pl.List(pl.Int32),
}


def shard_by_length(lengths: Sequence[int], size: int) -> Iterator[np.ndarray]:
    """Cut items into shards of similar length, longest first, so that their batches pad little."""
    order = np.lexsort((np.arange(len(lengths)), -np.asarray(lengths)))
    yield from (order[start : start + size] for start in range(0, len(order), size))


def fingerprint(arrays: Iterable[np.ndarray]) -> str:
    """Hash of arrays in order: what a shard was made of."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class ResponseStage:
    """Scores benchmarks and keeps what was scored."""

    def __init__(
        self, folder: Path, lm: LanguageModel, bos_id: int | None, generation: GenerationConfig, batch_tokens: int
    ) -> None:
        self.shards = ShardFolder(folder, ".parquet")
        self.lm, self.bos_id, self.generation, self.batch_tokens = lm, bos_id, generation, batch_tokens

    def run(self, prefix: str, items: Sequence[PreparedItem], bar: Bar) -> pl.DataFrame:
        """Score one benchmark's items.

        Returns
        -------
        polars.DataFrame
            One row per item in order: ``score`` (null = unscored), ``response``, ``unscored`` (why), ``logprobs``.
            Excluded items are unscored.
        """
        kept = [i for i, one in enumerate(items) if one.excluded is None]
        tables = []
        for number, group in enumerate(shard_by_length([len(items[i].tokens.ids) for i in kept], SHARD_ITEMS)):
            name = f"{prefix}-{number:04d}"
            members = [kept[i] for i in group]
            made_of = fingerprint(items[i].tokens.ids for i in members)
            if self.shards.is_whole(name, made_of):
                bar.skip(len(members))
            else:
                table = self._score(items, members, bar)
                self.shards.write(name, table.write_parquet, made_of)
            tables.append(pl.read_parquet(self.shards.path(name)))
        rest = [i for i, one in enumerate(items) if one.excluded is not None]
        tables.append(_table([{"item": i, "unscored": "excluded"} for i in rest]))
        return pl.concat(tables).sort("item")

    def _score(self, items: Sequence[PreparedItem], members: list[int], bar: Bar) -> pl.DataFrame:
        asked = [Asked(items[i].text.text, items[i].tokens, items[i].request) for i in members]
        found = respond(
            self.lm,
            asked,
            bos_id=self.bos_id,
            config=self.generation,
            token_budget=self.batch_tokens,
            advance=bar.advance,
        )
        rows = []
        for index, one in zip(members, found, strict=True):
            item = items[index].item
            score = items[index].policy.score(item, one.output)
            response = score.response if score.response is not None else item.response
            rows.append(
                {
                    "item": index,
                    "score": score.value,
                    "response": response,
                    "unscored": None if score.value is not None else score.note or "unscored",
                    "logprobs": list(one.output.logprobs),
                    "response_ids": one.response_ids.tolist(),
                }
            )
        return _table(rows)


def _table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    empty: dict[str, Any] = {"score": None, "response": None, "unscored": None, "logprobs": [], "response_ids": []}
    return pl.DataFrame([{**empty, **row} for row in rows], schema=SCHEMA)
