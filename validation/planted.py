"""Compare methods on planted weaknesses: scores are drawn from known chances, so true and false discoveries are known.

    python validation/planted.py RUN [--quick] [--only NAME ...] [--jobs 2] [--json FILE]

RUN is a finished run, whose activations, lengths and repeats are used and whose scores are not. In every world scores
depend on a confounder that is no concept (``CONFOUNDERS``). In the first worlds nothing is planted; in the others an
item's chance is multiplied by d where one of ten planted concepts is at or above the median of its activations. A
listed concept is a false discovery if the planted part of the chances gives it no negative gap against other clusters
of its benchmark and length. The evidence as shipped ("net") is compared with less control and with alternatives: the
raw chi_model ranking, SliceLine, and a tree of clustered sentence embeddings, which need the packages of
validation/requirements.txt. Settings that FILE holds already are not run again.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import rivals
import scipy.sparse as sp
from confounders import Confounder, Draw, direction, draw, model_means
from worlds import World, ranks, within, world_of

from competency_gaps.evidence import Evidence, ItemSample, Thresholds, evidence, units_of
from competency_gaps.evidence.chi import Sums, chi_model, suite_chi_model

CONFOUNDERS = (
    Confounder("none"),
    Confounder("length, linear", slope="linear"),
    Confounder("length, rank", slope="rank"),
    Confounder("length, logistic", slope="logistic"),
    Confounder("length, wave", slope="wave"),
    Confounder("repeats", luck="repeats"),
    Confounder("clusters", luck="drawn"),
    Confounder("difficulty, beta", difficulty="beta"),
    Confounder("difficulty, models", difficulty="models"),
    Confounder("all, repeats", slope="rank", luck="repeats", difficulty="models"),
    Confounder("all, clusters", slope="linear", luck="drawn", difficulty="beta"),
    Confounder("difficulty, known", difficulty="beta", with_concepts=True),
)
CONFIG = Thresholds()
PLANTED = 10
FACTORS = (0.4, 0.7)
MODELS = Path(__file__).parents[2] / "shared/results/mmlu_pro/scores.csv"
"""Optional table of real models' scores: a column ``id``, and one per model."""
RANKED = 10
"""Concepts that the raw ranking and SliceLine name."""
STRICT = 1e-12
"""Expected gaps closer to 0 than this are rounding."""


@dataclass(frozen=True)
class Outcome:
    """What one method found in one world."""

    method: str
    listed: int
    """Concepts, or nodes of the tree."""
    false_discovery: float
    """Share of these that are false; 0 if none is listed; NaN: unknown."""
    recall: float = float("nan")
    """Share of the planted concepts whose group has a listed member; NaN: the method names no concepts."""
    items_f1: float = float("nan")
    """F1 of the selected items against those that are truly harder."""
    chi_covered: float = float("nan")
    """Share of the tested concepts whose interval of chi_model holds the truth."""
    gap_covered: float = float("nan")
    """The same of the net gap."""


def mean_over_benchmarks(cas: sp.csr_array, scores: np.ndarray, benchmark: np.ndarray) -> np.ndarray:
    """chi_model of each concept: float64 of shape (concepts,)."""
    own = [benchmark == number for number in np.unique(benchmark)]
    return suite_chi_model(np.stack([chi_model(Sums.of(cas[rows], scores[rows])) for rows in own]))


def samples(sample: ItemSample) -> dict[str, ItemSample]:
    """The sample for each control; lengths are the first covariate."""
    made = {
        "net": replace(sample, covariates=sample.covariates[:1]),
        "clusters only": replace(sample, covariates=()),
        "no control": replace(sample, covariates=(), cluster=None, repeats=None),
    }
    return made if len(sample.covariates) == 1 else {**made, "net of all": sample}


def net_gap(sample: ItemSample, rows: sp.csr_array, values: np.ndarray) -> np.ndarray:
    """Gap in arbitrary values of the items, net of the sample's clusters and strata: float64 of shape (len(rows),).

    Parameters
    ----------
    rows : csr_array of shape (asked, items)
        Weights: CAS of concepts, or 1 for the items that a rival selects.
    """
    units = units_of(sample)
    kept = np.flatnonzero(units.unit >= 0)
    mean = np.bincount(units.unit[kept], values[kept]) / np.bincount(units.unit[kept])
    mean -= (np.bincount(units.block, mean) / np.bincount(units.block))[units.block]
    weights = units.rows(rows)
    total = np.asarray(weights.sum(axis=1)).ravel()
    return np.divide(np.asarray(weights @ mean), total, out=np.zeros(len(total)), where=total > 0)


def outcomes(world: World, drawn: Draw, *, others: bool, texts: bool) -> Iterator[Outcome]:
    """Apply every method to a drawn world; ``others``: also the raw ranking, ``texts``: also the other rivals."""
    given = samples(drawn.sample)
    net = given["net"]
    rows = sp.csr_array(world.cas.T)
    part = drawn.chance - drawn.base
    false = net_gap(net, rows, part) >= -STRICT
    groups = [world.alike(concept) for concept in drawn.planted]

    def of_concepts(method: str, listed: np.ndarray, found: Evidence | None = None) -> Outcome:
        return Outcome(
            method,
            len(listed),
            float(false[listed].mean()) if len(listed) else 0.0,
            float(np.mean([group[listed].any() for group in groups])) if groups else float("nan"),
            f1(world.any_on(listed), drawn.harder),
            *(covered(net, rows, drawn, found) if found else ()),
        )

    for name, sample in given.items():
        found = evidence(sample, CONFIG, eligible=world.eligible, draw=name.startswith("net"))
        yield of_concepts(name, np.flatnonzero(found.status == "failure"), found if name == "net" else None)
    if not others:
        return
    scores = drawn.sample.scores
    model = mean_over_benchmarks(world.cas, scores, world.benchmark)
    usable = np.flatnonzero(world.eligible & ~np.isnan(model))
    yield of_concepts("raw ranking", usable[np.argsort(model[usable], kind="stable")[:RANKED]])
    if not texts:
        return
    yield of_concepts("SliceLine", rivals.slice_line(world.on, world.eligible, scores, RANKED))
    nodes = rivals.embedding_tree(world.texts, scores)
    pointed = np.zeros(len(scores), bool)
    nothing = 0.0
    if nodes:
        pointed[np.concatenate(nodes)] = True
        of_nodes = sp.csr_array(np.stack([np.isin(np.arange(len(scores)), node) for node in nodes]).astype(float))
        nothing = float(np.mean(net_gap(net, of_nodes, part) >= -STRICT))
    yield Outcome("embedding tree", len(nodes), nothing, items_f1=f1(pointed, drawn.harder))


def f1(pointed: np.ndarray, harder: np.ndarray) -> float:
    """F1 of the selected items; NaN if no item is harder."""
    total = pointed.sum() + harder.sum()
    return float(2 * (pointed & harder).sum() / total) if harder.any() else float("nan")


def covered(net: object, rows: sp.csr_array, drawn: Draw, found: Evidence) -> tuple[float, float]:
    """Share of the tested concepts whose intervals hold the values that the chances before luck give."""
    sample = drawn.sample
    tested = ~np.isnan(found.p_value)
    model = mean_over_benchmarks(sp.csr_array(rows.T), drawn.expected, sample.benchmark)[tested]
    gap = net_gap(net, rows, drawn.expected)[tested]  # type: ignore[arg-type]
    return (
        float(np.mean((found.low[tested] <= model) & (model <= found.high[tested]))),
        float(np.mean((found.association_low[tested] <= gap) & (gap <= found.association_high[tested]))),
    )


@dataclass(frozen=True)
class Setting:
    """Worlds of one kind."""

    confounder: Confounder
    planted: int
    d: float
    worlds: int
    others: int
    """Worlds to which the rivals are applied too."""


_WORLD: dict[str, World] = {}
"""The world that forked workers share."""


def one_world(task: tuple[Setting, int], *, means: np.ndarray | None, axis: np.ndarray, texts: bool) -> list[Outcome]:
    """Draw the world of a seed and gather its outcomes."""
    setting, seed = task
    world = _WORLD["world"]
    drawn = draw(world, setting.confounder, setting.planted, setting.d, seed, means=means, axis=axis)
    return list(outcomes(world, drawn, others=seed < setting.others, texts=texts))


def main() -> None:
    """Run every setting and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--null-worlds", type=int, default=60, help="worlds of a confounder with nothing planted")
    parser.add_argument("--worlds", type=int, default=8, help="worlds with ten planted concepts, for each factor")
    parser.add_argument("--other-worlds", type=int, default=5, help="of these, worlds to which the rivals are applied")
    parser.add_argument("--only", nargs="+", help="only confounders whose names begin with one of these")
    parser.add_argument("--d", type=float, nargs="+", help="only these factors; 1: nothing planted")
    parser.add_argument("--no-texts", action="store_true", help="without SliceLine and tree")
    parser.add_argument("--quick", action="store_true", help="a few worlds, --no-texts")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.quick:
        args.null_worlds, args.worlds, args.other_worlds, args.no_texts = 2, 1, 1, True
    world = world_of(args.run)
    _WORLD["world"] = world
    means = model_means(MODELS)
    describe(world)
    if not args.no_texts:
        rivals.embedding_tree(world.texts, np.ones(len(world.texts)))  # embeds the texts before workers are forked
    read = functools.partial(one_world, means=means, axis=direction(world), texts=not args.no_texts)
    everything = json.loads(args.json.read_text(encoding="utf-8")) if args.json and args.json.is_file() else []
    done = {(known["confounder"]["name"], known["d"]) for known in everything}
    with multiprocessing.get_context("fork").Pool(args.jobs) as pool:
        for setting in settings(args, means):
            if (setting.confounder.name, setting.d) in done:
                continue
            began = time.perf_counter()
            tasks = [(setting, seed) for seed in range(setting.worlds)]
            found = pool.map(read, tasks, chunksize=1)
            planted = f"{setting.planted} planted, d = {setting.d}" if setting.planted else "nothing planted"
            seconds = time.perf_counter() - began
            print(f"\n{setting.confounder.name}; {planted}; {setting.worlds} worlds, {seconds:.0f} s")
            print(table(found), flush=True)
            everything += [
                {**asdict(setting), "outcomes": [[asdict(o) for o in world_outcomes] for world_outcomes in found]}
            ]
            if args.json:
                args.json.write_text(json.dumps(everything) + "\n", encoding="utf-8")


def settings(args: argparse.Namespace, means: np.ndarray | None) -> Iterator[Setting]:
    """Give the chosen settings; name those that are left out because scores of models are missing."""
    for d in (1.0, *FACTORS):
        for confounder in CONFOUNDERS:
            if (args.only and not confounder.name.startswith(tuple(args.only))) or (args.d and d not in args.d):
                continue
            if confounder.difficulty == "models" and means is None:
                print(f"{confounder.name}: left out, there are no scores of models at {MODELS}")
                continue
            if d == 1.0:
                yield Setting(confounder, 0, d, args.null_worlds, args.other_worlds)
            else:
                yield Setting(confounder, PLANTED, d, args.worlds, args.other_worlds)


def describe(world: World) -> None:
    """Print how many concepts correlate with length, and how many are common in repeats."""
    length = within(world.length, world.benchmark, ranks)
    plain = replace(samples(world.sample)["clusters only"], scores=length)
    found = evidence(plain, CONFIG, eligible=world.eligible, draw=False)
    tested = ~np.isnan(found.p_value)
    shorter, longer = ((found.q_value <= CONFIG.q) & (sign * found.association > 0) for sign in (-1, 1))
    assert world.sample.cluster is not None
    print(
        f"{len(world.texts):,} items in {len(np.unique(world.sample.cluster)):,} clusters; {tested.sum():,} concepts "
        f"tested, {world.plantable.sum():,} can be planted\n"
        f"{(shorter | longer).sum():,} of these go with length (q <= 0.05): {shorter.sum():,} with short items, "
        f"{longer.sum():,} with long ones",
        flush=True,
    )


def table(found: list[list[Outcome]]) -> str:
    """One line a method: means over worlds, with the rate's sampling error."""
    lines = [
        f"{'':16}{'worlds':>7}{'listed':>8}{'name any':>10}{'false':>8}{'error':>8}{'recall':>8}{'items F1':>10}"
        f"{'chi in':>8}{'gap in':>8}"
    ]
    methods = dict.fromkeys(o.method for world_outcomes in found for o in world_outcomes)
    for method in methods:
        own = [o for world_outcomes in found for o in world_outcomes if o.method == method]
        rates = np.array([o.false_discovery for o in own])
        error = rates.std(ddof=1) / np.sqrt(len(rates)) if len(rates) > 1 else float("nan")
        listed = np.array([o.listed for o in own])
        figures = ((o.recall, o.items_f1, o.chi_covered, o.gap_covered) for o in own)
        means = zip(np.mean(list(figures), axis=0), (8, 10, 8, 8), strict=True)
        text = "".join(f"{'-' if np.isnan(value) else f'{value:.3f}':>{width}}" for value, width in means)
        shares = f"{(listed > 0).mean():10.3f}{rates.mean():8.3f}{error:8.3f}"
        lines.append(f"{method:16}{len(own):7}{listed.mean():8.1f}{shares}{text}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
