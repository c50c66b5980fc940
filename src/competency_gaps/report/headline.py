"""A run in a few sentences, each opening with its number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from competency_gaps.report.columns import GAP, THEME_GAP
from competency_gaps.report.findings import Ranking, concept_name
from competency_gaps.report.protocol import RunView
from competency_gaps.report.themes import Themes, read_run_themes, theme_name
from competency_gaps.text import decimal, integer, percent, plural, share_of, shorten, show_token, tenths


@dataclass(frozen=True)
class Finding:
    """One sentence of the headline."""

    number: str
    """The figure that opens it."""
    sentence: str
    """The rest, with the denominators."""
    tone: str = ""
    """``weak`` or ``strong`` where the finding speaks of performance."""
    about: str = ""
    """What it speaks of: ``score``, ``exercised``, ``missing``, ``narrowest`` (benchmark), ``concentration``,
    ``overlap``, ``themes``, ``weak``, ``strong``, or ``lacking`` (of its own subject)."""
    subject: str | None = None
    """Name of the benchmark that it is about; null: it is about the whole run, or about several."""


@dataclass(frozen=True)
class Overview:
    """Counts of a run, all over the same denominators."""

    model: str
    benchmarks: int
    items: int
    excluded: int
    scored: int
    unscored: int
    """Kept, but without a score."""
    mean_score: float | None
    """Over scored items, each counted once; null where none is scored."""
    d_sae: int
    alive: int
    exercised: int
    """Concepts active in at least one kept item."""
    missing: int
    """Alive concepts missing in every benchmark."""
    ranked: int
    reference: bool
    """Whether a reference text was read."""


def overview(run: RunView) -> Overview:
    """Count what the sentences speak of."""
    items, concepts = run.items, run.concepts
    kept = items.filter(pl.col("excluded").is_null())
    scores = kept["score"].drop_nulls()
    alive = concepts.filter(pl.col("alive"))
    return Overview(
        model=shorten(short_name(str(run.manifest["model"]["name"])), 80),
        benchmarks=run.benchmarks.height,
        items=items.height,
        excluded=items.height - kept.height,
        scored=scores.len(),
        unscored=kept.height - scores.len(),
        mean_score=float(scores.to_numpy().mean()) if scores.len() else None,
        d_sae=concepts.height,
        alive=alive.height,
        exercised=int((~alive["missing"]).sum()),
        missing=int(alive["missing"].sum()),
        ranked=int(concepts["ranked"].sum()),
        reference=bool(run.manifest.get("reference")),
    )


def short_name(name: str) -> str:
    """Keep the last part of a folder's path; a name of the hub (``owner/model``) stays whole."""
    name = name.removeprefix("embedded:")
    return name.rstrip("/").rsplit("/", 1)[-1] if name.startswith(("/", ".", "~")) else name


def question(view: Overview) -> str:
    """Give the question that the report answers."""
    return questions(view)[0]


def questions(view: Overview) -> tuple[str, str]:
    """Give the question as it reads to who asks about the model first, and to who asks about the benchmarks first."""
    one = view.benchmarks == 1
    do, suite = ("does", "benchmark") if one else ("do", f"{view.benchmarks} benchmarks")
    if view.mean_score is None:
        # Without a score nothing is known of the model's performance, so nothing is asked of it.
        coverage = f"What {do} the {suite} that {view.model} read fail to test?"
        return coverage, coverage
    return (
        f"Where is {view.model} weak, and what {do} its {suite} fail to test?",
        f"What {do} the {suite} of {view.model} fail to test, and where is it weak?",
    )


def findings(run: RunView, view: Overview, ranked: Ranking) -> list[Finding]:
    """Write the headline, the most general finding first."""
    found = [
        _score(view),
        _exercised(view),
        _missing(view),
        *_least_complete(run, view),
        *_concentration(run, view),
        *_overlap(run),
    ]
    if view.mean_score is None:
        return found
    return [*found, *_weak_themes(read_run_themes(run)), *_verdicts(ranked)]


def _weak_themes(themes: Themes | None) -> list[Finding]:
    if themes is None:
        return []
    if not themes.tested:
        return [Finding("N/A", f"No theme could be tested, of {themes.themes.height:,}.", about="themes")]
    weak = themes.weak
    text = f"of {themes.tested:,} tested themes {'is' if weak.height == 1 else 'are'} weak"
    if weak.height:
        named = [
            f"“{shorten(theme_name(row), 60)}” (gap {THEME_GAP.cell(row)}; {row['weak_concepts']:,} of "
            f"{row['ranked']:,} concepts weak)"
            for row in weak.head(2).iter_rows(named=True)
        ]
        text += f", above all {' and '.join(named)}" if weak.height > 1 else f": {named[0]}"
    return [Finding(integer(weak.height), text + ".", "weak" if weak.height else "", "themes")]


def _verdicts(ranked: Ranking) -> list[Finding]:
    if not ranked.tested.height:
        text = (
            f"No concept could be tested for being weak or strong: none has an n_eff of {ranked.floor:g} "
            "(effective sample size, in equally weighted items) and scores that vary."
        )
        return [Finding("N/A", text, about="weak")]
    return [_verdict(ranked, "weak"), _verdict(ranked, "strong")]


def _verdict(ranked: Ranking, which: str) -> Finding:
    frame, side = (ranked.weak, "below") if which == "weak" else (ranked.strong, "above")
    leading = ranked.weak_leaders if which == "weak" else ranked.strong_leaders
    text = (
        f"of {ranked.tested.height:,} tested concepts are {which}: {side} their benchmarks' average, at a "
        f"false-discovery rate of {percent(ranked.q, 1)}"
    )
    if frame.height:
        text += f", in {plural(leading.height, 'group')} whose concepts share their items"
        row = leading.row(0, named=True)
        peak = "" if row["label"] or not row["peak_token"] else f" (peak token {show_token(row['peak_token'])})"
        extreme = "weakest" if which == "weak" else "strongest"
        # n_eff is explained once, where it is first used.
        explained = which == "strong" and ranked.weak.height
        meaning = "" if explained else ": effective sample size, in equally weighted items"
        text += (
            f". The {extreme} group is led by “{shorten(concept_name(row), 80)}”{peak} with a gap of {GAP.cell(row)} "
            f"(active in {plural(row['support'], 'item')}, n_eff {tenths(row['n_eff'])}{meaning})"
        )
    return Finding(integer(frame.height), text + ".", which if frame.height else "", which)


def _score(view: Overview) -> Finding:
    rest = ""
    if view.excluded or view.unscored:
        rest = f"; {integer(view.excluded)} excluded and {integer(view.unscored)} unscored are left out"
    over = f"{plural(view.items, 'item')} over {plural(view.benchmarks, 'benchmark')}"
    if view.mean_score is None:
        return Finding("N/A", f"None of {over} is scored: this run speaks of coverage only{rest}.", about="score")
    text = f"is the mean score of {view.model} on {view.scored:,} of {over} (each item counts once{rest})."
    return Finding(percent(view.mean_score, 1), text, about="score")


def _exercised(view: Overview) -> Finding:
    text = (
        f"of the SAE's {view.d_sae:,} concepts are exercised by at least one item: {view.exercised:,}, which is "
        f"{percent(view.exercised, view.alive)} of the {view.alive:,} that are alive."
    )
    return Finding(percent(view.exercised, view.d_sae), text, about="exercised")


def _missing(view: Overview) -> Finding:
    text = (
        f"alive concepts are missing in every benchmark ({percent(view.missing, view.alive)} of {view.alive:,} alive)."
    )
    if not view.reference:
        text += " No reference text was read, so alive means active in this run, and none can be missing everywhere."
    return Finding(integer(view.missing), text, about="missing")


def _least_complete(run: RunView, view: Overview) -> list[Finding]:
    if view.benchmarks < 2:
        return []
    shares = (
        run.benchmarks.filter(pl.col("kept") > 0)
        .with_columns(part=pl.col("missing") / pl.col("alive"))
        .sort("part", "benchmark")
    )
    if shares.height < 2:
        return []
    least, most = shares.row(-1, named=True), shares.row(0, named=True)
    number = percent(least["missing"], least["alive"])
    if least["part"] == most["part"]:
        text = (
            f"of alive concepts are missing in each of the {shares.height} benchmarks: all miss "
            f"{least['missing']:,} of {least['alive']:,}."
        )
        return [Finding(number, text, about="narrowest")]
    tied = shares.filter(pl.col("part") == least["part"]).height
    text = (
        f"of alive concepts are missing in {shorten(least['benchmark'], 60)}, "
        f"{'the narrowest benchmark' if tied == 1 else f'one of the {tied} narrowest benchmarks'}: "
        f"{least['missing']:,} of {least['alive']:,}; the broadest, "
        f"{shorten(most['benchmark'], 60)}, misses {share_of(most['missing'], most['alive'])}."
    )
    return [Finding(number, text, about="narrowest", subject=least["benchmark"])]


def _concentration(run: RunView, view: Overview) -> list[Finding]:
    coverage = np.sort(run.concepts.filter(pl.col("alive"))["chi_bench"].fill_null(0.0).to_numpy())[::-1]
    if coverage.sum() <= 0:
        return []
    half = int(np.searchsorted(np.cumsum(coverage), coverage.sum() / 2)) + 1
    text = (
        f"{'concept carries' if half == 1 else 'concepts carry'} half of all coverage, flagged ones among them: "
        f"{percent(half, view.alive)} of {view.alive:,} alive."
    )
    return [Finding(integer(half), text, about="concentration")]


def _overlap(run: RunView) -> list[Finding]:
    # A pair may be listed once or in both orders.
    pairs = run.overlap.filter(pl.col("jaccard").is_not_null() & (pl.col("benchmark_a") != pl.col("benchmark_b")))
    pairs = pairs.with_columns(both=pl.concat_list("benchmark_a", "benchmark_b").list.sort()).unique(
        "both", keep="first", maintain_order=True
    )
    pairs = pairs.sort("jaccard", maintain_order=True)
    if pairs.is_empty():
        return []
    low, high = pairs.row(0, named=True), pairs.row(-1, named=True)
    most, least = (f"{shorten(pair['benchmark_a'], 40)} and {shorten(pair['benchmark_b'], 40)}" for pair in (high, low))
    text = f"of the concepts that {most} cover are covered by both (Jaccard {decimal(high['jaccard'])})"
    if pairs.height > 1 and low["jaccard"] == high["jaccard"]:
        text += f"; so it is of all {pairs.height} pairs"
    elif pairs.height > 1:
        text += f", the closest pair; the furthest, {least}, share {percent(low['jaccard'], 1)}"
    return [Finding(percent(high["jaccard"], 1), text + ".", about="overlap")]
