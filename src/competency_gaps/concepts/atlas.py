"""The atlas: a map of topics, as regions of the space of an SAE's concepts, in which any item can be located.

Regions have three levels. Items that repeat each other, as those of a template do, count once together. Of the items
that an atlas is built from, only numbers are stored: scales of concepts, a projection, centres of regions, and counts.
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
"""Approximate number of regions at each level, the coarsest first."""
MAX_SIMILARITY = 0.8
"""Two items with at least this cosine are not both shown as examples of a region."""
TYPICAL, BORDERLINE = 12, 4
"""Maximum numbers of typical and of borderline items that are shown as examples of a region."""
UNLIKE = 0.01
"""Share of the atlas's source items that lie beyond its reach (see :attr:`Atlas.reach`)."""
LEVELS = len(LEVEL_SIZES)
ORDINARY = "ordinary text"
"""Name of the pseudo-benchmark for stretches of plain text."""
MAX_ITEMS, MAX_ORDINARY_ITEMS = 60, 1500
"""Maximum total weight of a benchmark's items, and of ordinary text."""
REPEAT = 0.75
"""Two items repeat each other if the cosine of their embeddings is above this."""
VECTORS = 200
"""Number of singular vectors of the profiles from which embeddings are predicted."""
NEAR_CENTRES = 3
"""Number of centres that determine an item's place on the picture: its region's, and the nearest ones. Its region's is
mostly among these, and then counts twice."""
SPREAD = 0.05
"""Difference of cosines for which a centre's pull on an item is e times as strong."""
STARTS = 20
_AGAIN = "Build the atlas again."


@dataclass(frozen=True)
class Atlas:
    """A map of topics: regions of the space of an SAE's concepts.

    C concepts take part; D dimensions; K regions over all levels.
    """

    scale: Scale
    projection: np.ndarray
    """float32 of shape (C, D)."""
    centres: np.ndarray
    """float32 of shape (K, D), of unit length, in the order of ``regions``."""
    reach: float
    """An item whose cosine to its region's centre is below this is unlike anything in the atlas."""
    concept_region: np.ndarray
    """int32 of shape (width,): finest region in which each concept is most active; -1: it takes no part."""
    regions: pl.DataFrame
    """Columns of ``schemas.REGIONS``: one row per region, numbered from 0, coarse ones first."""
    counts: pl.DataFrame
    """Columns of ``schemas.REGION_COUNTS``: items of the benchmarks that the atlas was built from."""

    def level(self, level: int) -> np.ndarray:
        """Return the numbers of the regions at a level (1, coarse, to 3): int64."""
        return np.flatnonzero(self.regions["level"].to_numpy() == level)

    @property
    def parent(self) -> np.ndarray:
        """Region above each region: int64 of shape (K,); -1: none."""
        return self.regions["parent"].fill_null(-1).to_numpy().astype(np.int64)


class Places(NamedTuple):
    """Location of n items in the atlas."""

    region: np.ndarray
    """int32 of shape (n,): finest region of each item."""
    likeness: np.ndarray
    """float32 of shape (n,): cosine to its centre, in [-1, 1]."""
    unlike: np.ndarray
    """bool of shape (n,): whether the item is unlike anything in the atlas."""
    x: np.ndarray
    """float32 of shape (n,): place on the picture."""
    y: np.ndarray


def space_of(atlas: Atlas, by_concept: ByConcept, rows: np.ndarray) -> np.ndarray:
    """Return the items as unit vectors in the atlas's space: float32 of shape (n, D)."""
    cas = cas_of(by_concept, rows, atlas.scale.concepts)
    return np.asarray(unit(profiles_of(cas, atlas.scale) @ atlas.projection), np.float32)


def places_of(atlas: Atlas, space: np.ndarray) -> Places:
    """Return where items lie in the atlas, from their vectors (float32 of shape (n, D)).

    An item goes to the nearest region of the second level, and within it to the nearest finest one. The first level
    plays no part: a coarse region is the union of its parts, which may lie apart, so its centre locates nothing.
    """
    likeness = space @ atlas.centres.T
    above, fine = atlas.level(LEVELS - 1), atlas.level(LEVELS)
    region = above[likeness[:, above].argmax(axis=1)]
    region = fine[np.where(atlas.parent[fine] == region[:, None], likeness[:, fine], -np.inf).argmax(axis=1)]
    highest = np.take_along_axis(likeness, region[:, None], axis=1).ravel()
    near = np.argsort(-likeness[:, fine], axis=1, kind="stable")[:, : NEAR_CENTRES - 1]
    near = np.column_stack([region, fine[near]])  # an item is drawn near its own region
    pull = np.exp((np.take_along_axis(likeness, near, axis=1) - highest[:, None]) / SPREAD)
    pull /= pull.sum(axis=1, keepdims=True)
    xy = (atlas.regions.select("x", "y").to_numpy()[near] * pull[:, :, None]).sum(axis=1).astype(np.float32)
    return Places(region.astype(np.int32), highest, highest < atlas.reach, xy[:, 0], xy[:, 1])


def members_of(parent: np.ndarray, finest: np.ndarray) -> np.ndarray:
    """Return which items lie in each region, of any level.

    Parameters
    ----------
    parent : ndarray of int of shape (K,)
        Region above each region; -1: none.
    finest : ndarray of int of shape (n,)
        Finest region of each item; -1: none.

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
    """Return typical and borderline items of each region.

    Typical items are the nearest to the centres of the region's finest regions, taken in turn, none too similar to
    another. Borderline items nearly lie in a sibling or, for a coarse region, in a part of another coarse region.

    Parameters
    ----------
    space : ndarray of float32 of shape (n, D)
        From :func:`space_of`.

    Returns
    -------
    list of tuple of list of int
        For each region, rows of ``space``: up to 12 typical and up to 4 borderline items.
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
    """Return the minimum number of items from which an atlas can be built."""
    return MIN_ACTIVE_ITEMS * LEVEL_SIZES[-1]


def make_atlas(cas: sp.csr_array, embeddings: np.ndarray, benchmarks: Sequence[str], *, seed: int = 0) -> Atlas:
    """Return an atlas built from items; its regions have no names yet.

    Its space is the part of the texts' sentence embeddings that ridge regression predicts from the items' profiles. So
    concepts alone locate an item, but by meaning: concepts of form weigh little. Items that repeat each other share the
    weight of one, and no benchmark weighs more than :data:`MAX_ITEMS`. Regions come from k-means on unit vectors, level
    by level within the regions above [ours].

    Parameters
    ----------
    cas : csr_array of float32 of shape (width, n)
        CAS of all concepts on the items.
    embeddings : ndarray of float32 of shape (n, E)
        Sentence embeddings of the items' texts, of unit length.
    benchmarks : sequence of str of length n
        Benchmark of each item.

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
    """Return the weights, scaled down where a benchmark's total exceeds its maximum."""
    capped = weights.copy()
    for name in set(names):
        most = MAX_ORDINARY_ITEMS if name == ORDINARY else MAX_ITEMS
        capped[names == name] *= min(1, most / weights[names == name].sum())
    return capped


def _turned(
    profiles: sp.csr_array, embeddings: np.ndarray, weights: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the projection from profiles to the predictable part of embeddings, and the items' unit vectors there."""
    from sklearn.decomposition import TruncatedSVD

    weighted = sp.csr_array(sp.diags_array(np.sqrt(weights).astype(np.float32)) @ profiles)
    count = min(VECTORS, min(profiles.shape) - 1)
    vectors = TruncatedSVD(count, random_state=seed).fit(weighted).components_.T
    reduced = np.asarray(profiles @ vectors)
    target = embeddings - weights @ embeddings / weights.sum()
    gram = (reduced.T * weights) @ reduced + weights.mean() * np.eye(count)
    foretold = np.linalg.solve(gram, (reduced.T * weights) @ target)
    axes = np.linalg.svd(np.sqrt(weights)[:, None] * (reduced @ foretold), full_matrices=False)[2][:SINGULAR_VECTORS]
    projection = (vectors @ foretold @ axes.T).astype(np.float16).astype(np.float32)  # as it is stored
    return projection, np.asarray(unit(profiles @ projection), np.float32)


def repeated(space: np.ndarray) -> np.ndarray:
    """Return how many items repeat each item, itself included: int64 of shape (n,)."""
    return np.concatenate([(space[i : i + 2000] @ space.T > REPEAT).sum(axis=1) for i in range(0, len(space), 2000)])


def _regions(space: np.ndarray, weights: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the regions' centres, the regions above them (-1: none) and their levels."""
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
    """Return the regions' places on the picture, similar ones close together: float32 of shape (K, 2)."""
    from sklearn.manifold import TSNE

    finest = np.flatnonzero(level == LEVELS)
    layout = TSNE(2, perplexity=min(15, len(finest) / 4), metric="cosine", init="random", random_state=seed)
    inside = members_of(parent, finest)
    xy = layout.fit_transform(centres[finest])
    return np.asarray(inside @ xy / inside.sum(axis=1, keepdims=True), np.float32)


def read_atlas(folder: Path, width: int) -> Atlas | None:
    """Return the atlas of a dictionary; None if it has none.

    Raises
    ------
    UserError
        If it is damaged, or belongs to an SAE of another width.
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
    """Whether regions form a tree.

    They must be numbered level by level, each with a parent one level up; concepts and counts refer to finest ones.
    """
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
