"""The shards of a run folder and the store through which machines share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from competency_gaps.parquet import read_parquet
from competency_gaps.runs.store import RunStore
from competency_gaps.shards import Draft, ShardFolder
from competency_gaps.stages.extraction import ShardDraft, ShardFiles
from competency_gaps.stages.items import excluded_table
from competency_gaps.stages.shard_plan import Shard


@dataclass(frozen=True)
class SharedShards:
    """Copies shards between a run folder and a store."""

    store: RunStore
    files: ShardFiles

    @property
    def _folders(self) -> Sequence[ShardFolder]:
        return self.files.store.shards, self.files.responses

    def fetch(self, shard: Shard) -> ShardDraft | None:
        """Copy a shard from the store as a draft; None: it is not there, or cannot be used and was removed."""

        def check(files: Sequence[Path]) -> None:
            _check_responses(files[1], shard)

        drafts = self.store.fetch(shard.name, shard.made_of, self._folders, check)
        return None if drafts is None else ShardDraft(shard.name, shard.made_of, *drafts)

    def publish(self, draft: ShardDraft, *, replace: bool = False) -> bool:
        """Put a draft into the store; False: another attempt was first, and counts."""
        drafts = (draft.rows, draft.responses)
        return self.store.publish(draft.name, draft.made_of, self._folders, drafts, replace=replace)

    def publish_finished(self, shard: Shard) -> bool:
        """Put a shard into the store that counts in the run folder already."""
        drafts = [Draft(folder.path(shard.name).name, folder.checksum(shard.name)) for folder in self._folders]
        return self.store.publish(shard.name, shard.made_of, self._folders, drafts)


def _check_responses(file: Path, shard: Shard) -> None:
    """Raise ValueError if a table that somebody put into a store is not one of the shard's items."""
    try:
        table = read_parquet(file) if pl.read_parquet_schema(file) == excluded_table({}).schema else None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ValueError("its responses are no table") from error
    if table is None or table["item"].sort().to_list() != sorted(shard.members):
        raise ValueError("its responses are not those of the shard's items")
