"""Ground truth: success is drawn at random, less often where planted concepts are strong. Who finds them?

    python validation/planted.py RUN [--repeats 20] [--json FILE]

RUN is a finished run; its activations are real, its scores are not used. Success has the probability p0 of its
benchmark (0.3 to 0.9, dealt out anew each time), times d on items where a planted concept is at or above the median of
its activations. Concepts are planted if their n_eff is at least 100 (so their support is too) and few items have them:
a twentieth at most, or 250, so that ten leave most items as they are. Ours is compared with what people would use
instead: the raw chi_model ranking, SliceLine, a tree of clustered sentence embeddings, and keywords. The last three
need the packages of validation/requirements.txt.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rivals
import scipy.sparse as sp

import competency_gaps
from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import adjusted_gap, evidence, sample_of
from competency_gaps.metrics import chi_model, suite_chi_model
from competency_gaps.metrics.sums import sums_by_benchmark
from competency_gaps.robustness.data import run_data

LEVELS = (0.3, 0.9)
LEAST, MOST = 100.0, 0.05
"""n_eff of a planted concept, at least, and the share of the items that have it, at most."""
ALIKE = 0.5
"""Correlation of two concepts' saliencies over the items from which they are one group."""
SETTINGS = [(0, 1.0), *((count, d) for count in (1, 10, 50) for d in (0.2, 0.4, 0.5, 0.7))]


@dataclass(frozen=True)
class World:
    """The real part: items and what is active in them."""

    cas: sp.csr_array
    saliency: sp.csc_array
    """Of all concepts, shape (items, concepts)."""
    benchmark: np.ndarray
    texts: list[str]
    eligible: np.ndarray
    """Concepts that are ranked."""
    plantable: np.ndarray
    """Of these, concepts that may be planted."""
    on: sp.csc_array
    """Where a concept is at or above the median of its activations: 1, of shape (items, concepts)."""
    norms: np.ndarray
    """Mean and standard deviation of each concept's saliency, shape (2, concepts)."""

    def alike(self, concept: int) -> np.ndarray:
        """Which concepts are in a concept's group: bool of shape (concepts,)."""
        column = self.saliency[:, [concept]].toarray()[:, 0]
        mean, spread = self.norms
        covariance = np.asarray(self.saliency.T @ column) / len(column) - mean * mean[concept]
        scale = spread * spread[concept]
        return np.divide(covariance, scale, out=np.zeros(len(mean)), where=scale > 0) >= ALIKE


@dataclass(frozen=True)
class Outcome:
    """What one method found in one drawn world."""

    method: str
    planted: int
    d: float
    listed: int
    precision: float
    """Share of the listed concepts that are planted or in the group of one that is; NaN: lists no concepts."""
    recall: float
    """Share of the planted concepts of which one of the group is listed."""
    false_discovery: float
    """Share of the listed concepts whose expected gap is not negative; 0 where none is listed."""
    item_precision: float
    """Share of the items pointed at that are truly harder."""
    item_recall: float
    """Share of the truly harder items that are pointed at."""


def world_of(path: Path) -> World:
    run = competency_gaps.open_run(path)
    data = run_data(run)
    cas = sp.csr_array(sp.vstack([part.cas for part in data.parts], format="csr"))
    rows = sp.csr_array(cas, dtype=np.float64)
    rows.data = np.tanh(rows.data / (2 * data.tau[rows.indices]))
    saliency = sp.csc_array(rows)
    mean = np.asarray(saliency.mean(axis=0)).ravel()
    spread = np.sqrt(np.maximum(0, np.asarray(saliency.power(2).mean(axis=0)).ravel() - mean**2))
    benchmark = np.repeat(np.arange(len(data.parts)), [len(part.scores) for part in data.parts])
    support = np.diff(sp.csc_array(cas).indptr)
    weight, squares = (np.asarray(m.sum(axis=0)).ravel() for m in (cas, cas.power(2)))
    n_eff = np.divide(weight**2, squares, out=np.zeros(len(weight)), where=squares > 0)
    kept = run.items.filter(run.items["excluded"].is_null())
    plantable = data.ranked & (n_eff >= LEAST) & (support <= max(MOST * len(benchmark), 2.5 * LEAST))
    return World(
        cas,
        saliency,
        benchmark,
        kept["prompt"].to_list(),
        data.ranked,
        plantable,
        binary(cas),
        np.stack([mean, spread]),
    )


def binary(cas: sp.csr_array) -> sp.csc_array:
    columns = sp.csc_array(cas)
    on = np.zeros(columns.nnz, np.int8)
    for start, stop in itertools.pairwise(columns.indptr):
        if stop > start:
            on[start:stop] = columns.data[start:stop] >= np.median(columns.data[start:stop])
    made = sp.csc_array((on, columns.indices, columns.indptr), shape=columns.shape)
    made.eliminate_zeros()
    return made


def any_on(world: World, concepts: np.ndarray) -> np.ndarray:
    """Items in which one of the concepts is on: bool of shape (items,)."""
    return np.asarray(world.on[:, concepts].sum(axis=1)).ravel() > 0


def plant(world: World, count: int, d: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose concepts, the probability of success of every item, and which items are harder."""
    levels = rng.permutation(np.linspace(*LEVELS, int(world.benchmark.max()) + 1))
    planted = rng.choice(np.flatnonzero(world.plantable), count, replace=False)
    harder = any_on(world, planted)
    return planted, levels[world.benchmark] * np.where(harder, d, 1.0), harder


def outcomes(world: World, count: int, d: float, seed: int, *, others: bool) -> Iterator[Outcome]:
    """Draw one world and let every method look at it."""
    rng = np.random.default_rng((seed, count, round(100 * d)))
    planted, chance, harder = plant(world, count, d, rng)
    scores = (rng.random(len(chance)) < chance).astype(float)
    truth = sums_by_benchmark(world.cas, chance, world.benchmark)
    expected = adjusted_gap(list(truth.values()))
    groups = [world.alike(concept) for concept in planted]
    sums = sums_by_benchmark(world.cas, scores, world.benchmark)
    sample = sample_of(world.cas, scores, world.benchmark)
    found = evidence(sums, EvidenceConfig(), eligible=world.eligible, sample=sample)

    def of_concepts(method: str, listed: np.ndarray, leaders: np.ndarray | None = None) -> Outcome:
        right = np.any([group[listed] for group in groups], axis=0) if groups else np.zeros(len(listed), bool)
        if leaders is not None:  # who shares a leader with a planted concept is of its group too
            right = np.isin(leaders, leaders[right])
        recall = np.mean([group[listed].any() for group in groups]) if groups else float("nan")
        return Outcome(
            method,
            count,
            d,
            len(listed),
            float(right.mean()) if len(listed) else float("nan"),
            float(recall),
            float(np.mean(expected[listed] >= -1e-12)) if len(listed) else 0.0,
            *item_figures(any_on(world, listed), harder),
        )

    weak = np.flatnonzero(found.status == "weak")
    yield of_concepts("ours, whole list", weak, found.leader[weak])
    yield of_concepts("ours, leaders", np.unique(found.leader[weak]))
    if not others or not count:
        return
    model = suite_chi_model(np.stack([chi_model(s) for s in sums.values()]))
    usable = np.flatnonzero(world.eligible & ~np.isnan(model))
    yield of_concepts("chi_model ranking", usable[np.argsort(model[usable], kind="stable")[:count]])
    yield of_concepts("SliceLine", rivals.slice_line(world.on, world.eligible, scores, count))
    for name, pointed in (
        ("embedding tree", rivals.embedding_tree(world.texts, scores)),
        ("keywords", rivals.keywords(world.texts, scores, count)),
    ):
        nothing = (float("nan"),) * 3
        yield Outcome(name, count, d, int(pointed.sum()), *nothing, *item_figures(pointed, harder))


def item_figures(pointed: np.ndarray, harder: np.ndarray) -> tuple[float, float]:
    both = float((pointed & harder).sum())
    return both / pointed.sum() if pointed.any() else float("nan"), both / harder.sum() if harder.any() else float(
        "nan"
    )


def f1(precision: float, recall: float) -> float:
    return 0.0 if not precision > 0 or not recall > 0 else 2 * precision * recall / (precision + recall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--null-repeats", type=int, default=200)
    parser.add_argument("--planted", type=int, nargs="+", help="only these numbers of planted concepts")
    parser.add_argument("--d", type=float, nargs="+", help="only these d")
    parser.add_argument("--no-others", action="store_true", help="ours only")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    world = world_of(args.run)
    print(f"{len(world.texts):,} items, {int(world.plantable.sum()):,} concepts can be planted")
    everything: list[Outcome] = []
    for count, d in SETTINGS:
        if (args.planted and count not in args.planted) or (args.d and d not in args.d):
            continue
        repeats = args.repeats if count else args.null_repeats
        many = [o for seed in range(repeats) for o in outcomes(world, count, d, seed, others=not args.no_others)]
        everything += many
        if not count:
            whole = [o for o in many if o.method == "ours, whole list"]
            share = np.mean([o.listed > 0 for o in whole])
            print(f"nothing planted: {share:.3f} of {repeats} runs name a weak concept (target at most 0.05)")
            continue
        print(f"{count} planted, d = {d}, {repeats} runs")
        for method in dict.fromkeys(o.method for o in many):
            print("  " + line(method, [o for o in many if o.method == method]))
    if args.json:
        args.json.write_text(json.dumps([asdict(o) for o in everything]) + "\n", encoding="utf-8")


def line(method: str, own: list[Outcome]) -> str:
    """One method's means over the runs of a setting."""

    def mean(name: str) -> float:
        values = [getattr(o, name) for o in own]
        known = [v for v in values if not np.isnan(v)]
        return float(np.mean(known)) if known else float("nan")

    items = np.mean([f1(o.item_precision, o.item_recall) for o in own])
    text = f"{method:18} lists {mean('listed'):6.1f}  items F1 {items:.2f}"
    if np.isnan([o.recall for o in own]).all():
        return text
    concepts = np.mean([f1(o.precision, o.recall) for o in own])
    return (
        f"{text}  concepts precision {mean('precision'):.2f} recall {mean('recall'):.2f} F1 {concepts:.2f}  "
        f"false discoveries {mean('false_discovery'):.3f}"
    )


if __name__ == "__main__":
    main()
