"""Make the embedded atlas from finished runs, and check it: is it stable, free of templates, and about subjects?

    python validation/atlas.py make DICTIONARY RUN [RUN ...] [--cache FILE]
    python validation/atlas.py regroup DICTIONARY READINGS RUN [RUN ...] [--cache FILE]
    python validation/atlas.py check DICTIONARY READINGS RUN [RUN ...] [--other RUN ...] [--splits 3] [--cache FILE]
                                     [--residual]
    python validation/atlas.py agree RUN RUN --located RUN RUN [--cache FILE]

The embedded one comes from a run of 43 files of public benchmarks (at most 400 items each) with 6,304 stretches of the
SAE's corpus as the benchmark ``ordinary text``, and from the run of the suite that comes along, of which no counts are
kept. Readers name its regions (``validation/atlas_reading.py``).

``regroup`` draws the upper two levels again, as readers see them. A reader sorts items of the map, in random order and
without their regions, into kinds (``sorted.csv``: benchmark, item_id, kind; ``scheme.csv``: kind, the kind above it,
name). Kinds become the regions of the second level: their centres are the unit vectors that best tell the sorted items
apart by cosine (cross-entropy), and a finest region goes where most of its items do.

``check`` prints how often two readers sort an item into one kind (``again.csv``); the adjusted Rand index of two maps
made from halves of the items, sorted ones among them, on all of these and on the other runs' items, by level; how much
of a region is one benchmark's (ordinary text apart), items that repeat each other counted once; for each other run the
share of items that are unlike anything on the map, and how well the items' groups can be told (five folds, logistic
regression) from the regions, from the space that they lie in, and from sentence embeddings, where the extra texts
is installed; with ``--residual`` also from the mean of the residual stream where the SAE reads it. Embeddings of the
map's items are kept in ``--cache``.

``agree`` takes runs of the same items through two SAEs, makes a map from each, and locates on both the items of two
further runs, one through each SAE: the adjusted Rand index by level, the share of items in regions that are each
other's (assigned one to one, so that most items agree), what that share is when items are shuffled, and the same for
two maps of the first SAE that differ in the seed of their clustering alone; and the share of items whose benchmark, and
whose subject, is the commonest of their region on other items. All maps are turned towards the same sentence
embeddings, so agreement is not the SAEs' alone.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

import competency_gaps as cg
from competency_gaps.concepts.atlas import (
    LEVELS,
    ORDINARY,
    UNLIKE,
    Atlas,
    _capped,
    make_atlas,
    members_of,
    places_of,
    read_atlas,
    repeated,
    space_of,
    write_atlas,
)
from competency_gaps.concepts.folder import open_dictionary
from competency_gaps.model.embed import embed_texts
from competency_gaps.reading.profiles import cas_of, profiles_of, unit
from competency_gaps.runs.schemas import REGION_COUNTS, REGIONS
from competency_gaps.slices.make import questions
from competency_gaps.slices.tree import concept_space

SUBJECT_ITEMS = 10
"""Fewest located items of a subject that is told from regions."""


def kept(run: cg.Run) -> np.ndarray:
    return np.flatnonzero(run.items["excluded"].is_null().to_numpy())


def stacked(runs: list[Path]) -> tuple[sp.csr_array, list[str], pl.DataFrame]:
    """CAS of the kept items of several runs, their benchmarks, and the items."""
    cas, items = [], []
    for run in map(cg.open_run, runs):
        rows = np.flatnonzero(run.items["excluded"].is_null().to_numpy())
        cas.append(cas_of(run.by_concept, rows, np.arange(run.width)))
        items.append(run.items[rows].select("benchmark", "item_id", "prompt", "choices"))
    every = pl.concat(items)
    return sp.csr_array(sp.hstack(cas, format="csr")), every["benchmark"].to_list(), every


def embedded(items: pl.DataFrame, cache: Path | None) -> np.ndarray:
    """Sentence embeddings of the items, from the cache where there are any."""
    if cache is not None and cache.is_file():
        return np.load(cache)
    space = embed_texts(questions(items))
    if cache is not None:
        np.save(cache, space)
    return space


def spaced(atlas: Atlas, cas: sp.csr_array) -> np.ndarray:
    """Items in the atlas's space."""
    return unit(profiles_of(sp.csr_array(cas[atlas.scale.concepts]), atlas.scale) @ atlas.projection)


def by_level(atlas: Atlas, finest: np.ndarray) -> list[np.ndarray]:
    found = [finest]
    for _ in range(LEVELS - 1):
        found.insert(0, atlas.parent[found[0]])
    return found


def fitted(space: np.ndarray, kinds: np.ndarray, steps: int = 150, sharpness: float = 14.0) -> np.ndarray:
    """Unit vectors that tell kinds apart: cross-entropy of ``sharpness`` times the cosines, by Adam."""
    wanted = kinds[:, None] == np.unique(kinds)
    centres = unit(wanted.T @ space / wanted.sum(axis=0)[:, None])
    mean, spread = np.zeros_like(centres), np.zeros_like(centres)
    for step in range(1, steps + 1):
        odds = np.exp(sharpness * (space @ centres.T - 1))
        slope = sharpness * (odds / odds.sum(axis=1, keepdims=True) - wanted).T @ space / len(space)
        slope -= (slope * centres).sum(axis=1, keepdims=True) * centres
        mean, spread = 0.9 * mean + 0.1 * slope, 0.999 * spread + 0.001 * slope**2
        centres = unit(centres - 0.02 * mean / (1 - 0.9**step) / (np.sqrt(spread / (1 - 0.999**step)) + 1e-8))
    return np.asarray(centres, np.float16).astype(np.float32)


def regrouped(atlas: Atlas, readings: Path, cas: sp.csr_array, items: pl.DataFrame, embeddings: np.ndarray) -> Atlas:
    """The atlas with its upper two levels as readers sorted items."""
    scheme, read = pl.read_csv(readings / "scheme.csv"), pl.read_csv(readings / "sorted.csv")
    space = spaced(atlas, cas)
    kinds = items.join(read, on=["benchmark", "item_id"], how="left", maintain_order="left")["kind"]
    known = kinds.is_not_null().to_numpy()
    middle = scheme.filter(pl.col("above").is_not_null()).sort("kind")
    coarse = scheme.filter(pl.col("above").is_null())["kind"].to_list()
    centres = fitted(space[known], kinds.drop_nulls().to_numpy().astype(str))
    assert len(centres) == middle.height, "every kind needs sorted items"

    weights = _capped(1 / repeated(embeddings), items["benchmark"].to_numpy())
    fine = atlas.level(LEVELS)
    nearest = (space @ atlas.centres[fine].T).argmax(axis=1)
    told = np.zeros((len(fine), middle.height))
    np.add.at(told, (nearest, (space @ centres.T).argmax(axis=1)), weights)
    home = np.where(told.any(axis=1), told.argmax(axis=1), (atlas.centres[fine] @ centres.T).argmax(axis=1))
    for lost in set(range(middle.height)) - set(home):
        home[(told[:, lost] / np.maximum(1e-9, told.sum(axis=1))).argmax()] = lost
    first, second = len(coarse), len(coarse) + middle.height
    above = [coarse.index(kind) for kind in middle["above"]]
    parent = np.array([-1] * first + above + list(first + home))
    level = np.repeat([1, 2, 3], [first, middle.height, len(fine)])
    names = [dict(scheme.select("kind", "name").iter_rows())[kind] for kind in [*coarse, *middle["kind"]]]
    old = atlas.regions[fine]
    new = replace(
        atlas,
        centres=np.concatenate([np.zeros((first, space.shape[1]), np.float32), centres, atlas.centres[fine]]),
        regions=pl.DataFrame(
            {
                "region": np.arange(len(level)),
                "level": level,
                "parent": pl.Series(parent).replace(-1, None),
                "name": names + old["name"].to_list(),
                "kind": ["written"] * second + old["kind"].to_list(),
                "x": 0.0,
                "y": 0.0,
                "items": 0.0,
            },
            schema=REGIONS,
        ),
    )
    places = places_of(new, space)
    inside = members_of(parent, places.region)
    held = inside * weights
    new.centres[:first] = unit(held[:first] @ space)
    parts = members_of(parent, np.arange(second, len(level)))
    xy = parts @ old.select("x", "y").to_numpy() / parts.sum(axis=1, keepdims=True)
    active = sp.csr_array(cas[atlas.scale.concepts]) @ held[second:].T / np.maximum(1e-9, held[second:].sum(axis=1))
    concept_region = np.full_like(atlas.concept_region, -1)
    concept_region[atlas.scale.concepts] = second + active.argmax(axis=1)
    located = pl.DataFrame({"benchmark": items["benchmark"], "region": places.region})
    counts = located.group_by("benchmark", "region").len("items").sort("benchmark", "region")
    return replace(
        new,
        reach=float(np.quantile(places.likeness, UNLIKE)),
        concept_region=concept_region,
        regions=new.regions.with_columns(
            x=pl.Series(xy[:, 0], dtype=pl.Float32),
            y=pl.Series(xy[:, 1], dtype=pl.Float32),
            items=pl.Series(held.sum(axis=1), dtype=pl.Float32),
        ),
        counts=counts.cast(pl.Schema(REGION_COUNTS)).filter(
            pl.col("benchmark").is_in(atlas.counts["benchmark"].unique().implode())
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("make", "check", "regroup"):
        command = commands.add_parser(name)
        command.add_argument("dictionary", type=Path)
        if name != "make":
            command.add_argument("readings", type=Path)
        command.add_argument("runs", type=Path, nargs="+")
        command.add_argument("--cache", type=Path)
    commands.choices["check"].add_argument("--other", type=Path, nargs="*", default=[])
    commands.choices["check"].add_argument("--splits", type=int, default=3)
    commands.choices["check"].add_argument("--residual", action="store_true")
    command = commands.add_parser("agree")
    command.add_argument("runs", type=Path, nargs=2)
    command.add_argument("--located", type=Path, nargs=2, required=True)
    command.add_argument("--cache", type=Path)
    given = parser.parse_args()
    if given.command == "agree":
        agree(given.runs, given.located, given.cache)
        return
    cas, benchmarks, items = stacked(given.runs)
    embeddings = embedded(items, given.cache)
    if given.command == "make":
        public = set(cg.open_run(given.runs[0]).items["benchmark"])
        atlas = make_atlas(cas, embeddings, benchmarks)
        atlas = replace(atlas, counts=atlas.counts.filter(pl.col("benchmark").is_in(public)))
        write_atlas(given.dictionary, atlas)
    elif given.command == "regroup":
        found = read_atlas(given.dictionary, open_dictionary(given.dictionary).width)
        assert found is not None, "the dictionary has no atlas"
        write_atlas(given.dictionary, regrouped(found, given.readings, cas, items, embeddings))
    else:
        found = read_atlas(given.dictionary, open_dictionary(given.dictionary).width)
        assert found is not None, "the dictionary has no atlas"
        others = [cg.open_run(path) for path in given.other]
        check(found, given.readings, cas, items, embeddings, others, given.splits)
        for run in others:
            told(found, run, given.residual)


def check(
    atlas: Atlas,
    readings: Path,
    cas: sp.csr_array,
    items: pl.DataFrame,
    embeddings: np.ndarray,
    others: list[cg.Run],
    splits: int,
) -> None:
    from sklearn.metrics import adjusted_rand_score

    names = items["benchmark"].to_numpy()
    again, read = (pl.read_csv(readings / f"{name}.csv") for name in ("again", "sorted"))
    both = again.join(read, on=["benchmark", "item_id"], suffix="_first")
    same = (both["kind"] == both["kind_first"]).to_numpy().mean()
    print(f"{both.height} items sorted by two readers: {same:.0%} in one kind")

    def drawn(half: np.ndarray) -> Atlas:
        first = make_atlas(cas[:, half], embeddings[half], names[half].tolist())
        return regrouped(first, readings, cas[:, half], items[half], embeddings[half])

    sources = {"the map's items": cas} | {
        run.path.name: cas_of(run.by_concept, kept(run), np.arange(run.width)) for run in others
    }
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(cas.shape[1])
        maps = [drawn(order[::2]), drawn(order[1::2])]
        for source, held in sources.items():
            pair = [by_level(one, places_of(one, spaced(one, held)).region) for one in maps]
            rand = [adjusted_rand_score(*levels) for levels in zip(*pair, strict=True)]
            print(f"split {seed}, {source}: Rand index {' / '.join(f'{value:.2f}' for value in rand)}", flush=True)
    space = spaced(atlas, cas)
    once = 1 / repeated(embeddings)
    inside = members_of(atlas.parent, places_of(atlas, space).region)
    share = np.stack([inside @ (once * (names == name)) for name in set(names) - {ORDINARY}])
    most = share.max(axis=0) / np.maximum(inside @ once, 1e-9)
    for level in range(1, LEVELS + 1):
        own = most[atlas.level(level)]
        print(
            f"level {level}: {len(own)} regions; largest share of a benchmark {own.max():.2f}, {(own > 0.8).sum()} > .8"
        )


def in_both(paths: list[Path]) -> tuple[list[sp.csr_array], pl.DataFrame]:
    """CAS of the items that two runs share, through the SAE of each, and the items."""
    runs = [cg.open_run(path) for path in paths]
    key = ["benchmark", "item_id"]
    tables = [run.items.with_row_index("row").filter(pl.col("excluded").is_null()) for run in runs]
    both = tables[0].join(tables[1].select(*key, other="row"), on=key, how="inner", maintain_order="left")
    rows = (both[name].cast(pl.Int64).to_numpy() for name in ("row", "other"))
    cas = [cas_of(run.by_concept, own, np.arange(run.width)) for run, own in zip(runs, rows, strict=True)]
    return cas, both


def agree(runs: list[Path], located: list[Path], cache: Path | None) -> None:
    """How far the maps of two SAEs put the same items together."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import adjusted_rand_score
    from sklearn.metrics.cluster import contingency_matrix

    cas, items = in_both(runs)
    embeddings, benchmarks = embedded(items, cache), items["benchmark"].to_list()
    maps = [make_atlas(own, embeddings, benchmarks, seed=seed) for own, seed in ((cas[0], 0), (cas[1], 0), (cas[0], 1))]
    held, others = in_both(located)
    print(f"maps of {items.height:,} items; {others.height:,} items located", flush=True)
    places = [
        by_level(one, places_of(one, spaced(one, own)).region)
        for one, own in zip(maps, (held[0], held[1], held[0]), strict=True)
    ]

    def together(a: np.ndarray, b: np.ndarray) -> float:
        table = contingency_matrix(a, b)
        return float(table[linear_sum_assignment(-table)].sum() / len(a))

    shuffle = np.random.default_rng(0).permutation(others.height)
    for name, other in (("two SAEs", 1), ("two seeds of one SAE", 2)):
        for level, (a, b) in enumerate(zip(places[0], places[other], strict=True), 1):
            print(
                f"{name}, level {level}: Rand index {adjusted_rand_score(a, b):.2f}; in each other's region "
                f"{together(a, b):.0%}, shuffled {together(a, b[shuffle]):.0%}",
                flush=True,
            )
    benchmark = others["benchmark"].to_numpy()
    subjects = others.with_columns(n=pl.len().over("benchmark", "group"))
    large = subjects.select(pl.col("group").is_not_null() & (pl.col("n") >= SUBJECT_ITEMS)).to_series().to_numpy()
    subject = (others["benchmark"] + " " + others["group"]).to_numpy()
    for number, name in enumerate(("first SAE", "second SAE", "first SAE, another seed")):
        for level, regions in enumerate(places[number], 1):
            print(
                f"{name}, regions of level {level} tell benchmarks {foretold(regions, benchmark):.1%}"
                + (f", {len(set(subject[large]))} subjects {foretold(regions[large], subject[large]):.1%}"),
                flush=True,
            )


def foretold(regions: np.ndarray, labels: np.ndarray) -> float:
    """Share of items whose label is the commonest of their region on the other items, over five shuffled folds."""
    from sklearn.model_selection import StratifiedKFold

    right = 0
    for fitted_on, left_out in StratifiedKFold(5, shuffle=True, random_state=0).split(regions, labels):
        table = pl.DataFrame({"region": regions[fitted_on], "label": labels[fitted_on]})
        common = dict(table.group_by("region").agg(pl.col("label").mode().sort().first()).iter_rows())
        right += sum(common.get(r) == label for r, label in zip(regions[left_out], labels[left_out], strict=True))
    return right / len(labels)


def residual(run: cg.Run, rows: np.ndarray) -> np.ndarray:
    """Mean of the residual stream over each item's text, where the run's SAE reads it: float32 of shape (n, width)."""
    from competency_gaps.items.config import ModelConfig
    from competency_gaps.model.hooks import read_hook, resolve_hook
    from competency_gaps.model.load import load_model

    lm = load_model(ModelConfig(name=run.manifest["model"]["name"]))
    hook = resolve_hook(lm.model, run.manifest["sae"]["hook_name"])
    ids = [np.array(lm.tokenizer(text)["input_ids"][: lm.max_length]) for text in run.items[rows]["prompt"]]
    found = np.zeros((len(rows), read_hook(lm, hook, ids[:1]).shape[-1]), np.float32)
    order = np.argsort([len(own) for own in ids], kind="stable")
    for start in range(0, len(order), 16):
        batch = order[start : start + 16]
        read = read_hook(lm, hook, [ids[row] for row in batch]).float().cpu().numpy()
        for row, own in zip(batch, read, strict=True):
            found[row] = own[min(1, len(ids[row]) - 1) : len(ids[row])].mean(axis=0)  # the first position is an outlier
        if start % 1600 == 0:
            print(f"  residual stream: {start:,} of {len(order):,} items", flush=True)
    return found


def told(atlas: Atlas, run: cg.Run, stream: bool) -> None:
    """How well groups can be told from regions."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    rows = kept(run)
    space = space_of(atlas, run.by_concept, rows)
    places = places_of(atlas, space)
    spaces = {"space of the atlas": space, "the run's own profiles": concept_space(run.by_concept, rows)}
    for level, found in enumerate(by_level(atlas, places.region), 1):
        spaces[f"regions of level {level}"] = np.eye(len(atlas.centres), dtype=np.float32)[found]
    spaces["all regions"] = np.concatenate([spaces[f"regions of level {level}"] for level in range(1, LEVELS + 1)], 1)
    try:
        spaces["sentence embeddings"] = embed_texts(questions(run.items[rows]))
    except cg.CompetencyGapsError as error:
        print(error)
    if stream:
        read = residual(run, rows)
        spaces["the mean residual stream"] = (read - read.mean(axis=0)) / read.std(axis=0)
    group = run.items["group"].to_numpy()[rows]
    common = pl.Series(group).value_counts(sort=True)["count"][0] / len(group)
    print(
        f"{run.path.name}: {places.unlike.mean():.1%} unlike anything; {len(set(group))} groups, commonest {common:.1%}"
    )
    for name, values in spaces.items():
        model = LogisticRegression(C=10, max_iter=300)
        print(f"  told from {name}: {cross_val_score(model, values, group, cv=5).mean():.1%}", flush=True)


if __name__ == "__main__":
    main()
