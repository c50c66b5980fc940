"""Hostile texts, and a dictionary of the SAE of drawn runs: labels, an atlas, promoted tokens, similar concepts."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from competency_gaps.concepts import labels as label_table
from competency_gaps.concepts.atlas import write_atlas
from competency_gaps.concepts.document import write_tables
from competency_gaps.concepts.folder import write_dictionary
from competency_gaps.concepts.labels import clean_line
from core_helpers import hand_atlas, seal_dictionary

WIDTH = 96
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><svg onload=alert(2)>",
    '=HYPERLINK("http://example.invalid/?"&A1,"win")',
    "+1+cmd|' /C calc'!A0",
    "\u202eright to left\u202c and back",
    "bell\x07 escape\x1b[31m null\x00 end",
    "{{constructor.constructor('alert(3)')()}}",
    "🦊🧑‍🚀 astral letters 𝒳 before the word",
    "line one\r\nline two\tand a tab",
)
_SENTENCE = "which of these is the smallest number that can be written before March when squares are blue"
WORDS = tuple(_SENTENCE.split())
_SUBJECTS = "Roman numerals calendar dates fractions family capitals negation spelling prices"
RARE = tuple(_SUBJECTS.split())
"""Of these words each benchmark has some of its own; items with ``Roman`` fail, those with ``family`` do not."""
SAE = {
    "name": "tiny-sae",
    "architecture": "jumprelu",
    "d_in": 32,
    "d_sae": WIDTH,
    "dtype": "float32",
    "hook_name": "blocks.2.hook_resid_post",
    "model_name": "tiny",
    "neuronpedia_id": "tiny/2-res",
    **dict.fromkeys(("weights_sha256", "content_sha256"), "ab" * 32),
}


def write_dictionary_folder(folder: Path, *, atlas: bool, labels: bool) -> None:
    """Write a dictionary of the drawn SAE, with promoted tokens and similar concepts."""
    write_dictionary(folder, SAE, {"name": "tiny/<b>model</b>"})
    if labels:
        write_tables(folder, {label_table.FILE: _labels().write_parquet})
    if atlas:
        write_atlas(folder, hand_atlas(WIDTH, ["<b>numbers</b>", "=1+1", "words", "time"]))
    pl.DataFrame(
        {
            "concept": pl.Series(range(WIDTH), dtype=pl.Int32),
            "promoted": [[f" up{concept}", "<b>"] for concept in range(WIDTH)],
            "promoted_logits": pl.Series([[2.0, 1.0]] * WIDTH, dtype=pl.List(pl.Float32)),
            "suppressed": [[f" down{concept}"] for concept in range(WIDTH)],
            "suppressed_logits": pl.Series([[-1.0]] * WIDTH, dtype=pl.List(pl.Float32)),
        }
    ).write_parquet(folder / "logits.parquet")
    pl.DataFrame(
        {
            "concept": pl.Series(range(WIDTH), dtype=pl.Int32),
            "similar": pl.Series([[(c + 1) % WIDTH, (c + 2) % WIDTH] for c in range(WIDTH)], dtype=pl.List(pl.Int32)),
            "cosine": pl.Series([[0.75, 0.5]] * WIDTH, dtype=pl.List(pl.Float32)),
        }
    ).write_parquet(folder / "similar.parquet")
    seal_dictionary(folder)


def _labels() -> pl.DataFrame:
    """Of every fourth concept none; the others explained well or poorly, imported, or automatic."""
    rows = []
    for concept in range(WIDTH):
        if concept % 4 == 3:
            continue
        kind = ("explained", "imported", "automatic")[concept % 3]
        score = (0.9, 0.52)[concept % 2] if kind == "explained" else None
        hostile = HOSTILE[concept % len(HOSTILE)] if concept % 5 == 0 else f"concept of <i>{RARE[concept % 10]}</i>"
        label = clean_line(hostile)
        scored_by = None if score is None else "fuzzing"
        rows.append((concept, label, kind, "<b>explainer</b>", score, scored_by, "none", False, "2026-11-24"))
        if kind == "explained":
            second = (concept, f"second label {concept}", "automatic", None, None, None, None, True)
            rows.append((*second, "2026-11-23"))
    return pl.DataFrame(rows, schema=label_table.SCHEMA, orient="row")
