"""Results of ``cgaps match`` and ``cgaps scope``, kept in the run folder and read back without embeddings or torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from competency_gaps.matching.documents import matching_document, scope_document
from competency_gaps.matching.kept_files import (
    HeldEntry,
    HeldMatching,
    HeldPair,
    HeldScope,
    HeldThemePair,
    ScopeVerdict,
    Verdict,
    damaged,
    file_name,
    files,
    read,
    write,
)
from competency_gaps.text import visible

if TYPE_CHECKING:
    from competency_gaps.matching.scope import ScopeFindings
    from competency_gaps.matching.summary import Matching
    from competency_gaps.matching.taxonomy import Taxonomy
    from competency_gaps.runs.open import RunFolder

MATCHES, SCOPES = "matches", "scopes"
"""Folders in the run folder, with a file per taxonomy and per benchmark."""


@dataclass(frozen=True)
class KeptMatch:
    """A match of a taxonomy's entry with a concept or theme."""

    taxonomy: str
    """Name of the taxonomy's file or folder, without its path, which is private to the run's author."""
    number: int
    """Position of the entry in the taxonomy, from 1; identifies the entry where its texts are withheld."""
    entry: str
    """The entry's id."""
    description: str
    concept: int | None
    """None: a theme."""
    level: Literal["theme", "subtheme"] | None
    """None: a concept."""
    theme: int | None
    """Number of the theme on its level; None: a concept."""
    label: str
    """Label of the concept, or name of the theme, as compared."""
    similarity: float
    """Cosine of the embedded texts, in [-1, 1]."""
    p_value: float
    """Share of the null's draws whose best label is as similar to the entry, in (0, 1]."""
    bound: float | None
    """The ``1 - alpha`` quantile of the null's best similarities; None for themes."""
    verdict: Verdict | None
    """A model's verdict; None: not asked. Pairs judged unrelated are no matches."""


@dataclass(frozen=True)
class KeptLack:
    """A concept that a benchmark lacks."""

    concept: int
    label: str
    similarity: float
    """Similarity to the nearest clause of the scope, in [-1, 1]."""
    p_value: float
    """Share of shuffled labels that are as similar, in (0, 1]."""
    in_scope: bool
    coverage_status: Literal["missing", "under"]
    chi_bench_elsewhere: float | None
    """Mean over the other benchmarks, >= 0; None without any."""
    verdict: ScopeVerdict | None
    """A model's verdict; None: not asked."""


@dataclass(frozen=True)
class KeptScope:
    """Concepts that a benchmark lacks in its stated scope."""

    benchmark: str
    clauses: list[str]
    """The description, then its clauses (``matching.clauses.clauses``)."""
    alpha: float
    """Share of shuffled labels that are in scope by chance."""
    bound: float | None
    """Least similarity of an in-scope label; None: none is in scope."""
    covered: int
    """In-scope concepts that the benchmark covers."""
    under: int
    """In-scope concepts that it under-represents."""
    missing: int
    """In-scope concepts that it misses."""
    lacking: list[KeptLack]
    """All that are in scope and the nearest others, nearest first."""


def keep_matching(run: RunFolder, path: Path, taxonomy: Taxonomy, facts: dict[str, Any], matching: Matching) -> Path:
    """Keep a matching; an earlier one of the same list and filter is replaced.

    Parameters
    ----------
    path
        Path of the taxonomy.
    facts
        Further content: the settings and the judges.

    Returns
    -------
    Path
        The file.
    """
    where = taxonomy.where
    given = {
        "taxonomy": visible(str(path)),
        "where": None if where is None else visible(where),
        "left_out": len(taxonomy.left_out),
        "notes": [visible(note) for note in taxonomy.notes],
    }
    name = file_name(path.stem, f"{path.resolve()}\n{where or ''}")
    return write(run.path / MATCHES / name, {**given, **facts, **matching_document(matching)})


def keep_scope(run: RunFolder, limit: int, facts: dict[str, Any], findings: ScopeFindings) -> Path:
    """Keep the concepts that a benchmark lacks, replacing earlier findings on it.

    Parameters
    ----------
    limit
        Fewest rows to keep; all that are in scope by the null are kept.
    """
    near = findings.lacking.filter(pl.col("p_value") <= findings.alpha).height
    name = file_name(findings.benchmark, findings.benchmark)
    return write(run.path / SCOPES / name, {**facts, **scope_document(findings, max(limit, near))})


def forget_matches(folder: Path) -> None:
    """Remove kept results from a run folder, because its labels have changed."""
    for file in (*files(folder, MATCHES), *files(folder, SCOPES)):
        file.unlink()


def read_matches(run: RunFolder) -> list[KeptMatch]:
    """Read all kept matches, by taxonomy, concepts before themes.

    Returns
    -------
    list of KeptMatch
        Empty if none was kept, or nothing matched.

    Raises
    ------
    UserError
        If a file is damaged.
    """
    matches = []
    for file in files(run.path, MATCHES):
        kept_file = read(file, HeldMatching, "match")
        known = {entry.entry: (number, entry) for number, entry in enumerate(kept_file.entries, 1)}
        pairs: list[HeldPair | HeldThemePair] = [*kept_file.pairs, *kept_file.themes]
        for pair in pairs:
            if pair.entry not in known or (isinstance(pair, HeldPair) and pair.concept >= run.width):
                raise damaged(file, f"a pair of {pair.entry!r} names nothing that is there", "match")
            matches.append(_match(Path(kept_file.taxonomy).name or kept_file.taxonomy, *known[pair.entry], pair))
    return matches


def read_scopes(run: RunFolder) -> list[KeptScope]:
    """Read the kept scopes, in the order of the run's benchmarks.

    Returns
    -------
    list of KeptScope
        Empty if none was kept.

    Raises
    ------
    UserError
        If a file is damaged.
    """
    order = {entry["name"]: i for i, entry in enumerate(run.manifest["benchmarks"])}
    scopes = []
    for file in files(run.path, SCOPES):
        kept_file = read(file, HeldScope, "scope")
        if kept_file.benchmark not in order or any(row.concept >= run.width for row in kept_file.rows):
            raise damaged(file, "it names a benchmark or a concept that the run has not", "scope")
        counts = {name: getattr(kept_file, name).count for name in ("covered", "under", "missing")}
        lacking = [KeptLack(**dict(row)) for row in kept_file.rows]
        scopes.append(
            KeptScope(
                kept_file.benchmark, kept_file.clauses, kept_file.alpha, kept_file.bound, **counts, lacking=lacking
            )
        )
    return sorted(scopes, key=lambda scope: order[scope.benchmark])


def _match(taxonomy: str, number: int, entry: HeldEntry, pair: HeldPair | HeldThemePair) -> KeptMatch:
    return KeptMatch(
        taxonomy=taxonomy,
        number=number,
        entry=entry.entry,
        description=entry.description,
        concept=pair.concept if isinstance(pair, HeldPair) else None,
        level=pair.level if isinstance(pair, HeldThemePair) else None,
        theme=pair.id if isinstance(pair, HeldThemePair) else None,
        label=pair.label_text,
        similarity=pair.similarity,
        p_value=pair.p_value,
        bound=entry.bound if isinstance(pair, HeldPair) else None,
        verdict=pair.verdict if isinstance(pair, HeldPair) else None,
    )
