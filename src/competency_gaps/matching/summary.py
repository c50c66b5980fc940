"""Summary of a matching: recovered and covered entries, and weak concepts that the taxonomy lacks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.matching.by_chance import ByChance, by_chance
from competency_gaps.matching.candidates import MatchCandidates, is_weak
from competency_gaps.matching.null import Calibration
from competency_gaps.matching.outcomes import LACKING
from competency_gaps.matching.shares import Share, share

PERMUTATIONS = 2000
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
class Matching:
    """A taxonomy matched to a run's labelled concepts and themes."""

    entries: pl.DataFrame
    """One row per entry: entry, description, domain, category, score, text (embedded text); best_label and
    similarity (nearest label, matched or not), p_value, bound; n_concepts, n_weak, n_exercised, n_themes; recovered,
    recovered_weak, untested (recovered, not by a weak concept, and all its concepts are missing or under-represented in
    the suite), covered."""
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
    weak: ByChance
    """Entries that match a weak concept; by chance: labels permuted among the candidate concepts."""
    untested: ByChance
    """Entries that are untested; by chance: likewise."""
    coverage: Share
    """Share of entries that match a concept which the suite exercises (alive and not missing)."""
    coverage_of_matched: Share
    """The same among the entries that match a concept."""
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
    recovered, covered = (int(table[name].sum()) for name in ("recovered", "covered"))
    weak, untested = _by_permuted_labels(table, kept, candidates.concepts, seed)
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
        weak=weak,
        untested=untested,
        coverage=share(covered, table.height),
        coverage_of_matched=share(covered, recovered),
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
    shares = ("recovery", "coverage", "coverage_of_matched", "unnamed_share")
    chance = {"weak": matching.weak, "untested": matching.untested}
    return {
        **{name: getattr(matching, name).as_dict() for name in shares},
        **{name: {**vars(value), "observed": value.observed.as_dict()} for name, value in chance.items()},
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
    counts = pairs.group_by("entry").agg(
        n_concepts=pl.len(), n_weak=is_weak().sum(), n_exercised=exercised.sum(), n_lacking=_lacks().sum()
    )
    by_theme = themes.group_by("entry").agg(n_themes=pl.len())
    table = head
    for counts_by_entry in (counts, by_theme):
        table = table.join(counts_by_entry, on="entry", how="left", maintain_order="left")
    numbers = ("n_concepts", "n_weak", "n_exercised", "n_lacking", "n_themes")
    table = table.with_columns(pl.col(name).fill_null(0).cast(pl.Int64) for name in numbers)
    recovered, weak = pl.col("n_concepts") > 0, pl.col("n_weak") > 0
    return table.with_columns(
        recovered=recovered,
        recovered_weak=weak,
        untested=recovered & ~weak & (pl.col("n_lacking") == pl.col("n_concepts")),
        covered=pl.col("n_exercised") > 0,
    ).drop("n_lacking")


def _lacks() -> pl.Expr:
    """Whether the suite misses or under-represents a concept."""
    return pl.col("coverage_status").is_in(LACKING).fill_null(False)


def _by_permuted_labels(
    entries: pl.DataFrame, pairs: pl.DataFrame, concepts: pl.DataFrame, seed: int
) -> tuple[ByChance, ByChance]:
    """Weak and untested entries, and how many when labels are permuted among concepts.

    The matched labels stay, the concepts that bear them change.
    """
    rng = np.random.default_rng([seed, 2**31])
    place = dict(zip(concepts["concept"].to_list(), range(concepts.height), strict=True))
    number = {entry: i for i, entry in enumerate(entries["entry"])}
    at = ([number[e] for e in pairs["entry"]], [place[c] for c in pairs["concept"]])
    bears = sp.csr_array((np.ones(pairs.height, np.int32), at), shape=(entries.height, concepts.height))
    weak, lacks = (concepts.select(told).to_series().to_numpy() for told in (is_weak(), _lacks()))
    some, draws = np.diff(bears.indptr) > 0, []
    for _ in range(PERMUTATIONS):
        order = rng.permutation(concepts.height)
        by_weak, tested = (bears @ status[order].astype(np.int32) > 0 for status in (weak, ~lacks))
        draws.append((by_weak.sum(), (some & ~by_weak & ~tested).sum()))
    drawn = np.array(draws)
    observed = [int(entries[name].sum()) for name in ("recovered_weak", "untested")]
    return by_chance(observed[0], entries.height, drawn[:, 0]), by_chance(observed[1], entries.height, drawn[:, 1])
