"""Match a list's entries to a run's concepts by what the entries' example prompts excite [ours]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.matching.candidates import is_weak
from competency_gaps.matching.examples import ReadExamples
from competency_gaps.matching.shares import Share, share
from competency_gaps.matching.taxonomy import TaxonomyEntry
from competency_gaps.matching.telling import Examples, Told, strata, tell
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder

SHUFFLES = 20
"""Times that examples are dealt out anew to the entries, to see how many match by chance."""
STATUS_DRAWS = 2000
"""Times that the concepts' verdicts are exchanged, to see how many entries are recovered as weak by chance."""
SUPPORT_CLASSES = 8
"""Classes of support within which verdicts are exchanged."""
UNTESTED = ("missing", "under")
"""Coverage of concepts that the suite does not test."""
OUTCOMES = ("weak", "untested", "matched", "not matched", "too few")
"""Outcomes of an entry: a weak concept or theme tells it from others; only concepts that the suite lacks or
under-represents do; others do; none does; it has too few examples, or no others to compare them with."""
FACTS = {
    "label": pl.String,
    "label_score": pl.Float64,
    "chi_bench": pl.Float64,
    "lift": pl.Float64,
    "chi_model": pl.Float64,
    "gap": pl.Float64,
    "q_value": pl.Float64,
    "performance_status": pl.String,
    "coverage_status": pl.String,
}
"""What the run says of a concept."""


@dataclass(frozen=True)
class ByChance:
    """How many entries an outcome has, and how many by chance."""

    observed: Share
    expected: float
    """Mean number of entries by chance."""
    p_value: float
    """``(1 + draws with as many) / (1 + draws)``."""
    draws: int


@dataclass(frozen=True)
class ExampleMatching:
    """A list matched to a run's concepts by examples."""

    entries: pl.DataFrame
    """One row per entry: entry, description, domain, category, score, examples (different ones that were read),
    outcome (of ``OUTCOMES``), n_concepts, n_weak, n_themes."""
    pairs: pl.DataFrame
    """One row per entry and confirmed concept, the strongest first: entry, concept, auroc (on the half of the examples
    that did not choose it), auroc_choosing, p_value, leader (the concept that leads it), and ``FACTS``."""
    themes: pl.DataFrame
    """The same for themes: entry, theme, name, auroc, auroc_choosing, p_value, gap, performance_status."""
    unexplained: pl.DataFrame
    """Weak concepts that tell no entry, the lowest gap first: concept, ``FACTS``, support."""
    weak_concepts: int
    """Weak concepts of the run."""
    matched: ByChance
    """Entries with a confirmed concept; by chance: examples dealt out anew among entries of the domain and of about the
    same length."""
    weak: ByChance
    """Entries with a confirmed weak concept; by chance: verdicts exchanged among concepts of about equal support."""
    untested: ByChance
    """Entries of which all confirmed concepts are missing or under-represented in the suite; by chance as for weak."""
    left_out: pl.DataFrame
    """Examples that could not be read: entry, reason."""
    q: float
    seed: int


def match_by_examples(
    run: RunFolder,
    entries: Sequence[TaxonomyEntry],
    read: ReadExamples,
    *,
    q: float = 0.05,
    seed: int = 0,
    progress: Progress | None = None,
) -> ExampleMatching:
    """Match entries to the concepts and themes that tell their examples from other entries' of their domain.

    Parameters
    ----------
    read
        The entries' examples, as the run's model and SAE read them.
    q
        Share of the matched entries that may be matched by accident.
    seed
        Seed of the halves, and of the nulls.
    """
    progress = progress or Progress(quiet=True)
    concepts = run.concepts.sort("concept")
    able = concepts["ranked"].to_numpy()
    examples = read.examples
    with progress.stage("telling entries by their examples", total=1 + SHUFFLES, unit="rounds") as bar:
        told = tell(examples, able, q=q, seed=seed)
        bar.advance(1)
        dealt = []
        for number in range(SHUFFLES):
            dealt.append(int(tell(_dealt(examples, [seed, number]), able, q=q, seed=seed).matched.sum()))
            bar.advance(1)
    compared = int(told.compared.sum())
    pairs = _pairs(entries, told, concepts)
    themes = _themes(run, entries, examples, able, q, seed)
    weak, untested = _status_by_chance(told, concepts, seed)
    return ExampleMatching(
        entries=_entries(entries, read, told, pairs, themes),
        pairs=pairs,
        themes=themes,
        unexplained=_unexplained(concepts, told),
        weak_concepts=int(concepts.select(is_weak()).to_series().sum()),
        matched=_by_chance(int(told.matched.sum()), compared, np.array(dealt)),
        weak=weak,
        untested=untested,
        left_out=read.left_out,
        q=q,
        seed=seed,
    )


def example_document(matching: ExampleMatching) -> dict[str, Any]:
    """A matching as one JSON document."""
    chance = {name: getattr(matching, name) for name in ("matched", "weak", "untested")}
    return {
        **{name: {**vars(value), "observed": value.observed.as_dict()} for name, value in chance.items()},
        **{name: getattr(matching, name) for name in ("weak_concepts", "q", "seed")},
        **{
            name: getattr(matching, name).to_dicts()
            for name in ("entries", "pairs", "themes", "unexplained", "left_out")
        },
    }


def _by_chance(observed: int, of: int, draws: np.ndarray) -> ByChance:
    p_value = (1 + int((draws >= observed).sum())) / (1 + len(draws))
    return ByChance(share(observed, of), float(draws.mean()), p_value, len(draws))


def _dealt(examples: Examples, seed: Sequence[int]) -> Examples:
    """The examples dealt out anew to the entries, within domain and class of length."""
    rng = np.random.default_rng(list(seed))
    stratum = strata(examples.domain, examples.length)
    order = np.argsort(stratum, kind="stable")
    mixed = np.lexsort((rng.random(len(stratum)), stratum))
    column = np.empty(len(stratum), np.int64)
    column[order] = mixed
    member = sp.csr_array(
        (examples.member.data, column[examples.member.indices], examples.member.indptr), shape=examples.member.shape
    )
    return replace(examples, member=member)


def _pairs(entries: Sequence[TaxonomyEntry], told: Told, concepts: pl.DataFrame) -> pl.DataFrame:
    rows = told.confirmed
    table = pl.DataFrame(
        {
            "entry": pl.Series([entries[row].id for row in told.entry[rows]], dtype=pl.String),
            "concept": pl.Series(told.concept[rows], dtype=pl.Int32),
            "auroc": told.auroc[rows],
            "auroc_choosing": told.choosing[rows],
            "p_value": told.p_value[rows],
            "leader": pl.Series(told.leader[rows], dtype=pl.Int32),
        }
    )
    return table.join(_facts(concepts), on="concept", how="left", maintain_order="left")


def _facts(concepts: pl.DataFrame) -> pl.DataFrame:
    known = [pl.col(name).cast(kind) for name, kind in FACTS.items() if name in concepts.columns]
    absent = [pl.lit(None, kind).alias(name) for name, kind in FACTS.items() if name not in concepts.columns]
    return concepts.select("concept", *known, *absent).select("concept", *FACTS)


def _themes(
    run: RunFolder, entries: Sequence[TaxonomyEntry], examples: Examples, able: np.ndarray, q: float, seed: int
) -> pl.DataFrame:
    """Themes that tell entries; a theme's activation is the sum of its ranked concepts'."""
    columns = {"theme": pl.Int32, "name": pl.String, "gap": pl.Float64, "performance_status": pl.String}
    measures = dict.fromkeys(("auroc", "auroc_choosing", "p_value"), pl.Float64)
    schema: dict[str, Any] = {"entry": pl.String, "theme": pl.Int32, **measures, **columns}
    if run.themes is None or run.theme_results is None:
        return pl.DataFrame(schema=schema)
    of_theme = run.themes.sort("concept")["theme"].fill_null(-1).to_numpy()
    number, named = np.flatnonzero(able & (of_theme >= 0)), int(of_theme.max(initial=-1)) + 1
    belongs = sp.csr_array((np.ones(len(number)), (number, of_theme[number])), shape=(len(able), named))
    told = tell(replace(examples, values=sp.csr_array(examples.values @ belongs)), np.ones(named, bool), q=q, seed=seed)
    rows = told.confirmed
    table = pl.DataFrame(
        {
            "entry": pl.Series([entries[row].id for row in told.entry[rows]], dtype=pl.String),
            "theme": pl.Series(told.concept[rows], dtype=pl.Int32),
            "auroc": told.auroc[rows],
            "auroc_choosing": told.choosing[rows],
            "p_value": told.p_value[rows],
        }
    )
    results = run.theme_results.filter(pl.col("level") == "theme").select(theme=pl.col("id"), **_same(columns))
    joined = table.join(results, on="theme", how="left", maintain_order="left")
    return joined.select(pl.col(name).cast(kind) for name, kind in schema.items())


def _same(columns: dict[str, Any]) -> dict[str, pl.Expr]:
    return {name: pl.col(name) for name in columns if name != "theme"}


def _entries(
    entries: Sequence[TaxonomyEntry], read: ReadExamples, told: Told, pairs: pl.DataFrame, themes: pl.DataFrame
) -> pl.DataFrame:
    table = pl.DataFrame(
        [(e.id, e.description, e.domain, e.category, e.score) for e in entries],
        schema={**dict.fromkeys(("entry", "description", "domain", "category"), pl.String), "score": pl.Float64},
        orient="row",
    ).with_columns(examples=pl.Series(read.count, dtype=pl.Int64), compared=pl.Series(told.compared))
    weak = (pl.col("performance_status") == "weak").fill_null(value=False)
    lacking = pl.col("coverage_status").is_in(UNTESTED).fill_null(value=False)
    of_concepts = pairs.group_by("entry").agg(n_concepts=pl.len(), n_weak=weak.sum(), n_lacking=lacking.sum())
    of_themes = themes.group_by("entry").agg(n_themes=pl.len(), n_weak_themes=weak.sum())
    for counts in (of_concepts, of_themes):
        table = table.join(counts, on="entry", how="left", maintain_order="left")
    numbers = ("n_concepts", "n_weak", "n_lacking", "n_themes", "n_weak_themes")
    table = table.with_columns(pl.col(numbers).fill_null(0).cast(pl.Int64))
    told_by = pl.col("n_concepts") + pl.col("n_themes")
    outcome = (
        pl.when(~pl.col("compared"))
        .then(pl.lit("too few"))
        .when(pl.col("n_weak") + pl.col("n_weak_themes") > 0)
        .then(pl.lit("weak"))
        .when((pl.col("n_concepts") > 0) & (pl.col("n_lacking") == pl.col("n_concepts")))
        .then(pl.lit("untested"))
        .when(told_by > 0)
        .then(pl.lit("matched"))
        .otherwise(pl.lit("not matched"))
    )
    return table.with_columns(outcome=outcome).drop("compared", "n_lacking", "n_weak_themes")


def _unexplained(concepts: pl.DataFrame, told: Told) -> pl.DataFrame:
    explained = np.unique(told.concept[told.confirmed])
    weak = concepts.filter(is_weak() & ~pl.col("concept").is_in(explained.tolist()))
    facts = _facts(weak).join(weak.select("concept", "support"), on="concept", maintain_order="left")
    return facts.sort("gap", "concept")


def _status_by_chance(told: Told, concepts: pl.DataFrame, seed: int) -> tuple[ByChance, ByChance]:
    """Exchange verdicts among ranked concepts of about equal support; the matched pairs stay."""
    ranked = np.flatnonzero(concepts["ranked"].to_numpy())
    support = concepts["support"].to_numpy()[ranked]
    stratum = np.argsort(np.argsort(support, kind="stable"), kind="stable") * SUPPORT_CLASSES // max(1, len(ranked))
    weak = concepts.select(is_weak()).to_series().to_numpy()[ranked]
    lacking = concepts["coverage_status"].is_in(UNTESTED).fill_null(value=False).to_numpy()[ranked]
    row = np.full(concepts.height, -1)
    row[ranked] = np.arange(len(ranked))
    compared = int(told.compared.sum())
    at = (told.entry[told.confirmed], row[told.concept[told.confirmed]])
    bears = sp.csr_array((np.ones(len(at[0])), at), shape=(len(told.compared), len(ranked)))
    bears = sp.csr_array(bears[np.diff(bears.indptr) > 0])

    def counts(order: np.ndarray) -> tuple[int, int]:
        missing = bears @ ~lacking[order].astype(bool)
        return int((bears @ weak[order] > 0).sum()), int((missing == 0).sum())

    rng = np.random.default_rng([seed, 2**31])
    ordered = np.argsort(stratum, kind="stable")
    draws = np.empty((STATUS_DRAWS, 2), np.int64)
    for number in range(STATUS_DRAWS):
        order = np.empty(len(ranked), np.int64)
        order[ordered] = np.lexsort((rng.random(len(ranked)), stratum))
        draws[number] = counts(order)
    observed = counts(np.arange(len(ranked)))
    first, second = (_by_chance(observed[i], compared, draws[:, i]) for i in range(2))
    return first, second
