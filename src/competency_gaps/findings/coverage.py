"""What the items of a run do not test: concepts that no item exercises, or few, by region and by benchmark.

Counted are concepts that a label describes: ranked (contextual) ones that are active somewhere. *Missing* and *thin*
are ``coverage_status`` of ``concepts.parquet`` and ``concept_benchmarks.parquet`` (``missing`` and ``under``). Beside a
count of missing concepts stands how many would be missing from as much ordinary text.

A benchmark need not test everything. Where it states its scope, the concepts are judged that belong to it: whose labels
are nearer to the scope, or one of its clauses, than all but :data:`LEVEL` of shuffled labels [ours].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

from competency_gaps.errors import UserError, nearest
from competency_gaps.findings.texts import Embed, clauses, embedding, judge, near
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.schemas import SCOPES

if TYPE_CHECKING:
    from competency_gaps.config import LLMConfig
    from competency_gaps.progress import Progress

LEVEL = 0.03
"""Share of shuffled labels that would belong to a scope."""
NAMED = 12
"""Concepts that are named of what a region or a scope lacks, at most."""
_READ_BY_PEOPLE = ("explained", "imported")
"""Kinds of labels that somebody wrote; others are words of exemplars."""


@dataclass(frozen=True)
class Lack:
    """A concept that items do not test, or hardly."""

    concept: int
    label: str | None
    status: Literal["missing", "thin"]
    """Missing: in no item. Thin: at most a quarter of its part of ordinary text (lift <= -2, or as set)."""
    chance_seen: float | None
    """Chance that as much ordinary text would show it, in [0, 1]; None: no reference."""


@dataclass(frozen=True)
class Covered:
    """How far the concepts of a region, a benchmark or a scope are tested."""

    name: str
    """Of the region or benchmark."""
    number: int | None
    """Of the region; None: it is none."""
    concepts: int
    """Counted concepts that belong to it."""
    missing: int
    thin: int
    """0 as well where the run has no reference statistics."""
    by_chance: float | None
    """How many would be missing from as much ordinary text; None: no reference."""
    lacking: tuple[Lack, ...]
    """At most :data:`NAMED` of them: missing ones first, those that ordinary text shows most surely."""


@dataclass(frozen=True)
class BenchmarkCoverage:
    """What a benchmark lacks."""

    all: Covered
    """Among all counted concepts."""
    description: str | None
    """What it states to test; None: nothing."""
    scope: Covered | None
    """Among the concepts that belong to what it states; None: it states nothing, or labels cannot be compared."""


@dataclass(frozen=True)
class Coverage:
    """What the items of a run, or of one of its benchmarks, do not test."""

    items: int
    """Kept items."""
    all: Covered
    regions: tuple[Covered, ...]
    """Those of the atlas' second level that lack most first; empty: the run has no atlas."""
    benchmarks: tuple[BenchmarkCoverage, ...]
    """In the run's order; only the one that was asked for."""
    counted: Literal["labelled", "automatic", "unlabelled"]
    """What is counted: concepts with a label that somebody wrote; where there is none, with words of exemplars; where
    the run has no labels, all ranked ones."""
    left_out: tuple[tuple[str, int], ...]
    """What stands for nothing: kinds of concepts (``dead``, ``token``, ``format``, ``unlabelled``, ...), and how
    many."""
    width: int
    """Concepts of the SAE."""
    reference: bool
    """Whether the SAE has reference statistics; without them nothing is known to be thin."""
    judged: Literal["embedding", "model"] | None
    """By what concepts belong to a scope: embedded labels, confirmed by a language model or not; None: no scope."""


def coverage(
    run: RunFolder,
    benchmark: str | None = None,
    description: str | None = None,
    *,
    llm: LLMConfig | None = None,
    progress: Progress | None = None,
) -> Coverage:
    """Say what a run's items do not test, as :meth:`competency_gaps.Run.coverage` describes."""
    stated = {str(entry["name"]): entry.get("scope") for entry in run.manifest["benchmarks"]}
    if benchmark is not None and benchmark not in stated:
        raise UserError(
            f"the run has no benchmark {benchmark!r}; it has {', '.join(stated)}.{nearest(benchmark, stated)}"
        )
    if description and benchmark is None:
        raise UserError("a description is of one benchmark: name it.")
    counted, base, left_out = _counted(run.concepts)
    own = run.concept_benchmarks.select("concept", "benchmark", "coverage_status", "chance_seen")
    by_name = {name: base.join(own.filter(pl.col("benchmark") == name), on="concept", how="left") for name in stated}
    asked = [benchmark] if benchmark is not None else list(stated)
    scopes = run.scopes
    if benchmark is not None and description:
        stated = {benchmark: description}
        scopes = scope_table(run.concepts, stated, embedding())
    inside = {} if scopes is None else _confirmed(run, scopes, base, stated, asked, llm, progress)
    whole = base.join(run.concepts.select("concept", "coverage_status", "chance_seen"), on="concept", how="left")
    shown = by_name[benchmark] if benchmark is not None else whole
    return Coverage(
        items=int(run.benchmarks.filter(pl.col("benchmark").is_in(asked))["kept"].sum()),
        all=_covered(shown, benchmark or "all benchmarks"),
        regions=_regions(run, shown),
        benchmarks=tuple(
            BenchmarkCoverage(
                _covered(by_name[name], name),
                stated[name],
                _covered(inside[name].join(by_name[name], on="concept"), name) if name in inside else None,
            )
            for name in asked
        ),
        counted=counted,
        left_out=left_out,
        width=run.width,
        reference=bool(run.manifest.get("reference")),
        judged=None if not inside else "embedding" if llm is None else "model",
    )


def scope_table(concepts: pl.DataFrame, stated: Mapping[str, str | None], embed: Embed) -> pl.DataFrame:
    """Tell by their labels which concepts belong to the scopes that benchmarks state.

    Parameters
    ----------
    concepts
        The run's table of concepts.
    stated
        What each benchmark claims to test; None: nothing.

    Returns
    -------
    polars.DataFrame
        Columns of ``schemas.SCOPES``: benchmark, concept; the nearest first. Empty without labels or scopes.
    """
    base = _counted(concepts)[1].filter(pl.col("label").is_not_null())
    queries = {name: clauses(text) for name, text in stated.items() if text}
    inside = near(queries, base["label"].to_list(), embed, LEVEL) if queries and base.height else {}
    rows = [(name, int(base["concept"][row])) for name, own in inside.items() for row in own]
    return pl.DataFrame(rows, schema=SCOPES, orient="row")


def _confirmed(
    run: RunFolder,
    scopes: pl.DataFrame,
    base: pl.DataFrame,
    stated: Mapping[str, str | None],
    asked: Sequence[str],
    llm: LLMConfig | None,
    progress: Progress | None,
) -> dict[str, pl.DataFrame]:
    """The concepts of each benchmark's scope, the nearest first, without those that a language model puts outside."""
    own = scopes.filter(pl.col("benchmark").is_in(asked)).join(base, on="concept", maintain_order="left")
    inside = own
    if llm is not None:
        pairs = [(str(stated[row["benchmark"]]), row["label"] or "") for row in own.iter_rows(named=True)]
        verdicts = pl.Series(judge(pairs, llm, run.path, progress), dtype=pl.String)
        inside = own.filter((verdicts != "outside").fill_null(True))
    return {
        name: inside.filter(pl.col("benchmark") == name).select("concept").with_row_index("nearness")
        for name in own["benchmark"].unique()
    }


def _counted(
    concepts: pl.DataFrame,
) -> tuple[Literal["labelled", "automatic", "unlabelled"], pl.DataFrame, tuple[tuple[str, int], ...]]:
    """What is counted, its concepts with their labels, and how many of each kind are not."""
    ranked = pl.col("alive") & pl.col("ranked")
    read = pl.col("label_kind").is_in(_READ_BY_PEOPLE).fill_null(False)
    counted: Literal["labelled", "automatic", "unlabelled"] = "unlabelled"
    chosen = ranked
    if concepts.select((ranked & read).any()).item():
        counted, chosen = "labelled", ranked & read
    elif concepts.select((ranked & pl.col("label").is_not_null()).any()).item():
        counted, chosen = "automatic", ranked & pl.col("label").is_not_null()
    why = (
        pl.when(~pl.col("alive")).then(pl.lit("dead")).when(ranked).then(pl.lit("unlabelled")).otherwise(pl.col("kind"))
    )
    rest = concepts.filter(~chosen).group_by(why.fill_null("other").alias("why")).len()
    left_out = tuple((str(name), int(n)) for name, n in rest.sort("len", descending=True).iter_rows())
    return counted, concepts.filter(chosen).select("concept", "label", "density"), left_out


def _regions(run: RunFolder, concepts: pl.DataFrame) -> tuple[Covered, ...]:
    """The regions of the second level: those first that surely lack the largest part of their concepts."""
    if run.regions is None:
        return ()
    names = dict(run.regions.select("region", "name").iter_rows())
    finest = run.concepts.select("concept", "region").join(run.regions.select("region", "parent"), on="region")
    joined = concepts.join(finest, on="concept")
    parts = [
        _covered(own, names[number], int(number)) for (number,), own in joined.group_by("parent", maintain_order=True)
    ]
    return tuple(sorted(parts, key=lambda part: (-_surely(part), part.number)))


def _surely(part: Covered) -> float:
    """Lower end of Wilson's interval for the part of its concepts that a region lacks; a thin one counts half."""
    n, p, z = part.concepts, (part.missing + part.thin / 2) / part.concepts, 1.96
    return (p + z * z / (2 * n) - z * ((p * (1 - p) + z * z / (4 * n)) / n) ** 0.5) / (1 + z * z / n)


def _covered(concepts: pl.DataFrame, name: str, number: int | None = None) -> Covered:
    """Count; missing concepts are named first: the nearest to a scope, else those that ordinary text shows most."""
    missing, thin = (concepts.filter(pl.col("coverage_status") == status) for status in ("missing", "under"))
    near_first = [(pl.col("nearness"), False)] if "nearness" in concepts.columns else []
    keys, down = zip(*near_first, ("chance_seen", True), ("density", True), ("concept", False), strict=True)
    lacking = pl.concat([own.sort(*keys, descending=list(down), nulls_last=True) for own in (missing, thin)])
    chance = concepts["chance_seen"].drop_nulls()
    return Covered(
        name,
        number,
        concepts.height,
        missing.height,
        thin.height,
        float((1 - chance).sum()) if len(chance) else None,
        tuple(
            Lack(number, label, "missing" if status == "missing" else "thin", chance)
            for number, label, status, chance in lacking.select("concept", "label", "coverage_status", "chance_seen")
            .head(NAMED)
            .iter_rows()
        ),
    )
