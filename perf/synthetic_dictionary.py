"""The dictionary of a synthetic run: labels of every kind, some hostile; an atlas; neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from synthetic_rows import HOSTILE, World

from competency_gaps.concepts import labels as label_table
from competency_gaps.concepts.atlas import Atlas, write_atlas
from competency_gaps.concepts.document import write_tables
from competency_gaps.concepts.folder import write_dictionary
from competency_gaps.reading.profiles import Scale, unit
from competency_gaps.runs.schemas import REGION_COUNTS, REGIONS

DATE = "2026-01-01"


def write_synthetic_dictionary(
    folder: Path, sae: dict[str, Any], world: World, words: np.ndarray, rng: np.random.Generator
) -> None:
    """Write a dictionary folder."""
    write_dictionary(folder, sae)
    write_tables(folder, {label_table.FILE: _labels(world, words, rng).write_parquet})
    write_atlas(folder, _atlas(world, words, rng))
    tokens, similar = _tokens(len(world.subject), words, rng), _similar(world, rng)
    write_tables(folder, {"logits.parquet": tokens.write_parquet, "similar.parquet": similar.write_parquet})


def _labels(world: World, words: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    """Nine concepts in ten have a label, one in five a second one."""
    width = len(world.subject)
    first = np.flatnonzero(rng.random(width) < 0.9)
    second = rng.choice(first, len(first) // 5, replace=False)
    rows = [_rows(first, rng.choice([0, 1, 2], len(first), p=[0.6, 0.1, 0.3]), words, rng)]
    rows.append(_rows(second, np.full(len(second), 2), words, rng).with_columns(source=pl.lit("second reading")))
    return pl.concat(rows).select(*label_table.SCHEMA).cast(label_table.SCHEMA)  # type: ignore[arg-type]


def _rows(concepts: np.ndarray, kinds: np.ndarray, words: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    count = len(concepts)
    parts = words[rng.integers(0, len(words), (count, 4))]
    texts = [f"{a} of {b} before {c} {d}" for a, b, c, d in parts.tolist()]
    for place in rng.choice(count, count // 500 + len(HOSTILE), replace=False):
        texts[place] = f"{HOSTILE[place % len(HOSTILE)]} {texts[place]}"
    kind = pl.Series([label_table.KINDS[k] for k in kinds])
    explained = kinds == 0
    score = pl.Series(np.where(explained, rng.beta(6, 2, count), np.nan)).fill_nan(None)
    return pl.DataFrame(
        {
            "concept": concepts,
            "label": texts,
            "kind": kind,
            "explainer": _where(explained, "synthetic-explainer"),
            "exemplars": pl.Series([None], dtype=pl.String).new_from_index(0, count),
            "detection": score,
            "fuzzing": pl.Series([None], dtype=pl.Float64).new_from_index(0, count),
            "embedding": pl.Series([None], dtype=pl.Float64).new_from_index(0, count),
            "score": score,
            "scored_by": _where(explained, "detection"),
            "source": pl.Series(["first reading"]).new_from_index(0, count),
            "placeholder": pl.Series([False]).new_from_index(0, count),
            "date": pl.Series([DATE]).new_from_index(0, count),
        }
    )


def _where(mask: np.ndarray, word: str) -> pl.Series:
    """The word where the mask is set, null elsewhere."""
    return pl.Series([word if chosen else None for chosen in mask], dtype=pl.String)


def _atlas(world: World, words: np.ndarray, rng: np.random.Generator) -> Atlas:
    """Fields are the finest regions, subjects those above, and four subjects make a coarse one."""
    known = np.flatnonzero(world.field >= 0)
    fields, first = np.unique(world.field[known], return_index=True)
    subject = world.subject[known][first]
    coarse, subjects = int(subject.max()) // 4 + 1, int(subject.max()) + 1
    above = [*[None] * coarse, *(i // 4 for i in range(subjects)), *(coarse + subject).tolist()]
    names = [", ".join(rng.choice(words, 3)) for _ in above]
    names[3] = HOSTILE[0]
    regions = {
        "region": range(len(above)),
        "level": [1] * coarse + [2] * subjects + [3] * len(fields),
        "parent": above,
        "name": names,
        "kind": ["written"] * len(above),
        **dict(zip("xy", rng.normal(0, 6, (2, len(above))), strict=True)),
        "items": rng.integers(1, 99, len(above)),
    }
    finest = coarse + subjects + np.arange(len(fields))
    counts = {"benchmark": ["a public one"] * len(fields), "region": finest, "items": rng.integers(1, 99, len(fields))}
    drawn = rng.normal(0, 1, (len(above), 64))
    for number in range(coarse, len(above)):
        drawn[number] += 2 * drawn[int(above[number] or 0)]
    centres = unit(drawn).astype(np.float32)
    return Atlas(
        scale=Scale(known.astype(np.int32), world.scale[known], np.ones(len(known), np.float32)),
        projection=centres[finest[world.field[known]]],
        centres=centres,
        reach=0.2,
        concept_region=np.where(world.field >= 0, finest[0] + world.field, -1).astype(np.int32),
        regions=pl.DataFrame(regions, schema=REGIONS),
        counts=pl.DataFrame(counts, schema=REGION_COUNTS),
    )


def _tokens(width: int, words: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    """Promoted and suppressed tokens, ten each."""
    columns: dict[str, Any] = {"concept": pl.Series(np.arange(width), dtype=pl.Int32)}
    for name in ("promoted", "suppressed"):
        drawn = rng.integers(0, len(words), (width, 10))
        columns[name] = pl.Series(words[drawn].tolist(), dtype=pl.List(pl.String))
        logits = np.sort(rng.gamma(3, 1, (width, 10)))[:, ::-1] * (1 if name == "promoted" else -1)
        columns[f"{name}_logits"] = pl.Series(logits.tolist(), dtype=pl.List(pl.Float32))
    return pl.DataFrame(columns)


def _similar(world: World, rng: np.random.Generator) -> pl.DataFrame:
    """Ten other concepts each, of the own subject."""
    width = len(world.subject)
    order = np.argsort(world.field, kind="stable")
    place = np.empty(width, np.int64)
    place[order] = np.arange(width)
    steps = rng.permuted(np.tile(np.arange(1, 31), (width, 1)), axis=1)[:, :10]
    near = order[(place[:, None] + steps) % width].astype(np.int32)
    cosine = np.sort(rng.uniform(0.2, 0.9, (width, 10)))[:, ::-1]
    return pl.DataFrame(
        {
            "concept": pl.Series(np.arange(width), dtype=pl.Int32),
            "similar": pl.Series(near.tolist(), dtype=pl.List(pl.Int32)),
            "cosine": pl.Series(cosine.tolist(), dtype=pl.List(pl.Float32)),
        }
    )
