"""A run's items as texts from which exemplars are collected."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.activations.spans import TEXT_ONLY
from competency_gaps.activations.store import CasStore
from competency_gaps.runs.manifest import shard_names
from competency_gaps.runs.open import RunFolder
from competency_gaps.sae.texts import TokenPiece


def run_identity(run: RunFolder) -> dict[str, Any]:
    """Identity of a run's texts: hashes of its benchmarks' content, its span, and a hash of its shards."""
    store = CasStore(run.base / "activations", run.width)
    names = [name for entry in run.manifest["benchmarks"] for name in shard_names(entry)]
    shards = [[name, store.shards.checksum(name)] for name in names]
    return {
        "run": [entry["content_sha256"] for entry in run.manifest["benchmarks"]],
        "span": run.manifest["span"],
        "shards": hashlib.sha256(json.dumps(shards).encode()).hexdigest(),
    }


def run_pieces(run: RunFolder) -> Iterator[TokenPiece]:
    """A run's items as texts, in the order of its shards: all tokens that the model read. Those in the span are
    counted; if the span is the whole prompt, all but the first token.
    """
    bos_id, spanned = run.manifest["bos_id"], run.manifest["span"] in TEXT_ONLY
    number = 0
    for entry in run.manifest["benchmarks"]:
        own = run.items.filter(pl.col("benchmark") == entry["name"])
        starts, ends = own["own_start"].to_numpy(), own["own_end"].to_numpy()
        response = run.manifest["span"] == "response"
        for block in run.blocks(entry["name"]):
            for row, item in enumerate(block.items):
                part = slice(int(block.token_ptr[row]), int(block.token_ptr[row + 1]))
                ids, offsets = block.token_ids[part], block.token_offsets[part]
                inside = (
                    (offsets[:, 0] >= starts[item]) & (offsets[:, 1] <= ends[item]) & (offsets[:, 1] > offsets[:, 0])
                )
                counted = (
                    (~inside & (offsets[:, 0] >= ends[item]) if response else inside) if spanned else ids != bos_id
                )
                if counted.any():
                    yield TokenPiece(np.asarray(ids, np.int32), counted, ~counted, number)
                number += 1
