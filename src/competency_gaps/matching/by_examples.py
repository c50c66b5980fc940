"""Match a list's entries to a run's concepts by what the entries' example prompts excite [ours]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.matching.candidates import is_weak
from competency_gaps.matching.example_tables import entries_table, pairs_table, unexplained_table
from competency_gaps.matching.examples import ReadExamples
from competency_gaps.matching.markers import Examples, Markers, find_markers, strata
from competency_gaps.matching.shares import Share, share
from competency_gaps.matching.taxonomy import TaxonomyEntry
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder

SHUFFLES = 40
"""Times that examples are dealt out anew to the entries, to see how many match by chance."""
STATUS_DRAWS = 2000
"""Times that verdicts are exchanged, to see how many entries are recovered as weak by chance."""
SUPPORT_CLASSES = 8
"""Classes of support within which verdicts are exchanged."""
UNTESTED = ("missing", "under")
"""Coverage of concepts that the suite does not test."""
OUTCOMES = ("weak", "untested", "matched", "not matched", "not compared")
"""Outcomes of an entry: a weak concept or theme tells it from others; only concepts that the suite lacks or
under-represents do; others do; none does; it has too few examples, or too few others to compare them with."""
_THEME = {"theme": pl.Int32, "name": pl.String, "gap": pl.Float64, "performance_status": pl.String}


@dataclass(frozen=True)
class ByChance:
    """How many entries have an outcome, and how many by chance."""

    observed: Share
    expected: float
    """Mean number of entries by chance."""
    low: float
    """Number that 97.5% of the draws reach."""
    high: float
    """Number that 97.5% of the draws do not exceed."""
    p_value: float
    """``(1 + draws with as many) / (1 + draws)``."""
    draws: int


@dataclass(frozen=True)
class ExampleMatching:
    """A list matched to a run's concepts by examples."""

    entries: pl.DataFrame
    """One row per entry that was asked for: entry, description, domain, category, score, examples (different ones that
    were read), example_rows (their rows in ``items.parquet`` of the run that read them, at most
    ``example_tables.MOST_ROWS``; where a concept is confirmed, those in which the strongest is most active come first),
    outcome (of ``OUTCOMES``), n_concepts, n_weak, n_themes."""
    pairs: pl.DataFrame
    """One row per entry and confirmed concept, the strongest first: entry, concept, auroc (on the half of the examples
    that did not choose it, net of length), auroc_choosing, p_value, leader (the concept that leads it), what the run
    says of it (``example_tables.FACTS``)."""
    themes: pl.DataFrame
    """The same for themes: entry, theme, auroc, auroc_choosing, p_value, name, gap, performance_status."""
    unexplained: pl.DataFrame
    """Weak concepts that tell no entry, the lowest gap first: concept, its facts, support, items (the three in which it
    is strongest, as ``benchmark: id``)."""
    weak_concepts: int
    """Weak concepts of the run."""
    matched: ByChance
    """Entries with a confirmed concept or theme; by chance: examples dealt out anew among entries of the domain and of
    about the same length."""
    weak: ByChance
    """Entries with a confirmed weak concept or theme; by chance: verdicts exchanged among concepts of about equal
    support, and among themes."""
    untested: ByChance
    """Entries that are not weak and of which all confirmed concepts are missing or under-represented in the suite; by
    chance as for weak."""
    left_out: pl.DataFrame
    """Examples that could not be read: entry, reason."""
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
    """
    progress = progress or Progress(quiet=True)
    concepts = run.concepts.sort("concept")
    able = concepts["ranked"].to_numpy()
    wanted = np.ones(len(entries), bool) if asked is None else asked
    belongs, named = _theme_members(run, able)
    level = q / 2 if named.height else q

    def markers_of(examples: Examples, *, groups: bool) -> _Markers:
        of_themes = replace(examples, values=sp.csr_array(examples.values @ belongs))
        options: dict[str, Any] = {"asked": wanted, "q": level, "seed": seed, "groups": groups}
        return _Markers(
            find_markers(examples, able, **options), find_markers(of_themes, np.ones(belongs.shape[1], bool), **options)
        )

    with progress.stage("comparing examples", total=1 + SHUFFLES, unit="rounds") as bar:
        markers = markers_of(read.examples, groups=True)
        bar.advance(1)
        dealt = []
        for number in range(SHUFFLES):
            dealt.append(int(markers_of(_dealt(read.examples, [seed, number]), groups=False).matched.sum()))
            bar.advance(1)
    compared = int(markers.concepts.compared.sum())
    weak, untested, draws = _verdicts(markers, concepts, named, seed)
    verdicts = {
        "not compared": ~markers.concepts.compared,
        "weak": weak,
        "untested": untested,
        "matched": markers.matched,
    }
    outcome = np.select(list(verdicts.values()), list(verdicts), "not matched")
    pairs = pairs_table(entries, markers.concepts, concepts)
    themes = pairs_table(entries, markers.themes, named, "theme")
    return ExampleMatching(
        entries=entries_table(entries, read, markers.concepts, outcome, pairs, themes).filter(pl.Series(wanted)),
        pairs=pairs,
        themes=themes,
        unexplained=unexplained_table(run, concepts, markers.concepts),
        weak_concepts=int(concepts.select(is_weak()).to_series().sum()),
        matched=_by_chance(int(markers.matched.sum()), compared, np.array(dealt)),
        weak=_by_chance(int(weak.sum()), compared, draws[:, 0]),
        untested=_by_chance(int(untested.sum()), compared, draws[:, 1]),
        left_out=read.left_out,
        q=q,
        seed=seed,
    )


def example_document(matching: ExampleMatching) -> dict[str, Any]:
    """A matching as one JSON document."""
    chance = {name: getattr(matching, name) for name in ("matched", "weak", "untested")}
    tables = ("entries", "pairs", "themes", "unexplained")
    return {
        **{name: {**vars(value), "observed": value.observed.as_dict()} for name, value in chance.items()},
        **{name: getattr(matching, name) for name in ("weak_concepts", "q", "seed")},
        **{name: getattr(matching, name).to_dicts() for name in tables},
        "left_out_examples": matching.left_out.to_dicts(),
    }


def _by_chance(observed: int, of: int, draws: np.ndarray) -> ByChance:
    p_value = (1 + int((draws >= observed).sum())) / (1 + len(draws))
    low, high = np.quantile(draws, [0.025, 0.975], method="inverted_cdf")
    return ByChance(share(observed, of), float(draws.mean()), float(low), float(high), p_value, len(draws))


def _dealt(examples: Examples, seed: Sequence[int]) -> Examples:
    """The examples dealt out anew to the entries, within domain and class of length."""
    rng = np.random.default_rng(list(seed))
    stratum = strata(examples.domain, examples.length)
    order = np.argsort(stratum, kind="stable")
    column = np.empty(len(stratum), np.int64)
    column[order] = np.lexsort((rng.random(len(stratum)), stratum))
    member = sp.csr_array(
        (examples.member.data, column[examples.member.indices], examples.member.indptr), shape=examples.member.shape
    )
    return replace(examples, member=member)


def _theme_members(run: RunFolder, able: np.ndarray) -> tuple[sp.csr_array, pl.DataFrame]:
    """Ranked concepts of each theme, of shape (concepts, themes), and what the run says of the themes."""
    if run.themes is None or run.theme_results is None:
        return sp.csr_array((len(able), 0)), pl.DataFrame(schema=_THEME)
    of_theme = run.themes.sort("concept")["theme"].fill_null(-1).to_numpy()
    number, width = np.flatnonzero(able & (of_theme >= 0)), int(of_theme.max(initial=-1)) + 1
    belongs = sp.csr_array((np.ones(len(number)), (number, of_theme[number])), shape=(len(able), width))
    results = run.theme_results.filter(pl.col("level") == "theme").rename({"id": "theme"})
    results = results.select(pl.col(name).cast(kind) for name, kind in _THEME.items())
    every = pl.DataFrame({"theme": pl.Series(np.arange(width), dtype=pl.Int32)})
    return belongs, every.join(results, on="theme", how="left", maintain_order="left")


def _verdicts(
    markers: _Markers, concepts: pl.DataFrame, themes: pl.DataFrame, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which entries are weak, and which untested, and the numbers of both with exchanged verdicts: (draws, 2)."""
    ranked = np.flatnonzero(concepts["ranked"].to_numpy())
    weak = concepts.select(is_weak()).to_series().to_numpy()[ranked]
    lacking = concepts["coverage_status"].is_in(UNTESTED).fill_null(value=False).to_numpy()[ranked]
    weak_theme = (themes["performance_status"] == "weak").fill_null(value=False).to_numpy()
    of_concepts = _confirmed(markers.concepts, concepts.height)[:, ranked]
    of_themes = _confirmed(markers.themes, themes.height)
    some = np.diff(sp.csr_array(of_concepts).indptr) > 0

    def outcomes(weak: np.ndarray, lacking: np.ndarray, weak_theme: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        by_weak = (of_concepts @ weak.astype(float) > 0) | (of_themes @ weak_theme.astype(float) > 0)
        return by_weak, some & (of_concepts @ (~lacking).astype(float) == 0) & ~by_weak

    support = concepts["support"].to_numpy()[ranked]
    stratum = np.argsort(np.argsort(support, kind="stable"), kind="stable") * SUPPORT_CLASSES // max(1, len(ranked))
    ordered = np.argsort(stratum, kind="stable")
    rng = np.random.default_rng([seed, 2**31])
    draws = np.empty((STATUS_DRAWS, 2), np.int64)
    for number in range(STATUS_DRAWS):
        order = np.empty(len(ranked), np.int64)
        order[ordered] = np.lexsort((rng.random(len(ranked)), stratum))
        made = outcomes(weak[order], lacking[order], rng.permutation(weak_theme))
        draws[number] = [int(part.sum()) for part in made]
    return *outcomes(weak, lacking, weak_theme), draws


def _confirmed(markers: Markers, width: int) -> sp.csr_array:
    """Confirmed pairs: of shape (entries, width)."""
    at = (markers.entry[markers.confirmed], markers.concept[markers.confirmed])
    return sp.csr_array((np.ones(len(at[0])), at), shape=(len(markers.compared), width))
