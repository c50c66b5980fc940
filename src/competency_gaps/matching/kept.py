"""What ``cgaps match`` and ``cgaps scope`` found, kept in the run folder and read back without embeddings or torch."""

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
"""Folders in the run folder: a file per taxonomy, and one per benchmark."""


@dataclass(frozen=True)
class KeptMatch:
    """An entry of an outside list and a concept, or a theme, that bears a label near to it."""

    taxonomy: str
    """Name of the list's file or folder, without where it lies: a run is shared, its author's folders are not."""
    number: int
    """Place of the entry in the list, from 1: it names the entry where its texts are not told."""
    entry: str
    """The entry's id."""
    description: str
    concept: int | None
    """Null: it is a theme."""
    level: Literal["theme", "subtheme"] | None
    """Null: it is a concept."""
    theme: int | None
    """Number of the theme on its level; null: it is a concept."""
    label: str
    """Label of the concept, or name of the theme, as it was compared."""
    similarity: float
    """Cosine of the embedded texts, in [-1, 1]."""
    p_value: float
    """Share of the null's draws in which the entry's best label comes as near, in (0, 1]."""
    bound: float | None
    """What the null's best labels reach at most in all but a share ``alpha`` of draws; null: not kept of themes."""
    verdict: Verdict | None
    """A model's; null: not asked. Pairs that it judged unrelated are no matches."""


@dataclass(frozen=True)
class KeptLack:
    """A concept that a benchmark lacks."""

    concept: int
    label: str
    similarity: float
    """To the nearest clause of the scope, in [-1, 1]."""
    p_value: float
    """Share of shuffled labels that come as near, in (0, 1]."""
    in_scope: bool
    coverage_status: Literal["missing", "under"]
    chi_bench_elsewhere: float | None
    """Mean over the other benchmarks, >= 0; null: there are none."""
    verdict: ScopeVerdict | None
    """A model's; null: not asked."""


@dataclass(frozen=True)
class KeptScope:
    """What a benchmark lacks of its stated scope."""

    benchmark: str
    clauses: list[str]
    """The description that was compared, then its clauses (``matching.clauses.clauses``)."""
    alpha: float
    """Share of shuffled labels that are in scope by chance."""
    bound: float | None
    """Least similarity of an in-scope label; null: none is in scope."""
    covered: int
    """In-scope concepts that the benchmark covers."""
    under: int
    """In-scope concepts that it under-represents."""
    missing: int
    """In-scope concepts that it lacks altogether."""
    lacking: list[KeptLack]
    """The nearest to the scope first: all that are in scope, and the nearest of the others."""


def keep_matching(run: RunFolder, path: Path, taxonomy: Taxonomy, facts: dict[str, Any], found: Matching) -> Path:
    """Keep a matching; an earlier one of the same list and filter is replaced.

    Parameters
    ----------
    path
        Where the list was read.
    facts
        What else there is to say of it: the settings and the judges.

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
    return write(run.path / MATCHES / name, {**given, **facts, **matching_document(found)})


def keep_scope(run: RunFolder, limit: int, facts: dict[str, Any], found: ScopeFindings) -> Path:
    """Keep what a benchmark lacks; earlier findings on the same benchmark are replaced.

    Parameters
    ----------
    limit
        Rows kept at least; all that the null puts in scope are.
    """
    near = found.lacking.filter(pl.col("p_value") <= found.alpha).height
    name = file_name(found.benchmark, found.benchmark)
    return write(run.path / SCOPES / name, {**facts, **scope_document(found, max(limit, near))})


def forget_matches(folder: Path) -> None:
    """Remove what was kept in a run folder: its labels are no longer those that were compared."""
    for file in (*files(folder, MATCHES), *files(folder, SCOPES)):
        file.unlink()


def read_matches(run: RunFolder) -> list[KeptMatch]:
    """Read every match that was kept: list by list, concepts before themes.

    Returns
    -------
    list of KeptMatch
        Empty: none was kept, or nothing matched.

    Raises
    ------
    UserError
        If a file is damaged.
    """
    found = []
    for file in files(run.path, MATCHES):
        held = read(file, HeldMatching, "match")
        known = {entry.entry: (number, entry) for number, entry in enumerate(held.entries, 1)}
        pairs: list[HeldPair | HeldThemePair] = [*held.pairs, *held.themes]
        for pair in pairs:
            if pair.entry not in known or (isinstance(pair, HeldPair) and pair.concept >= run.width):
                raise damaged(file, f"a pair of {pair.entry!r} names nothing that is there", "match")
            found.append(_match(Path(held.taxonomy).name or held.taxonomy, *known[pair.entry], pair))
    return found


def read_scopes(run: RunFolder) -> list[KeptScope]:
    """Read what benchmarks lack of their scopes, in the order of the run's benchmarks.

    Returns
    -------
    list of KeptScope
        Empty: none was kept.

    Raises
    ------
    UserError
        If a file is damaged.
    """
    order = {entry["name"]: i for i, entry in enumerate(run.manifest["benchmarks"])}
    found = []
    for file in files(run.path, SCOPES):
        held = read(file, HeldScope, "scope")
        if held.benchmark not in order or any(row.concept >= run.width for row in held.rows):
            raise damaged(file, "it names a benchmark or a concept that the run has not", "scope")
        counts = {name: getattr(held, name).count for name in ("covered", "under", "missing")}
        lacking = [KeptLack(**dict(row)) for row in held.rows]
        found.append(KeptScope(held.benchmark, held.clauses, held.alpha, held.bound, **counts, lacking=lacking))
    return sorted(found, key=lambda one: order[one.benchmark])


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
