"""Is the atlas stable, free of templates, and about subjects?

    python validation/atlas.py RUN DICTIONARY [--other RUN ...] [--splits 3]

RUN is the run that the atlas of DICTIONARY was made from. Printed are the adjusted Rand index of two atlases made from
halves of its items, on all its items and on those of the other runs, by level; how much of a region is one benchmark's
(ordinary text apart), items that repeat each other counted once; for each other run the share of items that are unlike
anything on the map, and how well the items' groups can be told (five folds, logistic regression) from the regions, from
the space that they lie in, and from sentence embeddings, where sentence-transformers is installed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

import competency_gaps as cg
from competency_gaps.dictionary.atlas import (
    LEVELS,
    ORDINARY,
    Atlas,
    make_atlas,
    members_of,
    places_of,
    read_atlas,
    space_of,
)
from competency_gaps.dictionary.folder import open_dictionary
from competency_gaps.slices.make import questions


def kept(run: cg.Run) -> np.ndarray:
    return np.flatnonzero(run.items["excluded"].is_null().to_numpy())


def by_level(atlas: Atlas, finest: np.ndarray) -> list[np.ndarray]:
    found = [finest]
    for _ in range(LEVELS - 1):
        found.insert(0, atlas.parent[found[0]])
    return found


def main() -> None:
    from sklearn.metrics import adjusted_rand_score

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("dictionary", type=Path)
    parser.add_argument("--other", type=Path, nargs="*", default=[])
    parser.add_argument("--splits", type=int, default=3)
    given = parser.parse_args()
    run, others = cg.open_run(given.run), [cg.open_run(path) for path in given.other]
    atlas = read_atlas(given.dictionary, open_dictionary(given.dictionary).width)
    assert atlas is not None, "the dictionary has no atlas"
    rows, names = kept(run), run.items["benchmark"].to_numpy()
    for seed in range(given.splits):
        order = np.random.default_rng(seed).permutation(rows)
        maps = [make_atlas(run.by_concept, half, names[half], run.concepts) for half in (order[::2], order[1::2])]
        for source in (run, *others):
            pair = [
                by_level(one, places_of(one, space_of(one, source.by_concept, kept(source))).region) for one in maps
            ]
            rand = [adjusted_rand_score(*levels) for levels in zip(*pair, strict=True)]
            print(f"split {seed}, {source.path.name}: Rand index {' / '.join(f'{value:.2f}' for value in rand)}")
    space = space_of(atlas, run.by_concept, rows)
    once = np.concatenate([1 / (space[i : i + 2000] @ space.T > 0.95).sum(axis=1) for i in range(0, len(space), 2000)])
    inside = members_of(atlas.parent, places_of(atlas, space).region)
    share = np.stack([inside @ (once * (names[rows] == name)) for name in set(names) - {ORDINARY}])
    most = share.max(axis=0) / np.maximum(inside @ once, 1e-9)
    for level in range(1, LEVELS + 1):
        own = most[atlas.level(level)]
        print(
            f"level {level}: {len(own)} regions; largest share of a benchmark {own.max():.2f}, {(own > 0.8).sum()} > .8"
        )
    for source in others:
        told(atlas, source)


def told(atlas: Atlas, run: cg.Run) -> None:
    """How well groups can be told from regions."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    rows = kept(run)
    space = space_of(atlas, run.by_concept, rows)
    places = places_of(atlas, space)
    spaces = {"space of the atlas": space}
    for level, found in enumerate(by_level(atlas, places.region), 1):
        spaces[f"regions of level {level}"] = np.eye(len(atlas.centres), dtype=np.float32)[found]
    spaces["all regions"] = np.concatenate([spaces[f"regions of level {level}"] for level in range(1, LEVELS + 1)], 1)
    try:
        from competency_gaps.model.embed import embed_texts

        spaces["sentence embeddings"] = embed_texts(questions(run.items[rows]))
    except cg.CompetencyGapsError as error:
        print(error)
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
