"""Match a taxonomy's entries to the labels of concepts and the names of themes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.matching.candidates import CONCEPT_COLUMNS, THEME_COLUMNS, MatchCandidates
from competency_gaps.matching.embedding import Embed, embed_distinct
from competency_gaps.matching.null import Calibration, OnDraw, entry_null, plan_draws
from competency_gaps.matching.summary import Matching, summarise
from competency_gaps.matching.taxonomy import TaxonomyEntry

ROWS = 256
"""Entries compared at a time."""


def match(
    entries: Sequence[TaxonomyEntry],
    candidates: MatchCandidates,
    embed: Embed,
    *,
    seed: int = 0,
    alpha: float = 0.05,
    per_entry: int = 5,
    draws: int | None = None,
    on_draw: OnDraw | None = None,
) -> Matching:
    """Match entries to the labels of concepts and the names of themes; an entry may match nothing.

    A label matches if its similarity to the entry (cosine of the embedded texts) exceeds the entry's bound, see
    :mod:`competency_gaps.matching.null`. Labels and names of themes have separate nulls.

    Parameters
    ----------
    embed
        Maps texts to float32 of shape (texts, dimensions), rows of length 1.
    alpha
        Highest chance that an entry without a fitting label matches something.
    per_entry
        Most distinct labels that an entry matches, the nearest first; all concepts with these labels are matched.
    draws
        Draws of shuffled labels that set the bounds; None: as many as the number of labels allows.

    Raises
    ------
    UserError
        If there is no entry, or ``alpha``, ``per_entry`` or ``draws`` is out of range.
    """
    if not entries:
        raise UserError("there is no entry to match: the taxonomy is empty.")
    if per_entry < 1:
        raise UserError(f"per_entry is {per_entry}, expected at least 1.")
    rows = embed_distinct(embed, [entry.text for entry in entries])
    options: dict[str, Any] = {"seed": seed, "alpha": alpha, "per_entry": per_entry, "draws": draws}
    by_concept = _against(rows, candidates.concepts, embed, on_draw=on_draw, **options)
    themes, theme_calibration = by_concept.pairs.clear(), None
    if candidates.themes.height:
        by_theme = _against(rows, candidates.themes, embed, on_draw=None, **options)
        themes, theme_calibration = by_theme.pairs, by_theme.calibration
    head = _head(entries, by_concept)
    named = candidates.concepts.join(by_concept.named, left_on="text", right_on="label_text", how="left")
    named = named.with_columns(pl.col("named_by").fill_null(0)).sort("concept")
    return summarise(
        head=head,
        pairs=_borne(head, by_concept.pairs, candidates.concepts, list(CONCEPT_COLUMNS)),
        themes=_borne(head, themes, candidates.themes, list(THEME_COLUMNS)),
        candidates=replace(candidates, concepts=named),
        calibrations=(by_concept.calibration, theme_calibration),
        per_entry=per_entry,
        seed=seed,
    )


@dataclass(frozen=True)
class _Nearest:
    """The nearest labels of entries."""

    pairs: pl.DataFrame
    """Matches, at most ``per_entry`` of each entry: row (of the entry), label_text, similarity, p_value."""
    named: pl.DataFrame
    """label_text and named_by, the number of entries whose bound the label exceeds."""
    best_label: list[str]
    best: np.ndarray
    p_value: np.ndarray
    bounds: np.ndarray
    calibration: Calibration


def _against(
    rows: np.ndarray,
    frame: pl.DataFrame,
    embed: Embed,
    *,
    seed: int,
    alpha: float,
    per_entry: int,
    draws: int | None,
    on_draw: OnDraw | None,
) -> _Nearest:
    texts = frame["text"].unique(maintain_order=True).to_list()
    labels = embed_distinct(embed, texts)
    setting, checking = plan_draws(len(texts), alpha, draws)
    null = entry_null(rows, texts, embed, seed=seed, draws=setting, checks=checking, on_draw=on_draw)
    bounds = null.bounds(alpha)
    entry_of, label_of, values = [], [], []
    named = np.zeros(len(texts), dtype=np.int64)
    best, best_at = np.empty(len(rows), dtype=np.float32), np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), ROWS):
        block = rows[start : start + ROWS] @ labels.T
        best_at[start : start + ROWS], best[start : start + ROWS] = block.argmax(axis=1), block.max(axis=1)
        over = block > bounds[start : start + ROWS, None]
        named += over.sum(axis=0)
        for i in np.flatnonzero(over.any(axis=1)):
            nearest = np.argsort(-block[i], kind="stable")[: min(per_entry, int(over[i].sum()))]
            entry_of += [start + int(i)] * len(nearest)
            label_of += nearest.tolist()
            values += block[i, nearest].tolist()
    pairs = pl.DataFrame(
        {
            "row": pl.Series(entry_of, dtype=pl.Int64),
            "label_text": pl.Series([texts[j] for j in label_of], dtype=pl.String),
            "similarity": pl.Series(values, dtype=pl.Float64),
            "p_value": pl.Series(null.p_values(np.array(entry_of, int), np.array(values)), dtype=pl.Float64),
        }
    )
    return _Nearest(
        pairs=pairs,
        named=pl.DataFrame({"label_text": texts, "named_by": named}),
        best_label=[texts[j] for j in best_at],
        best=best.astype(np.float64),
        p_value=null.p_values(np.arange(len(rows)), best),
        bounds=bounds.astype(np.float64),
        calibration=null.calibration(alpha),
    )


def _head(entries: Sequence[TaxonomyEntry], nearest: _Nearest) -> pl.DataFrame:
    schema = dict.fromkeys(("entry", "description", "domain", "category", "score", "text"), pl.String)
    rows = [(entry.id, entry.description, entry.domain, entry.category, entry.score, entry.text) for entry in entries]
    return pl.DataFrame(rows, schema={**schema, "score": pl.Float64}, orient="row").with_columns(
        best_label=pl.Series(nearest.best_label),
        similarity=nearest.best,
        p_value=nearest.p_value,
        bound=nearest.bounds,
    )


def _borne(head: pl.DataFrame, pairs: pl.DataFrame, frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Join pairs of entry and label with all concepts (themes) of that label."""
    texts = head.select("entry", entry_text="text").with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    joined = pairs.join(texts, on="row", how="left").join(frame, left_on="label_text", right_on="text", how="inner")
    order = joined.sort(
        "row", "similarity", "label_text", columns[0], columns[1], descending=[False, True, *[False] * 3]
    )
    return order.select(
        "entry", "entry_text", "label_text", "similarity", "p_value", *columns, verdict=pl.lit(None, dtype=pl.String)
    )
