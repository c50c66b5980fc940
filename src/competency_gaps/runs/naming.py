"""A dictionary put on a run: each concept's shown label, and its themes with statistics of their own.

Only tables are read, so a finished run can be named anew, without model or torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.dictionary import label_table
from competency_gaps.dictionary.folder import FILE as DICTIONARY
from competency_gaps.dictionary.folder import check_same_sae
from competency_gaps.dictionary.open import Dictionary, open_dictionary
from competency_gaps.dictionary.themes.store import NAMES, THEMES, read_themes
from competency_gaps.files import sha256, write_atomic
from competency_gaps.runs.manifest import write_manifest
from competency_gaps.runs.open import Run, open_run
from competency_gaps.runs.themes import BENCHMARKS, RESULTS, write_theme_tables

LABEL_COLUMNS = ("label", "label_kind", "label_score", "label_scored_by", "explainer", "label_state")
THEME_FILES = (THEMES, NAMES, RESULTS, BENCHMARKS)


def find_dictionary(configured: Path | None, sae_folder: Path | None) -> Path | None:
    """The dictionary that was asked for, else the SAE's own folder, if it is one."""
    if configured is not None:
        return configured
    own = sae_folder is not None and (sae_folder / DICTIONARY).is_file()
    return sae_folder if own else None


def check_dictionary(folder: Path, sae_identity: dict[str, Any]) -> Dictionary:
    """Open a dictionary for a run of this SAE; faults show before anything is computed.

    Raises
    ------
    UserError
        If it is none, damaged, or of another SAE.
    """
    dictionary = open_dictionary(folder)
    check_same_sae(dictionary.identity, sae_identity)
    dictionary.labels()
    if (folder / THEMES).is_file():
        read_themes(folder, dictionary.width)
    return dictionary


def name_run(run: Run, dictionary: Dictionary | None) -> dict[str, Any] | None:
    """Write labels into a run's table of concepts, and its themes with their statistics beside it.

    Parameters
    ----------
    dictionary
        None takes labels and themes away.

    Returns
    -------
    dict or None
        What the manifest says of the dictionary.
    """
    for name in THEME_FILES:
        (run.path / name).unlink(missing_ok=True)
    table = dictionary.labels() if dictionary is not None else label_table.empty_labels()
    shown = label_table.shown_labels(table, run.width)
    concepts = pl.read_parquet(run.path / "concepts.parquet")
    concepts = concepts.drop(*LABEL_COLUMNS, strict=False)
    first, rest = concepts.columns[:1], concepts.columns[1:]
    named = concepts.join(shown, on="concept", how="left", maintain_order="left")
    write_atomic(run.path / "concepts.parquet", named.select(*first, *LABEL_COLUMNS, *rest).write_parquet)
    if dictionary is None:
        return None
    facts: dict[str, Any] = {
        "name": dictionary.folder.name,
        "labelled": int(shown["label"].is_not_null().sum()),
        "kinds": dict(shown["label_kind"].drop_nulls().value_counts().sort("label_kind").iter_rows()),
        "themes": None,
    }
    labels = dictionary.folder / label_table.FILE
    if labels.is_file():
        facts["labels_sha256"] = sha256(labels)
    if (dictionary.folder / THEMES).is_file():
        themes, names = read_themes(dictionary.folder, run.width)
        write_atomic(run.path / THEMES, themes.write_parquet)
        write_atomic(run.path / NAMES, names.write_parquet)
        facts["themes"] = names.filter(pl.col("level") == "theme").height
        write_theme_tables(Run(run.path, run.manifest))
    return facts


def name_finished_run(folder: Path, dictionary: Path) -> Run:
    """Put a dictionary on a finished run.

    Raises
    ------
    UserError
        If one of them is none, or they are of different SAEs.
    """
    run = open_run(folder)
    opened = check_dictionary(dictionary, run.manifest["sae"])
    facts = name_run(run, opened)
    content = {key: value for key, value in run.manifest.items() if key != "schema_version"}
    write_manifest(folder, {**content, "dictionary": facts})
    return open_run(folder)
