"""Make the slices of a run, one family after another, and rename them when labels or regions change."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from competency_gaps.items.config import LLMConfig, SlicesConfig
from competency_gaps.items.options import asked
from competency_gaps.items.registry import SLICES
from competency_gaps.model.embed import HUB, NoModelError, embed_texts
from competency_gaps.runs.manifest import SLICES_FILE, write_tables
from competency_gaps.slices import columns as by_column
from competency_gaps.slices import features as by_feature
from competency_gaps.slices import lists as by_list
from competency_gaps.slices import regions as by_region
from competency_gaps.slices import skills as by_skill
from competency_gaps.slices.family import Family, family_of, subset
from competency_gaps.slices.names import Vocabulary, labels_for, phrases, phrases_for, with_names
from competency_gaps.slices.store import stored, stored_families
from competency_gaps.slices.tree import MIN_TREE_ITEMS, concept_space, tree_of
from competency_gaps.util.errors import MissingExtraError, UserError, no_such
from competency_gaps.util.lock import hold
from competency_gaps.util.progress import Progress

if TYPE_CHECKING:
    from competency_gaps.runs.open import RunFolder


@dataclass(frozen=True)
class Source:
    """A run, with the settings from which its slices are made."""

    run: RunFolder
    config: SlicesConfig = field(default_factory=SlicesConfig)
    llm: LLMConfig | None = None
    """Model that names the skills; None: only earlier answers are used."""
    progress: Progress = field(default_factory=lambda: Progress(quiet=True))

    @cached_property
    def kept(self) -> np.ndarray:
        """Rows of ``items.parquet`` that are not excluded: int64 of shape (kept items,)."""
        return np.flatnonzero(self.run.items["excluded"].is_null().to_numpy())

    @property
    def seed(self) -> int:
        """Seed of the trees: that of the run's evidence."""
        return int(self.run.manifest["evidence"]["seed"])


def write_slices(run: RunFolder, source: Source | None = None) -> None:
    """Make the slices of a finished run again and store them.

    Parameters
    ----------
    source
        Run and settings; None: the settings of the run's configuration.
    """
    with hold(run.path):
        table, record = make_slices(source or Source(run, SlicesConfig(**run.manifest["settings"].get("slices", {}))))
        write_tables(run.path, {SLICES_FILE: table}, slices=record)


def renamed_slices(
    run: RunFolder, table: pl.DataFrame, regions: tuple[pl.DataFrame, pl.DataFrame] | None
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return the slices of a run after a change of labels or regions, as :func:`make_slices` does.

    Parameters
    ----------
    table
        The new ``concepts.parquet``.
    regions
        The new ``regions.parquet`` and ``item_regions.parquet``; None: there is no atlas.
    """
    before = [family for family in stored_families(run) if family.name != "regions"]
    families = {family.name: family for family in before}
    wanted = run.manifest["settings"].get("slices", {}).get("families")
    if regions is not None and (wanted is None or "regions" in wanted):
        families["regions"] = by_region.regions_of(*regions)
    order = list(SLICES if wanted is None else wanted)
    names = sorted(families, key=lambda name: order.index(name) if name in order else len(order))
    embedder = run.manifest["settings"].get("slices", {}).get("embedder")
    return stored(with_tree_names(run, [families[name] for name in names if families[name].names], table, embedder))


def make_slices(source: Source) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return the slices of a run, made from its items and activations.

    These are the families that the configuration names; if it names none, those whose requirements are met.

    Returns
    -------
    tuple of DataFrame and dict
        The columns of :data:`~competency_gaps.runs.schemas.SLICES`, and the manifest's record: for each family its
        number of ``slices`` and what it was ``made_with``.

    Raises
    ------
    UserError
        If the configuration names an unknown family, or a plug-in's slices are invalid.
    MissingExtraError
        If a family that the configuration names needs a package that is not installed.
    NoModelError
        If such a family needs a model that is not here and cannot be fetched.
    """
    wanted = source.config.families
    configured = {"clusters": source.config.embedder is not None, "skills": source.config.skills}
    families = []
    for name in SLICES if wanted is None else dict.fromkeys(wanted):
        if name not in SLICES:
            raise no_such("slices.families: there is no", name, SLICES)
        try:
            version = SLICES.version(name)
            family = SLICES[name](source) if version is None else _added(source.run, name, version)
        except (MissingExtraError, NoModelError) as error:
            if wanted is not None or configured.get(name):
                raise
            if isinstance(error, NoModelError):
                source.progress.say(f"The slices {name!r} are left out: {error}")
            continue
        if family is not None and family.names:
            families.append(family)
    return stored(with_tree_names(source.run, families, source.run.concepts, source.config.embedder))


def columns(source: Source) -> Family | None:
    """Return slices by the items' columns."""
    return by_column.columns(source.run.items)


def features(source: Source) -> Family | None:
    """Return slices by features of the items' text, options and answer."""
    return by_feature.features(source.run.items)


def lists(source: Source) -> Family | None:
    """Return slices by entries of the lists that the configuration names."""
    return by_list.lists(source.run.items, source.config.lists, source.progress)


def regions(source: Source) -> Family | None:
    """Return slices by the atlas's regions; None without an atlas."""
    table, items = source.run.regions, source.run.item_regions
    return None if table is None or items is None else by_region.regions_of(table, items)


def profiles(source: Source) -> Family | None:
    """Return a tree of the items by their concepts; None with too few items, or without a reading."""
    if len(source.kept) < MIN_TREE_ITEMS or not source.run.has_reading:
        return None
    space = concept_space(source.run.by_concept, source.kept, source.seed)
    return _tree(source, "profiles", space, source.kept, {"scikit-learn": importlib.metadata.version("scikit-learn")})


def questions(items: pl.DataFrame) -> list[str]:
    """Return the text of each item, with its options."""
    return [asked(*row) for row in items.select("prompt", "choices").iter_rows()]


def clusters(source: Source) -> Family | None:
    """Return a tree of the items by sentence embeddings; None with too few items."""
    if len(source.kept) < MIN_TREE_ITEMS:
        return None
    space = embed_texts(questions(source.run.items[source.kept]), source.config.embedder, source.progress)
    return _tree(source, "clusters", space, source.kept, {"embedder": source.config.embedder or HUB})


def skills(source: Source) -> Family | None:
    """Return a tree of the skills that a language model names, one per item; None with too few.

    The model is asked only if skills are configured; otherwise earlier answers are used.
    """
    if source.config.skills:
        embed_texts([], source.config.embedder)  # else the model is asked in vain
    phrases = by_skill.phrases(source.run, source.kept, source.llm if source.config.skills else None, source.progress)
    rows = np.array(sorted(phrases), np.int64)
    if len(rows) < MIN_TREE_ITEMS:
        return None
    space = embed_texts([phrases[row] for row in rows.tolist()], source.config.embedder)
    tree = _tree(source, "skills", space, rows, {"embedder": source.config.embedder or HUB})
    return None if tree is None else by_skill.with_central_phrases(tree, phrases)


def _tree(source: Source, name: str, space: np.ndarray, rows: np.ndarray, made_with: dict[str, Any]) -> Family | None:
    """Return a tree of items by their vectors, with a record of what it depends on."""
    tree = tree_of(name, space, rows, source.run.items.height, source.seed)
    if tree is None:
        return None
    return replace(tree, made_with={**made_with, "seed": source.seed})


def with_tree_names(
    run: RunFolder, families: Sequence[Family], concepts: pl.DataFrame, embedder: str | None
) -> list[Family]:
    """Return the families with nodes of ``profiles`` and ``clusters`` named, each differently from all other slices.

    A node that cannot be named is dropped: nobody could act on it.

    Parameters
    ----------
    concepts
        Table of concepts; their labels name nodes if there is no sentence-embedding model.
    """
    trees = [family for family in families if family.name in ("profiles", "clusters")]
    taken = [name for family in families if family.name not in ("profiles", "clusters") for name in family.names]
    taken += concepts["label"].drop_nulls().to_list()
    named = dict[str, Family]()
    for family in trees:
        rows = np.unique(family.weights.indices)
        vocabulary: Vocabulary | None
        try:
            vectors, of_phrases = embed_texts(questions(run.items[rows]), embedder), embed_texts(phrases(), embedder)
            vocabulary = phrases_for(family, rows, vectors, of_phrases)
        except (MissingExtraError, NoModelError):
            vocabulary = labels_for(family, concepts, run.by_concept) if run.has_reading else None
        tree = with_names(family, run.items, vocabulary, taken)
        named[family.name] = subset(tree, np.flatnonzero(np.array(tree.names) != ""))
        taken += named[family.name].names
    return [named.get(family.name, family) for family in families]


def _added(run: RunFolder, name: str, version: str) -> Family | None:
    """Return the family of a plug-in, which is a function from a run to weights by name of slice; None if it gives
    none.
    """
    weights: Mapping[str, Sequence[float]] = SLICES[name](run)
    if not weights:
        return None
    rows = [np.nan_to_num(np.asarray(row, np.float32)) for row in weights.values()]
    for label, row in zip(weights, rows, strict=True):
        if row.shape != (run.items.height,) or row.min(initial=0) < 0 or row.max(initial=0) > 1:
            raise UserError(
                f"the slices {name!r}: {label!r} has weights of shape {row.shape} from {row.min(initial=0):g} to "
                f"{row.max(initial=0):g}, expected {run.items.height} from 0 to 1, one for each row of run.items."
            )
    return replace(family_of(name, rows, [str(label) for label in weights]), made_with={"version": version})
