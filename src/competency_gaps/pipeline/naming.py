"""Add a dictionary to a run: the displayed label of each concept, and the location of the items in its atlas.

Only tables are read, so a finished run can be named again without model or torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.concepts.atlas import Atlas, read_atlas
from competency_gaps.concepts.document import files_of
from competency_gaps.concepts.folder import Dictionary, open_dictionary
from competency_gaps.concepts.labels import FILE as LABELS_FILE
from competency_gaps.concepts.labels import empty_labels, shown_labels
from competency_gaps.concepts.scopes import scope_table
from competency_gaps.model.embed import embed_texts, has_default_model
from competency_gaps.runs.manifest import LISTS, SLICES_FILE, write_tables
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.schemas import LABELS
from competency_gaps.slices.make import renamed_slices
from competency_gaps.slices.regions import located
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import sha256
from competency_gaps.util.lock import hold

SCOPES = "scopes.parquet"
REGIONS, COUNTS, ITEMS = "regions.parquet", "region_counts.parquet", "item_regions.parquet"
"""Files of the tables that only a run with an atlas has."""


def check_dictionary(folder: Path, sae_identity: dict[str, Any]) -> Dictionary:
    """Return a dictionary, checked against a run's SAE before anything is computed.

    Raises
    ------
    UserError
        If the folder is not a dictionary, is damaged, or belongs to another SAE.
    """
    dictionary = open_dictionary(folder, sae_identity)
    dictionary.labels()
    read_atlas(folder, dictionary.width)
    return dictionary


def name_run(run: RunFolder, dictionary: Dictionary | None) -> tuple[dict[str, pl.DataFrame | None], dict[str, Any]]:
    """Return a run's tables with labels and regions of a dictionary, and with the slices that depend on these.

    Parameters
    ----------
    dictionary
        None removes labels and regions.

    Returns
    -------
    tables
        For :func:`~competency_gaps.runs.manifest.write_tables`.
    changed
        Changed keys of the manifest: ``dictionary``, and ``slices`` if the run has any.
    """
    table = dictionary.labels() if dictionary is not None else empty_labels()
    shown = shown_labels(table, run.width)
    atlas = read_atlas(dictionary.folder, run.width) if dictionary is not None else None
    mapped = {} if atlas is None else _mapped(run, atlas)
    hung = np.full(run.width, -1) if atlas is None else atlas.concept_region
    named = _named(run, shown.with_columns(region=pl.Series(hung, dtype=pl.Int32).replace(-1, None)))
    stale = (*(f"{LISTS}/{file.name}" for file in (run.path / LISTS).glob("*.json")), REGIONS, COUNTS, ITEMS)
    tables = {**dict.fromkeys(stale), **mapped, "concepts.parquet": named}
    tables[SCOPES] = None if atlas is None else _scopes(run, atlas.regions)
    changed = {"dictionary": None if dictionary is None else _facts(dictionary, shown, mapped)}
    if run.files.has("slices"):
        regions = (mapped[REGIONS], mapped[ITEMS]) if mapped else None
        tables[SLICES_FILE], changed["slices"] = renamed_slices(run, named, regions)
    return tables, changed


def _mapped(run: RunFolder, atlas: Atlas) -> dict[str, pl.DataFrame]:
    """Return a run's tables of regions, by file name."""
    kept = run.files.collect("items", run.scan("items").select(pl.col("excluded").is_null()))["excluded"]
    return {REGIONS: atlas.regions, COUNTS: atlas.counts, ITEMS: located(atlas, run.by_concept, kept.to_numpy())}


def _scopes(run: RunFolder, regions: pl.DataFrame) -> pl.DataFrame | None:
    """Return the regions in the benchmarks' scopes; None if no scope is stated, or names cannot be embedded here."""
    stated = {str(entry["name"]): entry.get("scope") for entry in run.manifest["benchmarks"]}
    if not any(stated.values()) or not has_default_model():
        return None
    return scope_table(regions, stated, embed_texts)


def _named(run: RunFolder, shown: pl.DataFrame) -> pl.DataFrame:
    """Return the run's table of concepts with new labels and regions."""
    concepts = run.files.collect("concepts", run.scan("concepts")).drop(*LABELS, strict=False)
    first, rest = concepts.columns[:1], concepts.columns[1:]
    named = concepts.join(shown, on="concept", how="left", maintain_order="left")
    return named.select(*first, *LABELS, *rest)


def _facts(dictionary: Dictionary, shown: pl.DataFrame, mapped: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """Return the manifest's record of a dictionary."""
    labels = dictionary.folder / LABELS_FILE
    return {
        "name": dictionary.folder.name,
        "folder": str(dictionary.folder.resolve()),
        "labelled": int(shown["label"].is_not_null().sum()),
        "kinds": dict(shown["label_kind"].drop_nulls().value_counts().sort("label_kind").iter_rows()),
        "regions": mapped[REGIONS].filter(pl.col("level") == 3).height if mapped else None,
        "labels_sha256": sha256(labels) if labels.is_file() else None,
    }


def name_finished_run(folder: Path, dictionary: Path) -> RunFolder:
    """Add a dictionary to a finished run, and return the run.

    Raises
    ------
    UserError
        If a folder is not a run or not a dictionary, or they belong to different SAEs.
    """
    with hold(folder):
        run = open_folder(folder)
        known = files_of(dictionary)
        opened = check_dictionary(dictionary, run.manifest["sae"])
        tables, changed = name_run(run, opened)
        if files_of(dictionary) != known:
            raise UserError(f"the dictionary {dictionary} changed while it was being read: repeat the command.")
        write_tables(folder, tables, **changed)
    return open_folder(folder)
