"""Match a list's entries to a run's concepts by what the entries' example prompts excite [ours]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.errors import UserError
from competency_gaps.matching.by_chance import ByChance, Matched, by_chance, exchanged
from competency_gaps.matching.candidates import is_weak
from competency_gaps.matching.division import Division, Examples, divide
from competency_gaps.matching.embedding import Embed
from competency_gaps.matching.example_tables import entries_table, pairs_table, unexplained_table
from competency_gaps.matching.examples import ReadExamples
from competency_gaps.matching.exchange import GroupExchange, Verdicts
from competency_gaps.matching.label_similarity import label_similarity
from competency_gaps.matching.markers import Comparison, Markers
from competency_gaps.matching.outcomes import LACKING, Outcome
from competency_gaps.matching.taxonomy import TaxonomyEntry
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder

SHUFFLES = (40, 100)
"""Times that examples are dealt out anew to the entries, to see how many match by chance: at least, at most."""
DEALT = 100_000
"""Entries that are compared in all of these, if that many times are allowed: long lists need fewer."""
NOT_TESTED = ("insufficient", "untested")
"""Verdicts of concepts that had too little evidence for another."""
_THEME_FACTS = ("theme", "name", "gap", "performance_status")
_THEME = {
    "theme": pl.Int32,
    "name": pl.String,
    "gap": pl.Float64,
    "performance_status": pl.String,
    "support": pl.Int64,
    "leader": pl.Int32,
}


@dataclass(frozen=True)
class ExampleMatching:
    """A list matched to a run's concepts by examples."""

    entries: pl.DataFrame
    """One row per entry that was asked for: entry, description, domain, category, score, examples (those that were read
    and count: one of a cluster), example_rows (their rows in ``items.parquet`` of the run that read them, at most
    ``example_tables.MOST_ROWS``; where a concept is confirmed, those in which the strongest is most active come first),
    outcome (of ``outcomes.Outcome``), not_compared (why, of ``outcomes.NotCompared``; null: it was), n_concepts,
    n_weak, n_themes."""
    pairs: pl.DataFrame
    """One row per entry and confirmed concept, the strongest first: entry, concept, auroc (on the half of the examples
    that did not choose it, among examples of equal length), auroc_choosing, p_value, leader (the concept that leads
    it), label_similarity (cosine of the embedded description and label; null: no label, or not compared), what the run
    says of it (``example_tables.FACTS``)."""
    themes: pl.DataFrame
    """The same for themes: entry, theme, auroc, auroc_choosing, p_value, name, gap, performance_status."""
    unexplained: pl.DataFrame
    """Weak concepts that no entry names, the lowest gap first: neither they nor the concepts that lead them in the run
    are among the confirmed ones, of which an entry has at most ``markers.CHOSEN``. Columns: concept, its facts,
    support, items (the three in which it is strongest, as ``benchmark: id``)."""
    weak_concepts: int
    """Weak concepts of the run."""
    matched: ByChance
    """Entries with a confirmed concept or theme; by chance: examples dealt out anew among entries of the domain,
    the half, and of about the same length."""
    weak: ByChance
    """Entries with a confirmed weak concept or theme; by chance: groups of weak concepts, and of weak
    themes, moved to others of about equal support."""
    untested: ByChance
    """Entries that are not weak and of which all confirmed concepts are missing or under-represented in the suite; by
    chance: coverage verdicts exchanged among ranked concepts that are active in about as many examples."""
    left_out: pl.DataFrame
    """Examples that could not be read: entry, reason."""
    labels_not_compared: str | None
    """Why ``label_similarity`` is null where there are labels; None: they were compared."""
    q: float
    seed: int


@dataclass(frozen=True)
class _Markers:
    """What marks the entries: concepts, and themes."""

    concepts: Markers
    themes: Markers

    @property
    def matched(self) -> np.ndarray:
        return self.concepts.matched | self.themes.matched


def match_by_examples(
    run: RunFolder,
    entries: Sequence[TaxonomyEntry],
    read: ReadExamples,
    *,
    asked: np.ndarray | None = None,
    q: float = 0.05,
    seed: int = 0,
    embed: Embed | None = None,
    progress: Progress | None = None,
) -> ExampleMatching:
    """Match entries to the concepts and themes that tell their examples from other entries' of their domain.

    Parameters
    ----------
    entries
        All entries of the list.
    read
        Their examples, as the run's model and SAE read them.
    asked : ndarray of bool of shape (entries,)
        Those that are matched; the others are what these are compared with. None: all.
    q
        Share of the matched entries that may be matched by accident: half of it by concepts, half by themes, if the run
        has themes.
    seed
        Seed of the halves, and of the nulls.
    embed
        Maps texts to vectors, for the similarity of labels to descriptions. That is no condition of a matching: if it
        raises a :class:`~competency_gaps.errors.UserError`, or is None, no label is compared.
    """
    progress = progress or Progress(quiet=True)
    concepts = run.concepts.sort("concept")
    able = concepts["ranked"].to_numpy()
    wanted = np.ones(len(entries), bool) if asked is None else asked
    belongs, named = _theme_members(run, able)
    level = q / 2 if named.height else q
    markers, division, dealt = _compare(read.examples, able, belongs, wanted, level, seed, progress)
    compared = int(markers.concepts.compared.sum())
    known = _matched(markers, concepts, named)
    weak, untested = known.outcomes(known.weak, known.weak_themes, known.lacking)
    active = np.bincount(read.examples.values.indices, minlength=concepts.height)
    draws = _exchanged(run, known, concepts, named, belongs, active, seed)
    verdicts: dict[Outcome, np.ndarray] = {
        "not compared": ~markers.concepts.compared,
        "weak": weak,
        "untested": untested,
        "matched": markers.matched,
    }
    outcome = np.select(list(verdicts.values()), list(verdicts), "not matched")
    asked_for = [entry.id for entry, own in zip(entries, wanted, strict=True) if own]
    pairs, not_compared = _with_similarity(pairs_table(entries, markers.concepts, concepts), entries, embed)
    themes = pairs_table(entries, markers.themes, named.select(_THEME_FACTS), "theme")
    return ExampleMatching(
        entries=entries_table(entries, read, markers.concepts, division, outcome, pairs, themes).filter(
            pl.Series(wanted)
        ),
        pairs=pairs,
        themes=themes,
        unexplained=unexplained_table(run, concepts, markers.concepts),
        weak_concepts=int(concepts.select(is_weak()).to_series().sum()),
        matched=by_chance(int(markers.matched.sum()), compared, dealt),
        weak=by_chance(int(weak.sum()), compared, draws[:, 0]),
        untested=by_chance(int(untested.sum()), compared, draws[:, 1]),
        left_out=read.left_out.filter(pl.col("entry").is_in(asked_for)),
        labels_not_compared=not_compared,
        q=q,
        seed=seed,
    )


def example_document(matching: ExampleMatching) -> dict[str, Any]:
    """A matching as one JSON document."""
    chance = {name: getattr(matching, name) for name in ("matched", "weak", "untested")}
    tables = ("entries", "pairs", "themes", "unexplained")
    return {
        **{name: {**vars(value), "observed": value.observed.as_dict()} for name, value in chance.items()},
        **{name: getattr(matching, name) for name in ("weak_concepts", "labels_not_compared", "q", "seed")},
        **{name: getattr(matching, name).to_dicts() for name in tables},
        "left_out_examples": matching.left_out.to_dicts(),
    }


def _compare(
    examples: Examples,
    able: np.ndarray,
    belongs: sp.csr_array,
    asked: np.ndarray,
    level: float,
    seed: int,
    progress: Progress,
) -> tuple[_Markers, Division, np.ndarray]:
    """Find what marks the entries; also give the numbers of entries that match with their examples dealt out anew."""
    division, member = divide(examples, seed), examples.member
    of_themes = replace(examples, values=sp.csr_array(examples.values @ belongs))
    comparisons = [
        Comparison(examples, division, able, asked=asked, q=level),
        Comparison(of_themes, division, np.ones(belongs.shape[1], bool), asked=asked, q=level),
    ]
    shuffles = int(np.clip(DEALT // max(1, comparisons[0].compared.sum()), *SHUFFLES))
    dealt = np.zeros(shuffles, np.int64)
    with progress.stage("comparing examples", total=1 + shuffles, unit="rounds") as bar:
        markers = _Markers(*(comparison.markers(member, groups=True) for comparison in comparisons))
        bar.advance(1)
        for number in range(shuffles):
            anew = division.dealt(member, np.random.default_rng([seed, number]))
            by_accident = _Markers(*(comparison.markers(anew, groups=False) for comparison in comparisons))
            dealt[number] = by_accident.matched.sum()
            bar.advance(1)
    return markers, division, dealt


def _with_similarity(
    pairs: pl.DataFrame, entries: Sequence[TaxonomyEntry], embed: Embed | None
) -> tuple[pl.DataFrame, str | None]:
    """Add ``label_similarity``, after ``leader``; also say why labels were not compared."""
    why = "no sentence embeddings were asked for" if embed is None else None
    try:
        similarity = label_similarity(pairs, entries, embed)
    except UserError as error:
        similarity, why = label_similarity(pairs, entries, None), str(error)
    return pairs.insert_column(pairs.get_column_index("leader") + 1, similarity), why


def _theme_members(run: RunFolder, able: np.ndarray) -> tuple[sp.csr_array, pl.DataFrame]:
    """Ranked concepts of each theme, of shape (concepts, themes), and what the run says of the themes."""
    return sp.csr_array((len(able), 0)), pl.DataFrame(schema=_THEME)  # until lists are matched to slices


def _matched(markers: _Markers, concepts: pl.DataFrame, themes: pl.DataFrame) -> Matched:
    return Matched(
        concepts=_confirmed(markers.concepts, concepts.height),
        themes=_confirmed(markers.themes, themes.height),
        weak=concepts.select(is_weak()).to_series().to_numpy(),
        weak_themes=(themes["performance_status"] == "weak").fill_null(value=False).to_numpy(),
        lacking=concepts["coverage_status"].is_in(LACKING).fill_null(value=False).to_numpy(),
    )


def _exchanged(
    run: RunFolder,
    matched: Matched,
    concepts: pl.DataFrame,
    themes: pl.DataFrame,
    belongs: sp.csr_array,
    active: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Numbers of weak and of untested entries with exchanged verdicts: (draws, 2).

    ``active`` is the number of examples in which each concept is active.
    """
    ranked, rows = concepts["ranked"].to_numpy(), sp.csr_array((concepts.height, run.items.height))
    if matched.weak.any() or matched.weak_themes.any():
        # Concepts that are not ranked have no verdict, and no part in a theme.
        pick = sp.csr_array(sp.identity(concepts.height, format="csr")[:, ranked])
        rows = sp.csr_array(pick @ run.by_concept.cas(np.flatnonzero(ranked), run.items.height))
    groups = GroupExchange(_verdicts(concepts, matched.weak, "concept"), rows, seed) if matched.weak.any() else None
    of_themes = None
    if matched.weak_themes.any():
        theme_rows = sp.csr_array(belongs.T @ rows)
        of_themes = GroupExchange(_verdicts(themes, matched.weak_themes, "theme"), theme_rows, seed)
    return exchanged(matched, groups, of_themes, ranked, active, seed=seed)


def _verdicts(table: pl.DataFrame, weak: np.ndarray, key: str) -> Verdicts:
    """Verdicts of the run's concepts, or of its themes; ``key`` is the column of their numbers."""
    status = table["performance_status"]
    known = (status.is_not_null() & ~status.is_in(NOT_TESTED)).to_numpy()
    tested = known & table["ranked"].to_numpy() if key == "concept" else known
    leader = table["leader"].fill_null(table[key]).to_numpy()
    return Verdicts(weak, leader, tested, table["support"].fill_null(0).to_numpy())


def _confirmed(markers: Markers, width: int) -> sp.csr_array:
    """Confirmed pairs: of shape (entries, width)."""
    at = (markers.entry[markers.confirmed], markers.concept[markers.confirmed])
    return sp.csr_array((np.ones(len(at[0])), at), shape=(len(markers.compared), width))
