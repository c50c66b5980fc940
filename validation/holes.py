"""Take a topic out of a benchmark: is it the one that coverage calls missing?

    python validation/holes.py [RUN ...]

Draws 20 public benchmarks of the bundled atlas with one of their topics (5% to 50% of the items) that at least two of
the similar benchmarks, or the only close one, ask about (2% of their items; 5% in the mean). The benchmark's own row is
left out of the comparison, as are those that are nearly one with it; its items of the topic are taken out, and as many
random items for comparison. The table counts how often the topic is among the first three, with the hole and without,
and how often random removal leaves these three as they are; for the drawn ones, all such topics, all topics of 5% to
50% whether or not others ask about them, and such topics of the runs' benchmarks. Then the drawn ones again with some
of the topic's items left behind, and with fewer items. Last, 18 public benchmarks with a scope that was written for
each: how many are met by their items, and of these, how many are said to miss a topic, which nobody took out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from competency_gaps.concepts.scopes import scope_table
from competency_gaps.evidence.interval import wilson
from competency_gaps.findings.coverage import (
    CLOSE_LIKENESS,
    LEVEL,
    MAX_TOPICS,
    MIN_IN_SCOPE,
    MIN_LIKENESS,
    SIMILAR_BENCHMARKS,
    TWIN_LIKENESS,
    Map,
    likeness,
)
from competency_gaps.model.embed import embed_texts

PACK = Path("src/competency_gaps/embedded/packs/smollm2-135m-instruct-l15-8k")
DRAWN, SEED = 20, 0
PART = (0.05, 0.5)
"""Least and largest part of a benchmark that is taken out."""
LEAKS = (0.02, 0.05, 0.1)
"""Parts of a topic's items that are left behind."""
SIZES, REPEATS = (30, 50, 100, 200), 20
SCOPES = {
    "arc_challenge": "science: biology, physics, chemistry, earth science",
    "arc_easy": "grade-school science questions",
    "arena_hard": "difficult requests of users: coding, mathematics, writing",
    "bbh_date_understanding": "calculating dates",
    "bbh_movie_recommendation": "recommending a movie similar to given ones",
    "bbh_object_counting": "counting objects",
    "bbh_sports_understanding": "whether a sentence about sports is plausible",
    "bbq": "social biases about groups of people",
    "commonsense_qa": "common sense about everyday objects",
    "crows_pairs": "stereotypes about social groups",
    "cute": "spelling and manipulating letters of words",
    "do_not_answer": "harmful requests that a model should refuse",
    "hellaswag": "what happens next in everyday situations",
    "math": "competition mathematics problems",
    "openbookqa": "elementary science facts and common knowledge",
    "social_iqa": "why people act, what they feel and what they do next",
    "vectara": "summarizing news articles faithfully",
    "winogrande": "pronoun resolution",
}
ASKED, MEAN = 0.02, 0.05
"""Share of the topic in two of the similar benchmarks, and in their mean, at least."""


class Case(NamedTuple):
    """A benchmark and the topic that is taken out of it."""

    benchmark: str
    items: np.ndarray
    """In each finest region: int64 of shape (R,)."""
    topic: int
    left_out: list[str]
    """Its own row of the map, and those that are nearly one with it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    counts = pl.read_parquet(PACK / "region_counts.parquet")
    atlas = Map(pl.read_parquet(PACK / "regions.parquet"), counts)
    topics = cases(atlas, counts.filter(pl.col("benchmark").is_in(atlas.names)))
    shared = [case for case in topics if is_asked(atlas, case)]
    rng = np.random.default_rng(SEED)
    drawn = [shared[at] for at in sorted(rng.choice(len(shared), DRAWN, replace=False).tolist())]
    rows = {"drawn": drawn, "all that similar benchmarks ask": shared, "all": topics}
    for run in parser.parse_args().runs:
        fresh = [case for case in cases(atlas, counts_of(run)) if is_asked(atlas, case)]
        rows["of benchmarks not in the atlas"] = rows.get("of benchmarks not in the atlas", []) + fresh
    print("| topics taken out | | named with the hole only | named before | same lines without random items |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, chosen in rows.items():
        only, before, same = np.array([plant(atlas, case, rng) for case in chosen]).sum(axis=0).tolist()
        print(f"| {name} | {len(chosen)} | {only} | {before} | {same} |")
    for part in LEAKS:
        count = sum(case.topic in named(atlas, case, without(atlas, case, part)) for case in drawn)
        print(f"named with {part:.0%} of the topic's items left: {count} of {DRAWN}")
    for size in SIZES:
        hits = [sampled(atlas, case, size, rng) for case in drawn for _ in range(REPEATS)]
        print(f"named in samples of {size} items: {np.mean(hits):.0%}")
    print(of_scopes(atlas))


def counts_of(run: Path) -> pl.DataFrame:
    """Items of a run's benchmarks by region, as an atlas counts its own."""
    places = pl.read_parquet(run / "item_regions.parquet", columns=["region", "unlike"])
    items = pl.read_parquet(run / "items.parquet", columns=["benchmark"])
    both = pl.concat([items, places], how="horizontal").filter(~pl.col("unlike"))
    return both.group_by("benchmark", "region").len("items")


def cases(atlas: Map, counts: pl.DataFrame) -> list[Case]:
    """Every topic of 5% to 50% of each benchmark."""
    found = []
    for (name,), part in counts.sort("benchmark", "region").group_by("benchmark", maintain_order=True):
        items = np.zeros(len(atlas.level), np.int64)
        items[part["region"].to_numpy()] = part["items"].to_numpy()
        share = items @ atlas.below.T / items.sum()
        sized = (atlas.level == LEVEL) & (share >= PART[0]) & (share <= PART[1])
        like = likeness(atlas.level, share, atlas.public)
        twins = [
            other for other, alike in zip(atlas.names, like, strict=True) if other == name or alike >= TWIN_LIKENESS
        ]
        found += [Case(str(name), items, topic, twins) for topic in np.flatnonzero(sized).tolist()]
    return found


def is_asked(atlas: Map, case: Case) -> bool:
    """Whether benchmarks similar to the whole one ask about a topic."""
    like = likeness(atlas.level, case.items @ atlas.below.T / case.items.sum(), atlas.public)
    like[np.isin(atlas.names, case.left_out)] = 0
    near = [other for other in np.argsort(-like, kind="stable")[:SIMILAR_BENCHMARKS] if like[other] >= MIN_LIKENESS]
    shares = atlas.public[near, case.topic]
    several = (shares >= ASKED).sum() >= 2 or (
        len(near) == 1 and shares[0] >= ASKED and like[near[0]] >= CLOSE_LIKENESS
    )
    return bool(several and shares.mean() >= MEAN)


def plant(atlas: Map, case: Case, rng: np.random.Generator) -> tuple[bool, bool, bool]:
    """Whether a topic is named with the hole and not before; before; and whether random removal changes nothing."""
    items, inside = case.items, atlas.below[case.topic]
    fewer = rng.multivariate_hypergeometric(items, int(items[inside].sum()))
    before, hole, random = (named(atlas, case, left) for left in (items, without(atlas, case, 0), items - fewer))
    return case.topic in hole and case.topic not in before, case.topic in before, before == random


def without(atlas: Map, case: Case, part: float) -> np.ndarray:
    """Items by region, of the topic only a part."""
    return np.where(atlas.below[case.topic], np.round(case.items * part).astype(int), case.items)


def sampled(atlas: Map, case: Case, size: int, rng: np.random.Generator) -> bool:
    """Whether the topic is named in a sample of what is left without it."""
    left = without(atlas, case, 0)
    return case.topic in named(atlas, case, rng.multivariate_hypergeometric(left, min(size, int(left.sum()))))


def of_scopes(atlas: Map) -> str:
    """How many scopes are met, and how many of these are followed by a missing topic."""
    table, found = scope_table(atlas.regions, SCOPES, embed_texts), []
    for name in SCOPES:
        inside = table.filter(benchmark=name)["region"].to_list()
        share = atlas.public[atlas.names.index(name)]
        if share[inside].sum() >= MIN_IN_SCOPE:
            found.append(atlas.missing(share, share, [name], inside, within=True))
    return f"of {len(SCOPES)} scopes {len(found)} are met; {sum(map(bool, found))} of these are said to lack a topic"


def named(atlas: Map, case: Case, items: np.ndarray) -> list[int]:
    """The topics of the first lines."""
    share = items @ atlas.below.T / items.sum()
    _, high = wilson(share, np.full(len(share), float(items.sum())), 0.95)
    return [topic for topic, *_ in atlas.missing(share, high, case.left_out, None, within=False)][:MAX_TOPICS]


if __name__ == "__main__":
    main()
