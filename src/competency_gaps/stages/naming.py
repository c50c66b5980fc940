"""Add a dictionary to a run: the displayed label of each concept, and the dictionary's themes with statistics.

Only tables are read, so a finished run can be named again without model or torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.dictionary import label_table
from competency_gaps.dictionary.folder import Dictionary, open_dictionary
from competency_gaps.dictionary.themes.store import NAMES, THEMES, read_themes
from competency_gaps.files import sha256, write_atomic
from competency_gaps.findings import relabel_findings
from competency_gaps.matching.kept import forget_matches
from competency_gaps.runs.manifest import write_manifest
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.stages.themes import BENCHMARKS, RESULTS, run_theme_tables

LABEL_COLUMNS = ("label", "label_kind", "label_score", "label_scored_by", "explainer", "label_state")
THEME_FILES = (THEMES, NAMES, RESULTS, BENCHMARKS)


def check_dictionary(folder: Path, sae_identity: dict[str, Any]) -> Dictionary:
    """Open a dictionary and check that it fits a run's SAE, before anything is computed.

    Raises
    ------
    UserError
        If the folder is not a dictionary, is damaged, or belongs to another SAE.
    """
    dictionary = open_dictionary(folder, sae_identity)
    dictionary.labels()
    if (folder / THEMES).is_file():
        read_themes(folder, dictionary.width)
    return dictionary


def name_run(run: RunFolder, dictionary: Dictionary | None) -> dict[str, Any] | None:
    """Write labels into a run's table of concepts, and its themes with their statistics.

    Parameters
    ----------
    dictionary
        None removes labels and themes.

    Returns
    -------
    dict or None
        The manifest's record of the dictionary.
    """
    table = dictionary.labels() if dictionary is not None else label_table.empty_labels()
    shown = label_table.shown_labels(table, run.width)
    themed = _themed(run, dictionary) if dictionary is not None else {}
    # Everything is computed before anything is written, so that an error leaves the run unchanged.
    forget_matches(run.path)
    for name in THEME_FILES:
        if name not in themed:
            (run.path / name).unlink(missing_ok=True)
    for name, frame in themed.items():
        write_atomic(run.path / name, frame.write_parquet)
    write_atomic(run.path / "concepts.parquet", _named(run.path, shown).write_parquet)
    relabel_findings(run)
    return None if dictionary is None else _facts(dictionary, shown, themed)


def _themed(run: RunFolder, dictionary: Dictionary) -> dict[str, pl.DataFrame]:
    """A run's tables of themes, by file; none if the dictionary has none."""
    if not (dictionary.folder / THEMES).is_file():
        return {}
    themes, names = read_themes(dictionary.folder, run.width)
    tables = run_theme_tables(run, themes)
    return {THEMES: themes, NAMES: names, RESULTS: tables.results, BENCHMARKS: tables.benchmarks}


def _named(folder: Path, shown: pl.DataFrame) -> pl.DataFrame:
    """The run's table of concepts with these labels."""
    concepts = pl.read_parquet(folder / "concepts.parquet").drop(*LABEL_COLUMNS, strict=False)
    first, rest = concepts.columns[:1], concepts.columns[1:]
    named = concepts.join(shown, on="concept", how="left", maintain_order="left")
    return named.select(*first, *LABEL_COLUMNS, *rest)


def _facts(dictionary: Dictionary, shown: pl.DataFrame, themed: dict[str, pl.DataFrame]) -> dict[str, Any]:
    labels = dictionary.folder / label_table.FILE
    return {
        "name": dictionary.folder.name,
        "labelled": int(shown["label"].is_not_null().sum()),
        "kinds": dict(shown["label_kind"].drop_nulls().value_counts().sort("label_kind").iter_rows()),
        "themes": themed[NAMES].filter(pl.col("level") == "theme").height if themed else None,
        "labels_sha256": sha256(labels) if labels.is_file() else None,
    }


def name_finished_run(folder: Path, dictionary: Path) -> RunFolder:
    """Add a dictionary to a finished run.

    Raises
    ------
    UserError
        If either folder is not what it should be, or they belong to different SAEs.
    """
    run = open_folder(folder)
    opened = check_dictionary(dictionary, run.manifest["sae"])
    facts = name_run(run, opened)
    content = {key: value for key, value in run.manifest.items() if key != "schema_version"}
    write_manifest(folder, {**content, "dictionary": facts})
    return open_folder(folder)
