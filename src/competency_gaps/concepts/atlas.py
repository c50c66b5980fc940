"""The atlas: a map of what questions ask, in regions of the space of an SAE's concepts, on which any item is located.

Regions are three levels deep. Items that repeat each other, as those of a template do, count once together. What is
kept of the items that made it is numbers: how concepts are scaled, a projection, centres of regions, and counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.concepts.document import has_table, read_columns, write_tables
from competency_gaps.concepts.labels import clean_line
from competency_gaps.reading.by_concept import ByConcept
from competency_gaps.reading.profiles import (
    MIN_ACTIVE_ITEMS,
    SINGULAR_VECTORS,
    Scale,
    cas_of,
    one_thread,
    profiles_of,
    scale_of,
    unit,
)
from competency_gaps.runs.schemas import REGION_COUNTS, REGIONS
from competency_gaps.util.errors import UserError

FILE, REGIONS_FILE, COUNTS_FILE = "atlas.safetensors", "regions.parquet", "region_counts.parquet"
LEVEL_SIZES = (12, 50, 250)
"""Regions of each level, about."""
MAX_SIMILARITY = 0.8
"""Cosine from which one of two items is not shown beside the other."""
TYPICAL, BORDERLINE = 12, 4
"""Most items of each kind that show what a region holds."""
UNLIKE = 0.01
"""Share of the map's own items that lie further from their region than the atlas reaches."""
LEVELS = len(LEVEL_SIZES)
ORDINARY = "ordinary text"
"""The benchmark of stretches of text that no benchmark asks about."""
MAX_ITEMS, MAX_ORDINARY_ITEMS = 60, 1500
"""Items that a benchmark counts for, at most; and ordinary text."""
REPEAT = 0.75
"""Cosine of embeddings from which two items repeat each other."""
VECTORS = 200
"""Singular vectors of profiles from which embeddings are foretold."""
NEAR_CENTRES = 3
"""Centres between which an item is drawn: its own region's, and the nearest ones, of which its own mostly is one and so
counts twice."""
SPREAD = 0.05
"""Difference of cosines by which a centre draws an item e times as much."""
STARTS = 20
_AGAIN = "Build the atlas again."


@dataclass(frozen=True)
class Atlas:
    """Regions of the space of an SAE's concepts. C concepts take part; D dimensions; K regions of all levels."""

    scale: Scale
    projection: np.ndarray
    """float32 of shape (C, D)."""
    centres: np.ndarray
    """float32 of shape (K, D), of unit length, in the order of ``regions``."""
    reach: float
    """Cosine to its region's centre below which an item is unlike anything on the map."""
    concept_region: np.ndarray
    """int32 of shape (width,): the finest region in which a concept is most active; -1: none."""
    regions: pl.DataFrame
    """Columns of ``schemas.REGIONS``: one row per region, numbered from 0, coarse ones first."""
    counts: pl.DataFrame
    """Columns of ``schemas.REGION_COUNTS``: items of the benchmarks that the map was made from."""

    def level(self, level: int) -> np.ndarray:
        """Numbers of the regions of a level, from 1: int64."""
        return np.flatnonzero(self.regions["level"].to_numpy() == level)

    @property
    def parent(self) -> np.ndarray:
        """int64 of shape (K,): the region above; -1: none."""
        return self.regions["parent"].fill_null(-1).to_numpy().astype(np.int64)


class Places(NamedTuple):
    """Where n items lie."""

    region: np.ndarray
    """int32 of shape (n,): the finest region."""
    likeness: np.ndarray
    """float32 of shape (n,): cosine to its centre, in [-1, 1]."""
    unlike: np.ndarray
    """bool of shape (n,): it is unlike anything on the map."""
    x: np.ndarray
    """float32 of shape (n,): place on the picture."""
    y: np.ndarray


def space_of(atlas: Atlas, by_concept: ByConcept, rows: np.ndarray) -> np.ndarray:
    """Unit vectors of items in the atlas's space: float32 of shape (n, D)."""
    cas = cas_of(by_concept, rows, atlas.scale.concepts)
    return np.asarray(unit(profiles_of(cas, atlas.scale) @ atlas.projection), np.float32)


def places_of(atlas: Atlas, space: np.ndarray) -> Places:
    """Where items lie, from their vectors: float32 of shape (n, D).

    In the nearest region of the second level, and there in the nearest of the finest. A coarse region is what its parts
    hold: its own centre locates nothing, since regions of one kind may lie apart.
    """
    likeness = space @ atlas.centres.T
    above, fine = atlas.level(LEVELS - 1), atlas.level(LEVELS)
    region = above[likeness[:, above].argmax(axis=1)]
    region = fine[np.where(atlas.parent[fine] == region[:, None], likeness[:, fine], -np.inf).argmax(axis=1)]
    highest = np.take_along_axis(likeness, region[:, None], axis=1).ravel()
    near = np.argsort(-likeness[:, fine], axis=1, kind="stable")[:, : NEAR_CENTRES - 1]
    near = np.column_stack([region, fine[near]])  # an item stands with its own region
    pull = np.exp((np.take_along_axis(likeness, near, axis=1) - highest[:, None]) / SPREAD)
    pull /= pull.sum(axis=1, keepdims=True)
    xy = (atlas.regions.select("x", "y").to_numpy()[near] * pull[:, :, None]).sum(axis=1).astype(np.float32)
    return Places(region.astype(np.int32), highest, highest < atlas.reach, xy[:, 0], xy[:, 1])


def members_of(parent: np.ndarray, finest: np.ndarray) -> np.ndarray:
    """Which items lie in each region.

    Parameters
    ----------
    parent : ndarray of int of shape (K,)
        The region above each; -1: none.
    finest : ndarray of int of shape (n,)
        The finest region of each item; -1: in none.

    Returns
    -------
    ndarray of bool of shape (K, n)
    """
    inside = np.zeros((len(parent), len(finest)), bool)
    region = finest.astype(np.int64)
    while (known := np.flatnonzero(region >= 0)).size:
        inside[region[known], known] = True
        region[known] = parent[region[known]]
    return inside


def examples_of(atlas: Atlas, space: np.ndarray) -> list[tuple[list[int], list[int]]]:
    """Items that show what a region holds: those nearest to the centres of its finest regions, in turn, of which none
    repeats another; and those that nearly lie in a sibling, or, of a coarse region, in a part of another.

    Parameters
    ----------
    space : ndarray of float32 of shape (n, D)
        From :func:`space_of`.

    Returns
    -------
    list of tuple of list of int
        For each region, places in ``space``.
    """
    finest = places_of(atlas, space).region
    likeness, above, examples = space @ atlas.centres.T, atlas.level(LEVELS - 1), []
    for region, members in enumerate(members_of(atlas.parent, finest)):
        inside = np.flatnonzero(members)
        groups = [inside[finest[inside] == j] for j in np.unique(finest[inside])]
        queues = [list(items[np.argsort(-likeness[items, finest[items[0]]], kind="stable")]) for items in groups]
        queues.sort(key=len, reverse=True)
        chosen: list[int] = []
        while any(queues) and len(chosen) < TYPICAL:
            for queue in queues:
                while queue and len(chosen) < TYPICAL:
                    item = int(queue.pop(0))
                    if not chosen or (space[chosen] @ space[item]).max() < MAX_SIMILARITY:
                        chosen.append(item)
                        break
        near, holds = above, atlas.parent[above] == region
        if not holds.any():  # else it is coarse, and its own centre locates nothing
            near = np.flatnonzero(atlas.parent == atlas.parent[region])
            holds = near == region
        near_to = likeness[np.ix_(inside, near)]
        margin = near_to[:, holds].max(axis=1, initial=-1) - near_to[:, ~holds].max(axis=1, initial=-1)
        edge = [int(item) for item in inside[np.argsort(margin, kind="stable")] if item not in chosen]
        examples.append((chosen, edge[:BORDERLINE]))
    return examples


def least_items() -> int:
    """Fewest items of which a map is made."""
    return MIN_ACTIVE_ITEMS * LEVEL_SIZES[-1]


def make_atlas(cas: sp.csr_array, embeddings: np.ndarray, benchmarks: Sequence[str], *, seed: int = 0) -> Atlas:
    """Make an atlas from items; its regions have no names yet.

    The space is that of the items' profiles, turned towards what their texts mean: the part of their sentence
    embeddings that ridge regression foretells from the profiles. So an item is located by its concepts alone, and a
    form weighs little. Items that repeat each other count for one, and no benchmark for more than :data:`MAX_ITEMS`.
    Regions come from k-means of unit vectors, level by level inside those above [ours].

    Parameters
    ----------
    cas : csr_array of float32 of shape (width, n)
        Of all concepts on the items.
    embeddings : ndarray of float32 of shape (n, E)
        Of the items' texts, of unit length.
    benchmarks : sequence of str of length n
        Of each item.

    Raises
    ------
    MissingExtraError
        If scikit-learn is missing.
    """
    usable = np.flatnonzero(np.diff(cas.indptr) >= MIN_ACTIVE_ITEMS)
    width, cas = cas.shape[0], sp.csr_array(cas[usable])
    with one_thread():
        weights = _capped(1 / repeated(embeddings), np.asarray(benchmarks, object))
        scale = scale_of(cas, usable, weights)
        projection, space = _turned(profiles_of(cas, scale), embeddings, weights, seed)
        centres, parent, level = _regions(space, weights, seed)
        xy = _laid_out(centres, parent, level, seed)
    regions = pl.DataFrame(
        {
            "region": np.arange(len(level)),
            "level": level,
            "parent": pl.Series(parent).replace(-1, None),
            "name": [f"region {number}" for number in range(len(level))],
            "kind": "words",
            "x": xy[:, 0],
            "y": xy[:, 1],
            "items": 0.0,
        },
        schema=REGIONS,
    )
    none = np.full(width, -1, np.int32)
    atlas = Atlas(scale, projection, centres, -1.0, none, regions, pl.DataFrame(schema=REGION_COUNTS))
    places, level = places_of(atlas, space), atlas.level(LEVELS)
    inside = members_of(parent, places.region)
    finest = inside[level]
    active = cas @ (finest * weights).T / np.maximum(1e-9, finest @ weights)
    concept_region = none.copy()
    concept_region[usable] = level[active.argmax(axis=1)]
    counts = pl.DataFrame({"benchmark": list(benchmarks), "region": places.region}).group_by("benchmark", "region")
    return replace(
        atlas,
        reach=float(np.quantile(places.likeness, UNLIKE)),
        concept_region=concept_region,
        regions=regions.with_columns(items=pl.Series(inside @ weights, dtype=pl.Float32)),
        counts=counts.len("items").sort("benchmark", "region").cast(pl.Schema(REGION_COUNTS)),
    )


def _capped(weights: np.ndarray, names: np.ndarray) -> np.ndarray:
    capped = weights.copy()
    for name in set(names):
        most = MAX_ORDINARY_ITEMS if name == ORDINARY else MAX_ITEMS
        capped[names == name] *= min(1, most / weights[names == name].sum())
    return capped


def _turned(
    profiles: sp.csr_array, embeddings: np.ndarray, weights: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """From profiles to the part of the embeddings that they foretell: a projection, and the items' unit vectors."""
    from sklearn.decomposition import TruncatedSVD

    weighted = sp.csr_array(sp.diags_array(np.sqrt(weights).astype(np.float32)) @ profiles)
    count = min(VECTORS, min(profiles.shape) - 1)
    vectors = TruncatedSVD(count, random_state=seed).fit(weighted).components_.T
    reduced = np.asarray(profiles @ vectors)
    target = embeddings - weights @ embeddings / weights.sum()
    gram = (reduced.T * weights) @ reduced + weights.mean() * np.eye(count)
    foretold = np.linalg.solve(gram, (reduced.T * weights) @ target)
    axes = np.linalg.svd(np.sqrt(weights)[:, None] * (reduced @ foretold), full_matrices=False)[2][:SINGULAR_VECTORS]
    projection = (vectors @ foretold @ axes.T).astype(np.float16).astype(np.float32)  # as it is kept
    return projection, np.asarray(unit(profiles @ projection), np.float32)


def repeated(space: np.ndarray) -> np.ndarray:
    """How many items repeat each, itself among them: int64 of shape (n,)."""
    return np.concatenate([(space[i : i + 2000] @ space.T > REPEAT).sum(axis=1) for i in range(0, len(space), 2000)])


def _regions(space: np.ndarray, weights: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres, regions above (-1: none) and levels."""
    from sklearn.cluster import KMeans

    centres, parents, levels = list[np.ndarray](), list[int](), list[int]()
    member, above = np.full(len(space), -1), [-1]
    for level, size in enumerate(LEVEL_SIZES, 1):
        finer, begun = member.copy(), list[int]()
        for region in above:
            inside = np.flatnonzero(member == region)
            count = max(1, round(size * weights[inside].sum() / weights.sum()))
            clustering = KMeans(min(count, len(inside)), n_init=STARTS, random_state=seed)
            clustering.fit(space[inside], sample_weight=weights[inside])
            numbers = range(len(parents), len(parents) + clustering.n_clusters)
            finer[inside] = numbers.start + clustering.labels_
            centres.append(clustering.cluster_centers_)
            parents += [region] * len(numbers)
            levels += [level] * len(numbers)
            begun += numbers
        member, above = finer, begun
    kept = unit(np.concatenate(centres)).astype(np.float16).astype(np.float32)
    return kept, np.array(parents), np.array(levels)


def _laid_out(centres: np.ndarray, parent: np.ndarray, level: np.ndarray, seed: int) -> np.ndarray:
    """Places of the regions on the picture, from the finest ones' likeness: float32 of shape (K, 2)."""
    from sklearn.manifold import TSNE

    finest = np.flatnonzero(level == LEVELS)
    layout = TSNE(2, perplexity=min(15, len(finest) / 4), metric="cosine", init="random", random_state=seed)
    inside = members_of(parent, finest)
    xy = layout.fit_transform(centres[finest])
    return np.asarray(inside @ xy / inside.sum(axis=1, keepdims=True), np.float32)


def read_atlas(folder: Path, width: int) -> Atlas | None:
    """The atlas of a dictionary; None: it has none.

    Raises
    ------
    UserError
        If it is damaged, or is of an SAE of another width.
    """
    if not has_table(folder, FILE):
        return None
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays_ = {
            name: array if array.dtype == np.int32 else array.astype(np.float32)
            for name, array in load_file(folder / FILE).items()
        }
        scale = Scale(*(arrays_[name] for name in Scale._fields))
        regions = read_columns(folder / REGIONS_FILE, REGIONS, _AGAIN, nulls=("parent", "name"))
        counts = read_columns(folder / COUNTS_FILE, REGION_COUNTS, _AGAIN)
        arrays = (arrays_["projection"], arrays_["centres"], float(arrays_["reach"][0]), arrays_["concept_region"])
        atlas = Atlas(scale, *arrays, regions, counts)
    except (SafetensorError, OSError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{folder / FILE} is missing or damaged: {error}. {_AGAIN}") from error
    if len(atlas.concept_region) != width or len(atlas.centres) != regions.height:
        raise UserError(
            f"{folder / FILE} has {len(atlas.concept_region):,} concepts and {len(atlas.centres)} regions, expected "
            f"{width:,} and {regions.height}. {_AGAIN}"
        )
    names = [clean_line(name) for name in atlas.regions["name"]]  # the file may come from anyone
    if None in names or not _is_tree(atlas):
        raise UserError(f"{folder / REGIONS_FILE} is damaged: its regions do not form a named tree. {_AGAIN}")
    return replace(atlas, regions=atlas.regions.with_columns(name=pl.Series(names, dtype=pl.String)))


def _is_tree(atlas: Atlas) -> bool:
    """Whether regions are numbered level by level, each lies in one of the level above, and others in finest ones."""
    level = atlas.regions["level"].to_numpy()
    numbered = atlas.regions["region"].to_list() == list(range(len(level)))
    if not numbered or set(level) != {*range(1, LEVELS + 1)} or (np.diff(level) < 0).any():
        return False
    above = np.where((atlas.parent >= 0) & (atlas.parent < len(level)), level[atlas.parent % len(level)], 0)
    places = np.concatenate([atlas.concept_region[atlas.concept_region != -1], atlas.counts["region"].to_numpy()])
    return bool((above == level - 1).all() and np.isin(places, atlas.level(LEVELS)).all())


def write_atlas(folder: Path, atlas: Atlas) -> None:
    """Write the atlas of a dictionary: its three files, all or none."""
    from safetensors.numpy import save_file

    arrays = {
        **atlas.scale._asdict(),
        "projection": atlas.projection.astype(np.float16),
        "centres": atlas.centres.astype(np.float16),
        "reach": np.array([atlas.reach], np.float32),
        "concept_region": atlas.concept_region,
    }
    write_tables(
        folder,
        {
            FILE: lambda path: save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path),
            REGIONS_FILE: atlas.regions.write_parquet,
            COUNTS_FILE: atlas.counts.write_parquet,
        },
    )
