"""A dictionary made by hand: concepts that fire on known words in known texts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl

from competency_gaps.concepts.folder import Dictionary, open_dictionary, write_dictionary
from core_helpers import seal_dictionary

WORDS = ("copper", "violin", "glacier", "senator", "yeast")
"""Concept i fires on word i, and on nothing else."""
WIDTH = 8
FILL = "the report says that we found some {} near the old house and then went home again number {}"


def hand_made(folder: Path, word_of=lambda i: WORDS[i]) -> Dictionary:
    """Twenty strong windows, twenty weaker ones and sixteen silent ones for each word's concept."""
    windows, rows = [], []
    for concept in range(len(WORDS)):
        for kind, count in (("top", 20), ("spread", 20), ("negative", 16)):
            for rank in range(count):
                other = WORDS[(concept + 1 + rank % 4) % 5]
                word = other if kind == "negative" else word_of(concept)
                text = FILL.format(word, f"{concept}{kind[0]}{rank}")
                ends = [match.end() for match in re.finditer(r"\S+\s*", text)]
                tokens = [text[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
                on = np.array([token.strip() == word for token in tokens], np.float32)
                activations = [] if kind == "negative" else (on * (9 - rank / 10 - 3 * (kind == "spread"))).tolist()
                value = max(activations, default=0.5)
                rows.append((concept, kind, rank, len(windows), value, activations))
                windows.append((len(windows), list(range(len(tokens))), text, ends))
    folder.mkdir(parents=True, exist_ok=True)
    write_dictionary(folder, {"name": "by hand", "d_sae": WIDTH}, {"name": "m"})
    lists = {"tokens": pl.List(pl.Int32), "ends": pl.List(pl.Int32)}
    schema = {"window": pl.UInt32, "tokens": lists["tokens"], "text": pl.String, "ends": lists["ends"]}
    pl.DataFrame(windows, schema=schema, orient="row").write_parquet(folder / "windows.parquet")
    schema = {"concept": pl.Int32, "kind": pl.String, "rank": pl.Int32, "window": pl.Int32, "value": pl.Float32}
    full = {**schema, "activations": pl.List(pl.Float32)}
    pl.DataFrame(rows, schema=full, orient="row").write_parquet(folder / "exemplars.parquet")
    promoted = [[" pure", " metal", " wire"] if c == 6 else [] for c in range(WIDTH)]
    pl.DataFrame(
        {"concept": range(WIDTH), "promoted": promoted, "suppressed": promoted}, schema_overrides={"concept": pl.Int32}
    ).write_parquet(folder / "logits.parquet")
    seal_dictionary(folder)
    return open_dictionary(folder)
