"""What the items of a run are about and what they do not test: by region of the atlas, and below it by concept.

A region's share is that of the items that lie in it, where repeats of a text count once; its interval is Wilson's, with
as many trials as there are independent items. Beside it stand the benchmarks that the map was made from, each of which
counts the same. *Likeness* of two benchmarks is Bhattacharyya's coefficient (1943) of their shares at level 2. A
benchmark need not test everything: where it states its scope, regions are judged that belong to it
(:mod:`~competency_gaps.concepts.scopes`).

A topic (a region of level 2) is missing where the stated scope names it and fewer than 1% of the items lie in it
(:data:`MIN_SHARE`), though they touch the coarse region around it. Without a scope it is missing where fewer than 1%,
or a tenth of the share in similar benchmarks (:data:`MISSING_RATIO`), lie in it, and these surely have more than twice
as many there: two of them, or the only one if it is :data:`CLOSE_LIKENESS`, and more than :data:`MIN_EXPECTED` in the
median [ours]. Similar are those most alike *in all other topics*, as what lacks one is unlike all that have it. The
benchmark's own row is left out, and of those that are nearly one (:data:`TWIN_LIKENESS`) all but one.

Counted concepts are those that a label describes: ranked (contextual) ones that are active somewhere. *Missing* and
*thin* ones are ``coverage_status`` of ``concepts.parquet`` and ``concept_benchmarks.parquet``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from competency_gaps.concepts.atlas import ORDINARY, members_of
from competency_gaps.concepts.scopes import LEVEL, scope_table
from competency_gaps.evidence.interval import wilson
from competency_gaps.evidence.sample import effective_sample
from competency_gaps.findings.redundancy import Redundancy
from competency_gaps.model.embed import embed_texts
from competency_gaps.runs.covariates import repeats
from competency_gaps.runs.open import RunFolder
from competency_gaps.util.errors import UserError, argument

THIN_RATIO = 2
"""A region is thin if its share is significantly below the benchmarks' mean by this factor; crowded: above."""
SIMILAR_BENCHMARKS = 3
MIN_LIKENESS = 0.5
"""Minimum likeness of similar benchmarks."""
TWIN_LIKENESS = 0.95
"""Two benchmarks with at least this likeness count as one when a third is compared with them."""
CLOSE_LIKENESS = 0.8
"""Minimum likeness at which a single similar benchmark is enough."""
SELF_LIKENESS = 0.9
"""A benchmark of the atlas with the same name and at least this likeness is the benchmark in question itself."""
MAX_TOPICS = 3
"""Maximum number of missing topics named, of absent concepts per topic, and of topics with these."""
MIN_OTHER_TOPICS = 0.1
"""Minimum share of other topics in a benchmark for it to be compared in these."""
COARSE_SHARE = 0.1
"""Share in similar benchmarks that a missing topic may need before its line says that the items are few."""
MIN_IN_SCOPE = 0.8
"""Minimum share of a benchmark's items in the regions of its scope for missing topics to be judged by the scope."""
MIN_SHARE = 0.01
"""Minimum share of a region that counts as tested: topics below it are missing."""
MISSING_RATIO = 0.1
"""Ratio to the share in similar benchmarks below which a topic is missing as well."""
MIN_EXPECTED = 0.05
"""Share of a topic in the median of similar benchmarks, from which its absence is worth a line: one that asks about
little else says nothing of the others."""
MAX_CONCEPTS = 12
"""Maximum number of concepts named that a region lacks."""
_READ_BY_PEOPLE = ("explained", "imported")
"""Kinds of labels that somebody wrote; others are made of exemplars' words."""


@dataclass(frozen=True)
class Lack:
    """A concept that items do not test, or hardly test."""

    concept: int
    label: str | None
    status: Literal["missing", "thin"]
    """Missing: in no item. Thin: at most a quarter of its part of ordinary text (lift <= -2, or as set)."""
    chance_seen: float | None
    """Chance that as much ordinary text would show it, in [0, 1]; None: no reference."""


@dataclass(frozen=True)
class Covered:
    """How far concepts are tested."""

    concepts: int
    """Number of counted concepts."""
    missing: int
    thin: int
    """Number of thin concepts; 0 also if the run has no reference statistics."""
    by_chance: float | None
    """Expected number of concepts missing from as much ordinary text; None: no reference."""
    lacking: tuple[Lack, ...]
    """At most :data:`MAX_CONCEPTS` of them: missing ones first, those that ordinary text shows most surely."""


@dataclass(frozen=True)
class RegionCoverage(Covered):
    """How far a region of the atlas is tested. Shares are of items, in [0, 1]."""

    region: int
    level: int
    """1 coarse, 2, 3 finest."""
    parent: int | None
    name: str
    items: int
    """Kept items in it, but for those that are unlike anything on the map."""
    share: float
    """Of all kept items; repeats count once."""
    low: float
    """Lower end of its interval of 95%."""
    high: float
    public: float
    """Mean share in the benchmarks of the atlas."""
    near: float
    """Mean share in the :data:`SIMILAR_BENCHMARKS` most similar benchmarks."""
    text: float | None
    """Share in ordinary text; None: the atlas has none."""
    status: Literal["missing", "thin", "crowded"] | None
    """Thin: significantly below half of ``public``; missing: thin, and in no item; crowded: significantly above
    twice."""


@dataclass(frozen=True)
class MissingTopic:
    """A region of level 2 that the items hardly touch, though their scope or similar benchmarks do."""

    region: int
    name: str
    items: int
    """Kept items in it."""
    scope_of: str | None
    """The benchmark whose scope names it; None: similar benchmarks ask it."""
    expected: float | None
    """Median share in ``similar``; None: the scope names it."""
    similar: tuple[str, ...]
    """Benchmarks most alike in all other topics; empty: the scope names it."""
    asked_by: tuple[str, ...]
    """Public benchmarks with the largest shares in it, at most :data:`MAX_TOPICS`."""


@dataclass(frozen=True)
class AbsentConcepts:
    """Concepts in no item, of a missing topic."""

    region: int
    name: str
    concepts: tuple[Lack, ...]
    """At most :data:`MAX_TOPICS`, whose labels passed detection."""


@dataclass(frozen=True)
class BenchmarkCoverage:
    """How a benchmark, or all of a run, spreads over the map."""

    name: str
    items: int
    """Kept items."""
    unlike: int
    """Items that are unlike anything on the map."""
    scope: str | None
    """What it states to test; None: nothing."""
    shares: tuple[float, ...]
    """Of each region, in the order of the regions."""
    nearest: tuple[tuple[str, float], ...]
    """Other benchmarks of the map that are most alike, and their likeness in [0, 1]."""
    inside: tuple[int, ...] | None
    """Regions that belong to its scope, the nearest first, or to those of all its benchmarks; None: it states none, or
    names cannot be compared."""
    within: bool
    """Whether enough of its items lie in ``inside`` (:data:`MIN_IN_SCOPE`) for the map to tell what its scope lacks; of
    several benchmarks, whether this is so of any."""
    detectable: float
    """Least share in similar benchmarks at which a topic without an item is missing: more with few items."""
    missing: tuple[MissingTopic, ...]
    """The most important first."""


@dataclass(frozen=True)
class Coverage:
    """What the items of a run, or of one of its benchmarks, are about and do not test."""

    whole: BenchmarkCoverage | None
    """Of all items that are asked about; None: the run has no atlas."""
    regions: tuple[RegionCoverage, ...]
    """All of all levels, in the atlas's order; empty: the run has no atlas."""
    benchmarks: tuple[BenchmarkCoverage, ...]
    """In the run's order; only the one that was asked for. Empty: the run has no atlas."""
    public: int
    """Benchmarks that the map was made from."""
    absent: tuple[AbsentConcepts, ...]
    """At most :data:`MAX_TOPICS`, of missing topics."""
    all: Covered
    """All counted concepts."""
    counted: Literal["labelled", "automatic", "unlabelled"]
    """What concepts are counted: those with a label that somebody wrote; where there is none, with words of exemplars;
    where the run has no labels, all ranked ones."""
    left_out: tuple[tuple[str, int], ...]
    """What stands for nothing: kinds of concepts (``dead``, ``token``, ``format``, ``unlabelled``, ...), and how
    many."""
    width: int
    """Concepts of the SAE."""
    reference: bool
    """Whether the SAE has reference statistics; without them no concept is known to be thin."""
    redundancy: Redundancy | None = None
    """Which parts add what the others do not measure; None: not asked, or too few parts or models."""


class Map:
    """The atlas's regions and the shares of its benchmarks in them. R regions, B benchmarks."""

    def __init__(self, regions: pl.DataFrame, counts: pl.DataFrame) -> None:
        self.regions = regions
        self.level = regions["level"].to_numpy()
        self.above = regions["parent"].fill_null(-1).to_numpy()
        self.below = members_of(self.above, np.arange(regions.height))
        """bool of shape (R, R): row r holds region r and all below it."""
        names = counts["benchmark"].unique().sort().to_list()
        counted = np.zeros((len(names), regions.height))
        for name, region, items in counts.select("benchmark", "region", "items").iter_rows():
            counted[names.index(name), region] = items
        shares = counted @ self.below.T / counted.sum(axis=1, keepdims=True)
        self.text = shares[names.index(ORDINARY)].tolist() if ORDINARY in names else [None] * regions.height
        """Shares of ordinary text; None: not known."""
        self.names = [name for name in names if name != ORDINARY] or names
        self.public = shares[[name in self.names for name in names]]
        """float64 of shape (B, R): shares of the map's benchmarks."""

    def similar(self, share: np.ndarray, asked: Sequence[str], topic: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of the benchmarks most alike in all other topics (:data:`SIMILAR_BENCHMARKS`), and their
        likeness.
        """
        level = self.level.copy()
        level[topic] = 0
        like = likeness(level, share, self.public)
        # What is about hardly anything else has no other topics to compare.
        like[self.is_itself(like, asked) | (self.public[:, topic] > 1 - MIN_OTHER_TOPICS)] = 0
        chosen: list[int] = []
        for row in np.argsort(-like, kind="stable").tolist():
            twins = likeness(self.level, self.public[row], self.public[np.array(chosen, int)]) >= TWIN_LIKENESS
            if like[row] >= MIN_LIKENESS and len(chosen) < SIMILAR_BENCHMARKS and not twins.any():
                chosen.append(row)
        rows = np.array(chosen, int)
        return rows, like[rows]

    def is_itself(self, like: np.ndarray, asked: Sequence[str]) -> np.ndarray:
        """Return which rows are a benchmark in question itself, by name and likeness: bool of shape (B,)."""
        return np.isin(self.names, asked) & (like >= SELF_LIKENESS)

    def missing(
        self, share: np.ndarray, high: np.ndarray, asked: Sequence[str], inside: Sequence[int] | None, *, within: bool
    ) -> list[tuple[int, float | None, list[str]]]:
        """Return missing topics, the most important first: region, share in similar benchmarks, and names of these.

        Parameters
        ----------
        share, high : ndarray of shape (R,)
            Shares of the items, and the upper ends of their intervals.
        asked
            Names of the benchmarks in question: their rows of the atlas are left out.
        inside, within
            As in :class:`BenchmarkCoverage`.
        """
        topics = np.flatnonzero((self.level == LEVEL) & (share[self.above] >= MIN_SHARE)).tolist()
        if inside:
            topics = [topic for topic in inside if topic in topics]
        if within:
            return [(topic, None, []) for topic in topics if share[topic] < MIN_SHARE]
        topics_missing = list[tuple[int, float | None, list[str]]]()
        for topic in topics:
            rows, like = self.similar(share, asked, topic)
            shares, least = self.public[rows, topic], THIN_RATIO * high[topic]
            ask, usual = shares > least, float(np.median(shares)) if len(rows) else 0.0
            several = ask.sum() >= 2 or (len(rows) == 1 and ask[0] and like[0] >= CLOSE_LIKENESS)
            if several and usual > max(least, MIN_EXPECTED) and share[topic] < max(MIN_SHARE, MISSING_RATIO * usual):
                topics_missing.append((topic, usual, [self.names[row] for row in rows]))
        return sorted(topics_missing, key=lambda topic: -(topic[1] or 0))

    def asked_by(self, topic: int, asked: Sequence[str]) -> tuple[str, ...]:
        """Return the names of other benchmarks with a topic, those with the largest shares first."""
        shares = np.where(np.isin(self.names, asked), 0, self.public[:, topic])
        least = max(MIN_EXPECTED, shares.max() / 3)
        order = np.argsort(-shares, kind="stable").tolist()
        return tuple(self.names[row] for row in order[:MAX_TOPICS] if shares[row] >= least)


def likeness(level: ArrayLike, shares: ArrayLike, others: ArrayLike) -> np.ndarray:
    """Return the likeness of a benchmark to one or more others, in [0, 1], from shares of shape (R,) and (..., R)."""
    middle = np.asarray(level) == LEVEL
    root, other = (np.sqrt(np.asarray(values)[..., middle]) for values in (shares, others))
    return np.asarray(other @ root / np.maximum(np.linalg.norm(other, axis=-1) * np.linalg.norm(root), 1e-9))


def _spread(
    run: RunFolder, map_: Map, asked: Sequence[str], name: str, scope: str | None, inside: tuple[int, ...] | None
) -> tuple[BenchmarkCoverage, dict[str, np.ndarray]]:
    """Return how some benchmarks together are spread over the atlas, and each region's items, share and interval.

    The number of independent items is (sum W)^2 / sum W^2 over clusters, W a cluster's items or, for repeats, 1.
    """
    places = run.item_regions
    assert places is not None
    kept = (run.items["excluded"].is_null() & run.items["benchmark"].is_in(asked)).to_numpy()
    _, cluster, size = np.unique(run.items["cluster"].to_numpy()[kept], return_inverse=True, return_counts=True)
    weight = np.where(repeats(run.items)[kept], 1 / size[cluster], 1.0)
    whole = np.bincount(cluster, weight)
    located = ~places["unlike"].to_numpy()[kept].astype(bool)
    region, count = places["region"].to_numpy()[kept][located].astype(int), len(map_.level)
    items = np.bincount(region, minlength=count) @ map_.below.T
    share = np.bincount(region, weight[located], count) @ map_.below.T / max(whole.sum(), 1e-9)
    units = max(float(effective_sample(whole.sum(), (whole**2).sum())), 1e-9)
    low, high = wilson(share, np.full(count, units), 0.95)
    like_ = likeness(map_.level, share, map_.public)
    like_ = np.where(map_.is_itself(like_, asked), -1, like_)
    nearest_ = [(map_.names[at], float(like_[at])) for at in np.argsort(-like_, kind="stable")[:SIMILAR_BENCHMARKS]]
    within = bool(inside) and float(share[list(inside or ())].sum()) >= MIN_IN_SCOPE
    missing = tuple(
        MissingTopic(
            topic,
            map_.regions["name"][topic],
            int(items[topic]),
            name if expected is None else None,
            expected,
            tuple(similar),
            map_.asked_by(topic, asked),
        )
        for topic, expected, similar in map_.missing(share, high, asked, inside, within=within)
    )
    counts, alike = (int(kept.sum()), int((~located).sum())), tuple(nearest_)
    detectable = max(MIN_EXPECTED, THIN_RATIO * float(wilson(np.zeros(1), np.array([units]), 0.95)[1][0]))
    of_benchmark = BenchmarkCoverage(
        name, *counts, scope, tuple(share.tolist()), alike, inside, within, detectable, missing
    )
    return of_benchmark, {"items": items, "share": share, "low": low, "high": high}


def coverage(run: RunFolder, benchmark: str | None = None, description: str | None = None) -> Coverage:
    """Return what a run's items are about and do not test; see :meth:`competency_gaps.Run.coverage`."""
    run.check_reading("Coverage")
    stated = {str(entry["name"]): entry.get("scope") for entry in run.manifest["benchmarks"]}
    if benchmark is not None:
        run.benchmark_entry(benchmark)
    if description and benchmark is None and len(stated) == 1:
        benchmark = next(iter(stated))
    if description and benchmark is None:
        raise UserError(f"a description is of one benchmark: name it ({argument('benchmark')}).")
    asked = [benchmark] if benchmark is not None else list(stated)
    map_ = None if run.regions is None or run.region_counts is None else Map(run.regions, run.region_counts)
    if description and map_ is None:
        raise UserError("the run has no atlas to find a description on: name it by a dictionary that has one.")
    scopes = run.scopes
    if map_ is not None and benchmark is not None and description:
        stated = {benchmark: description}
        scopes = scope_table(map_.regions, stated, embed_texts)
    inside = (
        {}
        if scopes is None
        else {name: tuple(scopes.filter(benchmark=name)["region"]) for name in asked if stated[name]}
    )
    counted, base, left_out = _counted(run.concepts)
    table = run.concepts if benchmark is None else run.concept_benchmarks.filter(pl.col("benchmark") == benchmark)
    concepts = base.join(table.select("concept", "coverage_status", "chance_seen"), on="concept", how="left")
    lacking = _lacking(concepts)
    whole, parts, regions = None, list[BenchmarkCoverage](), tuple[RegionCoverage, ...]()
    if map_ is not None:
        spread = [_spread(run, map_, [name], name, stated[name], inside.get(name)) for name in asked]
        parts = [part for part, _ in spread]
        if len(asked) > 1:
            spread = [_spread(run, map_, asked, f"All {len(asked)} benchmarks", None, None)]
            if any(part.within for part in parts):
                spread = [(_joined(spread[0][0], parts), spread[0][1])]
        whole, own_shares = spread[0]
        regions = _regions(map_, whole, own_shares, concepts, lacking)
    return Coverage(
        whole,
        regions,
        tuple(parts),
        0 if map_ is None else len(map_.names),
        () if map_ is None or whole is None else _absent(map_, whole, lacking),
        _covered(concepts, lacking),
        counted,
        left_out,
        run.width,
        bool(run.manifest.get("reference")),
    )


def _joined(whole: BenchmarkCoverage, parts: Sequence[BenchmarkCoverage]) -> BenchmarkCoverage:
    """Return the coverage of several benchmarks, where a topic in the scope of one is missing if none of them has
    it.
    """
    topics = {topic.region: topic for part in parts if part.within for topic in part.missing}
    missing = [topic for topic in topics.values() if whole.shares[topic.region] < MIN_SHARE]
    return replace(whole, within=True, missing=tuple(missing))


def _regions(
    map_: Map, whole: BenchmarkCoverage, spread: dict[str, np.ndarray], concepts: pl.DataFrame, lacking: pl.DataFrame
) -> tuple[RegionCoverage, ...]:
    mean, thin = map_.public.mean(axis=0), spread["high"] < map_.public.mean(axis=0) / THIN_RATIO
    status = np.select(
        [thin & (spread["items"] == 0), thin, spread["low"] > mean * THIN_RATIO], ["missing", "thin", "crowded"], ""
    )
    nearest_ = map_.public[[map_.names.index(name) for name, _ in whole.nearest]].mean(axis=0)
    beside = {**spread, "public": mean, "near": nearest_}
    regions = []
    for row in map_.regions.select("region", "level", "parent", "name").iter_rows(named=True):
        at = row["region"]
        below = pl.col("region").is_in(np.flatnonzero(map_.below[at]))
        values: dict[str, Any] = {key: column[at].item() for key, column in beside.items()}
        regions.append(
            RegionCoverage(
                **vars(_covered(concepts.filter(below), lacking.filter(below))),
                **row,
                **values,
                text=map_.text[at],
                status=status[at].item() or None,
            )
        )
    return tuple(regions)


def _counted(
    concepts: pl.DataFrame,
) -> tuple[Literal["labelled", "automatic", "unlabelled"], pl.DataFrame, tuple[tuple[str, int], ...]]:
    """Return which concepts are counted (in a word), their rows with labels, and how many of each kind are not."""
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
    return counted, concepts.filter(chosen).select("concept", "label", "label_scored_by", "density", "region"), left_out


def _lacking(concepts: pl.DataFrame) -> pl.DataFrame:
    """Return missing concepts, those most likely to occur in ordinary text first, then thin ones."""
    order = pl.col("coverage_status").replace_strict({"missing": 0, "under": 1}, default=None)
    lacking = concepts.filter(pl.col("coverage_status").is_in(["missing", "under"]))
    return lacking.sort(order, -pl.col("chance_seen"), -pl.col("density"), "concept", nulls_last=True)


def _covered(concepts: pl.DataFrame, lacking: pl.DataFrame) -> Covered:
    chance = concepts["chance_seen"].drop_nulls()
    missing = int((lacking["coverage_status"] == "missing").sum())
    return Covered(
        concepts.height,
        missing,
        lacking.height - missing,
        float((1 - chance).sum()) if len(chance) else None,
        _lacks(lacking.head(MAX_CONCEPTS)),
    )


def _lacks(rows: pl.DataFrame) -> tuple[Lack, ...]:
    columns = rows.select("concept", "label", "coverage_status", "chance_seen")
    return tuple(
        Lack(number, label, "missing" if status == "missing" else "thin", chance)
        for number, label, status, chance in columns.iter_rows()
    )


def _absent(map_: Map, whole: BenchmarkCoverage, lacking: pl.DataFrame) -> tuple[AbsentConcepts, ...]:
    """Return absent concepts of missing topics."""
    proven = lacking.filter(coverage_status="missing", label_scored_by="detection")
    absent = []
    for topic in whole.missing[:MAX_TOPICS]:
        rows = proven.filter(pl.col("region").is_in(np.flatnonzero(map_.below[topic.region]))).head(MAX_TOPICS)
        if rows.height:
            absent.append(AbsentConcepts(topic.region, topic.name, _lacks(rows)))
    return tuple(absent)


def rarer(report: Coverage) -> list[RegionCoverage]:
    """Return topics that are significantly less than half as frequent as in similar benchmarks, the largest there
    first.
    """
    if report.whole is None or report.whole.nearest[0][1] < MIN_LIKENESS:
        return []
    rare = [part for part in report.regions if part.level == LEVEL and part.high < part.near / THIN_RATIO]
    rare = [part for part in rare if part.parent is None or report.regions[part.parent].share >= MIN_SHARE]
    return sorted(rare, key=lambda part: -part.near)
