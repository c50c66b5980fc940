"""A benchmark and its items."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from competency_gaps.items.item import Item, LeftOut, SourceReport


@dataclass(frozen=True)
class Benchmark:
    """A set of items, in the source's order."""

    name: str
    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...] = ()
    reports: tuple[SourceReport, ...] = ()
    """Reports on the logs of other tools that were read."""

    def content_hash(self) -> str:
        """SHA-256 of everything in the items that can change a result."""
        digest = hashlib.sha256()
        for item in self.items:
            parts = [item.id, item.prompt, item.messages, item.choices, item.answer, item.group, item.policy]
            parts += [item.score, item.response, item.metadata, item.epochs]
            # Fields that only some sources set are hashed only where set, so that other benchmarks keep their hashes.
            optional = (item.own, item.seen and asdict(item.seen), item.identity, item.cluster, item.covariates)
            parts += [part for part in optional if part]
            digest.update(json.dumps(parts, default=str, sort_keys=True, ensure_ascii=False).encode())
            digest.update(b"\n")
        return digest.hexdigest()
