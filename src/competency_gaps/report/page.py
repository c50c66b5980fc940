"""The figures and facts of a page, drawn from a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from competency_gaps.report import figures, quadrants
from competency_gaps.report.findings import Ranking, concept_name
from competency_gaps.report.protocol import RunView
from competency_gaps.report.svg import Floats
from competency_gaps.text import NOT_DEFINED, decimal, integer, magnitude, percent, plural, shorten, tenths

UNITS = {"alive": "1 = mean over alive concepts", "nonzero": "1 = mean where active", "none": "mean activation"}
"""What chi_bench is measured in, by the setting ``metrics.normaliser``."""

SMALL_FLOOR = 5.0
"""Least n_eff of a concept in the small multiples of performance."""

PERFORMANCE_AXIS = "Performance χ model (weighted mean score, 0 to 1)"


@dataclass(frozen=True)
class Drawn:
    """One figure of the page."""

    title: str
    caption: str
    svg: Markup


@dataclass(frozen=True)
class Small:
    """One panel of a set of small multiples."""

    name: str
    note: str
    svg: Markup


@dataclass(frozen=True)
class Fact:
    """One line of the run card."""

    name: str
    value: str
    note: str = ""


def unit(manifest: Mapping[str, Any]) -> str:
    """Say what chi_bench is measured in."""
    return UNITS[manifest["settings"].get("metrics", {}).get("normaliser", "alive")]


def coverage_axis(manifest: Mapping[str, Any]) -> str:
    """Name the axis of coverage, with its unit."""
    return f"Coverage χ bench (logarithmic; {unit(manifest)})"


def mark_note(manifest: Mapping[str, Any]) -> str:
    """Say what the line in the small multiples of coverage is."""
    return "χ bench is plain mean activation" if unit(manifest) == UNITS["none"] else f"line at 1 ({unit(manifest)})"


def floats(frame: pl.DataFrame, column: str) -> Floats:
    """Take a column as floats, null as NaN."""
    return frame[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def alive_count(run: RunView) -> int:
    """Count the concepts that are active somewhere in the reference text or the run."""
    return int(run.concepts["alive"].sum())


def concept_map(run: RunView, ranked: Ranking) -> Drawn:
    """Draw coverage against the adjusted gap of the tested concepts; the weak and the strong ones stand out."""
    frame = ranked.tested.filter(pl.col("chi_bench") > 0)
    coverage, gap = floats(frame, "chi_bench"), floats(frame, "gap")
    middle = float(np.median(coverage)) if coverage.size else 1.0
    reach = max(0.1, float(np.ceil(10 * np.abs(gap).max(initial=0.0)) / 10))
    drawn = quadrants.quadrant_map(
        coverage,
        gap,
        split=(middle, 0.0),
        x_title=coverage_axis(run.manifest),
        y_title="Net gap (0 = as comparable items)",
        named=_pointed_out(ranked),
        span=(-reach, reach),
        verdicts=[
            quadrants.Verdict(word, floats(part, "chi_bench"), floats(part, "gap"))
            for word, part in (("weak", ranked.weak), ("strong", ranked.strong))
        ],
    )
    caption = (
        f"{plural(frame.height, 'concept')} of {alive_count(run):,} alive: those tested (n_eff from {ranked.floor:g}). "
        f"The lines are the median coverage ({magnitude(middle)}) and no gap. Most dots near the middle line are no "
        "verdict: only coloured ones are gaps that stand up to the test; leaders of groups are named."
    )
    return Drawn("Coverage against performance", caption, drawn)


def _pointed_out(ranked: Ranking, top: int = 12) -> list[quadrants.Named]:
    ends = [(ranked.weak_leaders.head(top), 6), (ranked.strong_leaders.head(top), 4)]
    # A number says nothing to a reader: near the ends, concepts with a label go first.
    chosen = pl.concat([end.sort(pl.col("label").is_null(), maintain_order=True).head(few) for end, few in ends])
    return [
        quadrants.Named(row["concept"], concept_name(row), row["chi_bench"], row["gap"])
        for row in chosen.iter_rows(named=True)
    ]


def distributions(run: RunView, mean_score: float | None) -> list[Drawn]:
    """Draw the distributions of both scores over the alive concepts."""
    alive = run.concepts.filter(pl.col("alive"))
    count = alive.height
    coverage, performance = floats(alive, "chi_bench"), floats(alive, "chi_model")
    positive, defined = coverage[coverage > 0], performance[np.isfinite(performance)]
    median = float(np.median(positive)) if positive.size else None
    y_title = f"Concepts (of {count:,} alive)"
    first = figures.histogram(
        coverage,
        log=True,
        x_title=coverage_axis(run.manifest),
        y_title=y_title,
        mark=None if median is None else (median, f"median {magnitude(median)}"),
    )
    second = figures.histogram(
        performance,
        log=False,
        x_title=PERFORMANCE_AXIS,
        y_title=y_title,
        edges=np.linspace(0, 1, 41),
        mark=None if mean_score is None else (mean_score, f"benchmarks' mean {decimal(mean_score)}"),
    )
    absent, undefined = count - positive.size, count - defined.size
    return [
        Drawn(
            "How much each concept is tested",
            f"{plural(positive.size, 'concept')} drawn; {integer(absent)} of {count:,} have no coverage, and no "
            "place on a logarithmic axis.",
            first,
        ),
        Drawn(
            "How well the model does where it is active",
            f"{plural(defined.size, 'concept')} drawn; for {integer(undefined)} of {count:,} χ model is not defined.",
            second,
        ),
    ]


def multiples(run: RunView) -> tuple[list[Small], list[Small]]:
    """Draw both distributions for each benchmark, on the same axes throughout."""
    frame = run.concept_benchmarks.filter(pl.col("coverage_status").is_not_null())
    # One or two items can only average to 0, 1/2 or 1: such concepts would pile up there and flatten everything else.
    enough = frame.with_columns(chi_model=pl.when(pl.col("n_eff") >= SMALL_FLOOR).then(pl.col("chi_model")))
    parts = {str(key[0]): part for key, part in enough.group_by("benchmark")}
    edges = figures.bin_edges(floats(frame, "chi_bench"), log=True, bins=36)
    scale = np.linspace(0, 1, 31)
    means = dict(run.benchmarks.select("benchmark", "mean_score").iter_rows())
    coverage = {name: floats(parts.get(name, frame.clear()), "chi_bench") for name in means}
    performance = {name: floats(parts.get(name, frame.clear()), "chi_model") for name in means}
    highest = [
        max((float(figures.bin_shares(values, bins).max()) for values in many.values()), default=1.0)
        for many, bins in ((coverage, edges), (performance, scale))
    ]
    mark = None if unit(run.manifest) == UNITS["none"] else 1.0
    first, second = [], []
    for name, mean in means.items():
        shown, values = shorten(name, 60), performance[name]
        covered, defined = int((coverage[name] > 0).sum()), int(np.isfinite(values).sum())
        svg = figures.small_histogram(
            coverage[name], edges, log=True, highest=highest[0], x_title=f"χ bench in {shown}", mark=mark
        )
        first.append(Small(shown, f"{covered:,} concepts", svg))
        svg = figures.small_histogram(
            values, scale, log=False, highest=highest[1], x_title=f"χ model in {shown}", mark=mean
        )
        second.append(Small(shown, f"{defined:,} concepts", svg))
    return first, second


def missing_bars(run: RunView) -> Drawn:
    """Draw each benchmark's missing share, the narrowest benchmark first."""
    frame = (
        run.benchmarks.filter(pl.col("kept") > 0)
        .with_columns(part=pl.col("missing") / pl.col("alive"))
        .sort("part", "benchmark", descending=[True, False])
    )
    svg = figures.share_bars(
        [shorten(name, 60) for name in frame["benchmark"]],
        frame["missing"].to_numpy().astype(np.int64),
        frame["alive"].to_numpy().astype(np.int64),
        x_title="Missing concepts, % of alive concepts",
    )
    return Drawn(
        "What each benchmark never touches",
        "Concepts that are active in no item of the benchmark, out of the alive ones.",
        svg,
    )


def overlap_map(run: RunView) -> Drawn | None:
    """Draw how much two benchmarks test the same; None for fewer than two."""
    names = run.benchmarks["benchmark"].to_list()
    if len(names) < 2:
        return None
    place = {name: i for i, name in enumerate(names)}
    jaccard, cosine = (np.full((len(names), len(names)), np.nan) for _ in range(2))
    for row in run.overlap.iter_rows(named=True):
        a, b = place[row["benchmark_a"]], place[row["benchmark_b"]]
        for matrix, value in ((jaccard, row["jaccard"]), (cosine, row["cosine"])):
            matrix[a, b] = matrix[b, a] = np.nan if value is None else value
    shown = [shorten(name, 60) for name in names]
    svg = figures.heat_map(
        shown, jaccard, cosine, upper_name="Jaccard of covered concepts", lower_name="cosine of χ bench"
    )
    caption = (
        "Above the diagonal: which share of the concepts that either benchmark covers is covered by both (1 = the same "
        "set). Below: how alike their coverage profiles are (1 = proportional)."
    )
    return Drawn("How much the benchmarks overlap", caption, svg)


def run_card(manifest: Mapping[str, Any]) -> list[Fact]:
    """Say what was run, in the order in which the data flowed."""
    model, sae, gate, hook = (manifest[part] for part in ("model", "sae", "gate", "hook"))
    dead = gate.get("dead_share")
    figures_of_gate = [
        f"L0 {tenths(gate.get('l0'))}",
        f"explained variance {decimal(gate.get('explained_variance'))}",
        f"silent {NOT_DEFINED if dead is None else percent(dead, 1)} of {integer(sae['d_sae'])}",
        f"on {integer(gate.get('tokens'))} tokens",
    ]
    verdict = "passed" if gate.get("passed") else "failed, forced by the user" if gate.get("forced") else "failed"
    setting = "the paper's setting" if manifest.get("paper") else "this project's setting"
    return [
        Fact(
            "Model",
            str(model["name"]),
            f"{model['class']}, {model['layers']} layers × {integer(model['hidden_size'])}, {model['dtype']}",
        ),
        Fact("Weights", str(model["weights_sha256"])[:16], "sha256, first 16 digits"),
        Fact(
            "SAE",
            str(sae["name"]),
            f"{sae['architecture']}, {integer(sae['d_sae'])} concepts over {integer(sae['d_in'])} dimensions",
        ),
        Fact("Hook", str(hook["path"]), f"where the SAE reads the model: {hook['side']} of layer {hook['layer']}"),
        Fact("SAE gate", verdict, ", ".join(figures_of_gate)),
        Fact("Span", str(manifest["span"]), "the tokens of an item that count"),
        Fact("Pooling", str(manifest["pooling"]), "token activations to one per item"),
        Fact("Definitions", setting, f"created {manifest['created']}"),
    ]


def listing(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Flatten nested settings into dotted names and short values."""
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            lines += listing(value, f"{name}.")
        else:
            lines.append((shorten(name, 80), shorten(str(value), 200)))
    return lines
