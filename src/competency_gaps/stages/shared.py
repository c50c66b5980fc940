"""The shards of a run folder and the store through which machines share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from competency_gaps.errors import UserError
from competency_gaps.runs.store import RunStore
from competency_gaps.shards import Draft, ShardFolder
from competency_gaps.stages.extraction import ShardDraft, ShardFiles
from competency_gaps.stages.items import read_responses
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
            """Whoever writes to a store can make a marker that fits its files."""
            rows, responses = files
            try:
                self.files.store.check_rows(rows, shard.members)
            except UserError as error:
                raise ValueError("its rows are not those of the shard's items, or cannot be read") from error
            if read_responses(responses, shard.members) is None:
                raise ValueError("its responses are not those of the shard's items")

        drafts = self.store.fetch(shard.name, shard.made_of, self._folders, check)
        return None if drafts is None else ShardDraft(shard.name, shard.made_of, *drafts)

    def publish(self, draft: ShardDraft, instead_of: Sequence[str] = ()) -> bool:
        """Put a draft into the store, instead of the shard with these checksums; False: another was first."""
        drafts = (draft.rows, draft.responses)
        return self.store.publish(draft.name, draft.made_of, self._folders, drafts, instead_of)

    def publish_finished(self, shard: Shard) -> bool:
        """Put a shard into the store that counts in the run folder already."""
        drafts = [Draft(folder.path(shard.name).name, folder.checksum(shard.name)) for folder in self._folders]
        return self.store.publish(shard.name, shard.made_of, self._folders, drafts)
