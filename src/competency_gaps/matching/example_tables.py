"""Tables of a matching by examples: its entries, its pairs, and the weak concepts that no entry names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.matching.candidates import is_weak
from competency_gaps.matching.division import Division
from competency_gaps.matching.examples import ReadExamples
from competency_gaps.matching.markers import Markers
from competency_gaps.matching.taxonomy import TaxonomyEntry
from competency_gaps.runs.open import RunFolder

MOST_ROWS = 500
"""Examples of an entry whose places are kept, so that they can be shown."""
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


def pairs_table(
    entries: Sequence[TaxonomyEntry], markers: Markers, known: pl.DataFrame, key: str = "concept"
) -> pl.DataFrame:
    """Confirmed pairs of entries and concepts (``key``: or themes), with what ``known`` says of these."""
    rows = markers.confirmed
    table = pl.DataFrame(
        {
            "entry": pl.Series([entries[row].id for row in markers.entry[rows]], dtype=pl.String),
            key: pl.Series(markers.concept[rows], dtype=pl.Int32),
            "auroc": markers.auroc[rows],
            "auroc_choosing": markers.choosing[rows],
            "p_value": markers.p_value[rows],
        }
    )
    if key == "concept":
        table = table.with_columns(leader=pl.Series(markers.leader[rows], dtype=pl.Int32))
        known = _facts(known)
    return table.join(known, on=key, how="left", maintain_order="left")


def _facts(concepts: pl.DataFrame) -> pl.DataFrame:
    known = [pl.col(name).cast(kind) for name, kind in FACTS.items() if name in concepts.columns]
    absent = [pl.lit(None, kind).alias(name) for name, kind in FACTS.items() if name not in concepts.columns]
    return concepts.select("concept", *known, *absent).select("concept", *FACTS)


def entries_table(
    entries: Sequence[TaxonomyEntry],
    read: ReadExamples,
    markers: Markers,
    division: Division,
    outcome: np.ndarray,
    pairs: pl.DataFrame,
    themes: pl.DataFrame,
) -> pl.DataFrame:
    """Each entry with its outcome, its examples' places, and how many concepts and themes match it."""
    table = pl.DataFrame(
        [(e.id, e.description, e.domain, e.category, e.score) for e in entries],
        schema={**dict.fromkeys(("entry", "description", "domain", "category"), pl.String), "score": pl.Float64},
        orient="row",
    ).with_columns(
        examples=pl.Series(read.count, dtype=pl.Int64),
        example_rows=pl.Series(_example_rows(read, markers), dtype=pl.List(pl.Int64)),
        outcome=pl.Series(outcome.tolist(), dtype=pl.String),
        not_compared=pl.Series(division.not_compared.tolist(), dtype=pl.String),
    )
    weak = (pl.col("performance_status") == "weak").fill_null(value=False)
    of_concepts = pairs.group_by("entry").agg(n_concepts=pl.len(), n_weak=weak.sum())
    of_themes = themes.group_by("entry").agg(n_themes=pl.len())
    for counts in (of_concepts, of_themes):
        table = table.join(counts, on="entry", how="left", maintain_order="left")
    return table.with_columns(pl.col("n_concepts", "n_weak", "n_themes").fill_null(0).cast(pl.Int64))


def _example_rows(read: ReadExamples, markers: Markers) -> list[list[int]]:
    """Rows of each entry's examples, those in which its strongest confirmed concept is most active first."""
    confirmed = np.flatnonzero(markers.confirmed)
    entry, first = np.unique(markers.entry[confirmed], return_index=True)
    strongest = dict(zip(entry.tolist(), markers.concept[confirmed[first]].tolist(), strict=True))
    member, rows = sp.csr_array(read.examples.member), []
    for number in range(len(read.count)):
        own = member.indices[member.indptr[number] : member.indptr[number + 1]]
        own = own[member.data[member.indptr[number] : member.indptr[number + 1]] > 0]
        if number in strongest:
            active = read.examples.values[own][:, [strongest[number]]].toarray()[:, 0]
            own = own[np.argsort(-active, kind="stable")]
        rows.append(read.row[own[:MOST_ROWS]].tolist())
    return rows


def unexplained_table(run: RunFolder, concepts: pl.DataFrame, markers: Markers) -> pl.DataFrame:
    """Weak concepts that no entry names, each with the items in which it is strongest.

    A concept is named if it, or the concept that leads it in the run, is confirmed.
    """
    named = np.unique(markers.concept[markers.confirmed]).tolist()
    leader = pl.col("leader").fill_null(pl.col("concept"))
    weak = concepts.filter(is_weak() & ~pl.col("concept").is_in(named) & ~leader.is_in(named))
    facts = _facts(weak).join(weak.select("concept", "support"), on="concept", maintain_order="left")
    facts = facts.sort("gap", "concept")
    names = (run.items["benchmark"] + ": " + run.items["item_id"]).to_list()
    best = []
    for concept in facts["concept"]:
        cas = run.by_concept.cas(np.array([concept]), len(names))
        best.append([names[item] for item in cas.indices[np.argsort(-cas.data, kind="stable")[:3]]])
    return facts.with_columns(items=pl.Series(best, dtype=pl.List(pl.String)))
