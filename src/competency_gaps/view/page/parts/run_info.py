"""``run.json``: all of a run that is small."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl

from competency_gaps.runs.manifest import read_assessment
from competency_gaps.util.text import integer, percent, shorten
from competency_gaps.view import columns, facts
from competency_gaps.view.page.parts.context import Context
from competency_gaps.view.page.parts.names import scored_of
from competency_gaps.view.page.parts.records import from_row, names
from competency_gaps.view.page.parts.records.run import (
    AssociationTest,
    BenchmarkSummary,
    Overlap,
    Region,
    RobustnessTest,
    RunInfo,
)
from competency_gaps.view.page.parts.tables import BENCHMARK
from competency_gaps.view.robustness_words import in_words
from competency_gaps.view.words import alike

_NAME_LIMIT = 120


def run_info(context: Context) -> RunInfo:
    """Return ``run.json``, which a page shows first."""
    manifest, assessment = context.manifest, read_assessment(context.run.path)
    verdicts = None
    if assessment is not None:
        verdicts = [from_row(RobustnessTest, in_words(verdict)) for verdict in assessment["verdicts"]]
    models, shown = context.model_scores.models, columns.present(_COLUMNS, context.run.concepts)
    labelled = context.run.concepts["label"].null_count() < context.run.concepts.height
    speaks = {"regions": context.run.regions is not None, "labelled": labelled, "lists": bool(context.lists)}
    return RunInfo(
        key=context.key,
        created=str(manifest["created"]),
        scored=scored_of(context.run),
        models=context.model_names,
        model=models.index(context.run.scored_model) if context.run.scored_model in models else 0,
        sae=str(manifest["sae"]["name"]) if manifest["sae"] else None,
        sae_sha256=manifest["sae"].get("weights_sha256") if manifest["sae"] else None,
        width=context.run.width,
        items=context.items.height,
        concepts_per_part=context.concepts_per_part,
        items_per_part=context.items_per_part,
        redacted=not context.texts,
        cut_items=context.cut_items,
        has_tokens=context.run.has_token_activations,
        has_matches=bool(context.lists),
        evidence=from_row(AssociationTest, manifest["evidence"], alike=alike(manifest["evidence"])),
        regions=_regions(context),
        # A concept's name needs no explanation.
        glossary=columns.glossary(
            [entry for entry in shown if entry is not columns.LABEL], manifest["evidence"], **speaks
        ),
        verdicts=verdicts,
        card=_card(context),
        command=shorten(manifest["command"], 1000),
        versions=facts.listing(manifest["versions"]),
        settings=facts.listing(manifest["settings"]),
        benchmarks=_benchmarks(context),
        columns=shown,
        per_benchmark=BENCHMARK,
        overlap=_overlap(context),
    )


def _card(context: Context) -> list[facts.Fact]:
    """The report's run card, and what else decides about the figures."""
    run, manifest = context.run, context.manifest
    evidence, reference = manifest["evidence"], manifest.get("reference")
    labelled = facts.dictionary_fact(context.manifest, context.run.concepts)
    if not reference:
        base = facts.Fact("Reference", "none", "no lift, and alive means active in this run")
    else:
        kind = "base rates for lift and kinds" if reference.get("lift") else "for kinds only: the span has no lift"
        base = facts.Fact("Reference", str(reference.get("name")), kind)
    tested = context.run.concepts.filter(pl.col("ranked") & pl.col("q_value").is_not_null()).height
    tests = facts.Fact(
        "Tests",
        f"{integer(tested)} concepts",
        f"n_eff of at least {evidence['min_n_eff']:g}; false-discovery rate {percent(evidence['q'], 1)}; "
        f"{percent(evidence['level'], 1)} intervals; seed {evidence.get('seed', 0)}",
    )
    seconds = sum(manifest["timings"].values())
    longest = ", ".join(f"{name} {value:,.0f} s" for name, value in manifest["timings"].items())
    lines = [
        *facts.run_card(manifest),
        base,
        tests,
        *([labelled] if labelled else []),
        facts.Fact("Time", f"{seconds:,.0f} s", longest),
        facts.Fact("Folder", context.shown(run.shown_path.resolve())),
    ]
    return [facts.Fact(fact.name, shorten(fact.value, 200), shorten(fact.note, 300)) for fact in lines]


def _benchmarks(context: Context) -> list[BenchmarkSummary]:
    """The benchmarks with their counts, warnings and figures, in the order of the run."""
    manifest, benchmarks = context.manifest, []
    rows = {row["benchmark"]: row for row in context.run.benchmarks.iter_rows(named=True)}
    tested = manifest["evidence"].get("benchmarks") or {}
    for entry in manifest["benchmarks"]:
        row, counts = rows[entry["name"]] | _scored_by_others(context, entry["name"]), tested.get(entry["name"], {})
        benchmarks.append(
            from_row(
                BenchmarkSummary,
                row,
                name=shorten(str(entry["name"]), _NAME_LIMIT),
                **{name: int(counts.get(name, 0)) for name in ("tested", "failure", "success")},
                scorer=str(entry.get("scorer") or ""),
                scope=entry.get("scope"),
                warnings=facts.source_warnings(entry),
                figures=facts.benchmark_lines(manifest, entry["name"]),
                left_out=facts.unread(entry["left_out"]),
            )
        )
    return benchmarks


def _scored_by_others(context: Context, benchmark: str) -> dict[str, float | None]:
    """Scored items and mean score where all scores are other models': each of these counts the same."""
    if context.run.own_model is not None or not context.model_scores.models:
        return {}
    values = context.model_scores.values[:, (context.items["benchmark"] == benchmark).to_numpy()]
    known = ~np.isnan(values)
    means = np.nansum(values, axis=1)[known.any(axis=1)] / known.sum(axis=1)[known.any(axis=1)]
    return {"scored": int(known.any(axis=0).sum()), "mean_score": float(means.mean()) if len(means) else None}


_COLUMNS = (
    *(columns.LABEL, columns.ASSOCIATION, columns.PLAIN_ASSOCIATION, columns.PERFORMANCE_STATUS, columns.PERFORMANCE),
    *(columns.Q_VALUE, columns.COVERAGE, columns.LIFT, columns.STATUS, columns.CHANCE, columns.SUPPORT, columns.N_EFF),
    *(columns.N_BENCHMARKS, columns.DENSITY, columns.LABEL_SCORE, columns.PEAK, columns.KIND, columns.LEXICAL),
    columns.COHERENCE,
)
"""In the order in which they are read."""


def _regions(context: Context) -> list[Region]:
    """The regions of the atlas, in their order, with how many concepts hang in each and below it."""
    run = context.run
    if run.regions is None:
        return []
    rows = run.regions.select("region", "level", "parent", "name", "kind", "x", "y").to_dicts()
    concepts = Counter(run.concepts["region"].drop_nulls().to_list())
    for row in reversed(rows):
        concepts[row["parent"]] += concepts[row["region"]]
    return [
        from_row(Region, row, name=shorten(name, _NAME_LIMIT), concepts=concepts[row["region"]])
        for row, name in zip(rows, context.region_names, strict=True)
    ]


def _overlap(context: Context) -> Overlap:
    """Return the matrices of how similar two benchmarks are."""
    rows = context.run.overlap.rows_by_key(["benchmark_a", "benchmark_b"], named=True, unique=True)
    shown = context.names if context.run.has_reading else []
    return Overlap(**{name: [[rows[a, b][name] for b in shown] for a in shown] for name in names(Overlap)})
