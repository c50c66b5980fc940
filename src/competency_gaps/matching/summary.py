"""Summary of a matching: recovered and covered entries, and weak concepts that the taxonomy lacks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.matching.candidates import MatchCandidates, is_weak
from competency_gaps.matching.null import Calibration
from competency_gaps.matching.shares import Share, share

WEAK_DRAWS = 2000
"""Permutations of labels among concepts."""
UNRELATED = "unrelated"
UNNAMED_COLUMNS = (
    "concept",
    "label",
    "label_kind",
    "label_score",
    "leads",
    "leader",
    "gap",
    "q_value",
    "chi_model",
    "chi_bench",
)


@dataclass(frozen=True)
class WeakByChance:
    """Entries that match a weak concept, compared with permutations of the labels among the candidate concepts."""

    observed: int
    expected: float
    """Mean number of entries over the permutations."""
    p_value: float
    """``(1 + permutations with as many) / (1 + permutations)``."""
    draws: int


@dataclass(frozen=True)
class Matching:
    """A taxonomy matched to a run's labelled concepts and themes."""

    entries: pl.DataFrame
    """One row per entry: entry, description, domain, category, score, text (embedded text); best_label and
    similarity (nearest label, matched or not), p_value, bound; n_concepts, n_weak, n_exercised, n_themes; recovered,
    recovered_weak, covered."""
    pairs: pl.DataFrame
    """One row per entry and matched concept, nearest first: entry, entry_text, label_text, similarity, p_value,
    the columns of candidates, verdict (null: not asked)."""
    themes: pl.DataFrame
    """The same for themes."""
    dropped: pl.DataFrame
    """Rows of ``pairs`` that were judged unrelated."""
    unnamed: pl.DataFrame
    """Weak concepts whose label no entry names, leaders first, then the lowest gap first."""
    recovery: Share
    """Share of entries that match a concept."""
    recovery_weak: Share
    """Share of entries that match a weak concept."""
    coverage: Share
    """Share of entries that match a concept which the suite exercises (alive and not missing)."""
    coverage_of_matched: Share
    """The same among the entries that match a concept."""
    weak_by_chance: WeakByChance
    unnamed_share: Share
    """Share of labelled weak concepts that no entry names."""
    calibration: Calibration
    """Calibration for the concepts' labels."""
    theme_calibration: Calibration | None
    """Calibration for the themes' names; None without themes."""
    verdicts: dict[str, int]
    """Number of pairs (entry and label) by verdict; empty if none was asked."""
    candidates: MatchCandidates
    """The candidates; ``concepts`` has a further column ``named_by``: number of entries whose bound the concept's label
    exceeds, beyond the nearest ``per_entry`` labels too."""
    per_entry: int
    seed: int


def summarise(
    *,
    head: pl.DataFrame,
    pairs: pl.DataFrame,
    themes: pl.DataFrame,
    candidates: MatchCandidates,
    calibrations: tuple[Calibration, Calibration | None],
    per_entry: int,
    seed: int,
) -> Matching:
    """Summarise pairs; those judged unrelated are set aside first."""
    judged = pairs.filter(pl.col("verdict").is_not_null()).unique(["entry", "label_text"], maintain_order=True)
    verdicts = judged.group_by("verdict").len().sort("verdict")
    unrelated = (pl.col("verdict") == UNRELATED).fill_null(False)
    dropped, kept = pairs.filter(unrelated), pairs.filter(~unrelated)
    table = _counted(head, kept, themes)
    recovered, weak, covered = (int(table[name].sum()) for name in ("recovered", "recovered_weak", "covered"))
    fewer = dropped.group_by("concept").agg(less=pl.col("entry").n_unique())
    every_weak = candidates.concepts.filter(is_weak()).join(fewer, on="concept", how="left")
    unnamed = every_weak.filter(pl.col("named_by") <= pl.col("less").fill_null(0))
    leads = (pl.col("leader") == pl.col("concept")).fill_null(False)
    return Matching(
        entries=table,
        pairs=kept,
        themes=themes,
        dropped=dropped,
        unnamed=unnamed.with_columns(leads=leads)
        .sort("leads", "gap", "concept", descending=[True, False, False])
        .select(UNNAMED_COLUMNS),
        recovery=share(recovered, table.height),
        recovery_weak=share(weak, table.height),
        coverage=share(covered, table.height),
        coverage_of_matched=share(covered, recovered),
        weak_by_chance=_weak_by_chance(table, kept, candidates.concepts, seed),
        unnamed_share=share(unnamed.height, every_weak.height),
        calibration=calibrations[0],
        theme_calibration=calibrations[1],
        verdicts={str(name): int(count) for name, count in verdicts.iter_rows()},
        candidates=candidates,
        per_entry=per_entry,
        seed=seed,
    )


def matching_document(matching: Matching) -> dict[str, Any]:
    """A matching as one JSON document, all pairs included."""
    shares = ("recovery", "recovery_weak", "coverage", "coverage_of_matched", "unnamed_share")
    return {
        **{name: getattr(matching, name).as_dict() for name in shares},
        "weak_by_chance": asdict(matching.weak_by_chance),
        "calibration": asdict(matching.calibration),
        "theme_calibration": asdict(matching.theme_calibration) if matching.theme_calibration else None,
        "verdicts": matching.verdicts,
        "entries": matching.entries.to_dicts(),
        "pairs": matching.pairs.to_dicts(),
        "dropped": matching.dropped.to_dicts(),
        "themes": matching.themes.to_dicts(),
        "unnamed": matching.unnamed.to_dicts(),
    }


def _counted(head: pl.DataFrame, pairs: pl.DataFrame, themes: pl.DataFrame) -> pl.DataFrame:
    """The entries with counts of their matches."""
    exercised = pl.col("alive") & ~pl.col("missing")
    counts = pairs.group_by("entry").agg(n_concepts=pl.len(), n_weak=is_weak().sum(), n_exercised=exercised.sum())
    by_theme = themes.group_by("entry").agg(n_themes=pl.len())
    table = head
    for counts_by_entry in (counts, by_theme):
        table = table.join(counts_by_entry, on="entry", how="left", maintain_order="left")
    numbers = ("n_concepts", "n_weak", "n_exercised", "n_themes")
    return table.with_columns(pl.col(name).fill_null(0).cast(pl.Int64) for name in numbers).with_columns(
        recovered=pl.col("n_concepts") > 0, recovered_weak=pl.col("n_weak") > 0, covered=pl.col("n_exercised") > 0
    )


def _weak_by_chance(entries: pl.DataFrame, pairs: pl.DataFrame, concepts: pl.DataFrame, seed: int) -> WeakByChance:
    """Permute the labels among concepts: the matched labels stay, their concepts change."""
    rng = np.random.default_rng([seed, 2**31])
    place = dict(zip(concepts["concept"].to_list(), range(concepts.height), strict=True))
    number = {entry: i for i, entry in enumerate(entries["entry"])}
    at = ([number[e] for e in pairs["entry"]], [place[c] for c in pairs["concept"]])
    bears = sp.csr_array((np.ones(pairs.height, np.int32), at), shape=(entries.height, concepts.height))
    weak = concepts.select(is_weak()).to_series().to_numpy().astype(np.int32)
    observed = int((bears @ weak > 0).sum())
    counts = np.array([int((bears @ rng.permutation(weak) > 0).sum()) for _ in range(WEAK_DRAWS)])
    p_value = (1 + int((counts >= observed).sum())) / (1 + WEAK_DRAWS)
    return WeakByChance(observed, float(counts.mean()), p_value, WEAK_DRAWS)
