"""Make a dictionary's themes from decoder directions, co-activation and labels, and name them by a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.config import MetricsConfig
from competency_gaps.dictionary.document import has_table
from competency_gaps.dictionary.exemplars.store import POOL, read_pool
from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.dictionary.kinds import CONTEXTUAL, LatentFacts, kinds_of
from competency_gaps.dictionary.label_table import today
from competency_gaps.dictionary.labelling.labeller import Taken, explainer_of
from competency_gaps.dictionary.labelling.requests import Explanation, label_of, make_request, plain
from competency_gaps.dictionary.themes.cluster import find_themes
from competency_gaps.dictionary.themes.features import theme_features
from competency_gaps.dictionary.themes.names import automatic_names
from competency_gaps.dictionary.themes.store import name_table, read_themes, theme_table, write_themes
from competency_gaps.endpoint import Answer, Failure, Request, parse
from competency_gaps.model.embed import embed_texts
from competency_gaps.progress import Progress
from competency_gaps.sae.reference import FILE as REFERENCE_FILE
from competency_gaps.sae.reference import read_reference


def make_themes(
    dictionary: Dictionary, decoder: np.ndarray, progress: Progress, *, fewest: int = 20, most: int = 60, seed: int = 0
) -> dict[str, Any]:
    """Group a dictionary's concepts and write ``themes.parquet`` and ``theme_names.parquet``, named from labels' words.

    Concepts without exemplars are in no theme; if the dictionary has no exemplars, concepts with a zero decoder
    direction are in none. With a reference in the dictionary's folder only contextual concepts, and those of unknown
    kind, are in themes.

    Parameters
    ----------
    decoder : ndarray of float32 of shape (concepts, d_in)

    Returns
    -------
    dict
        Counts, and the views that took part.
    """
    use = np.linalg.norm(decoder, axis=1) > 0
    firing = read_pool(dictionary.folder)[1] if has_table(dictionary.folder, POOL) else None
    if dictionary.has_exemplars:
        known = np.zeros(len(use), bool)
        known[dictionary.exemplars.concepts] = True
        use &= known
    if (dictionary.folder / REFERENCE_FILE).is_file():
        reference = read_reference(dictionary.folder / REFERENCE_FILE, dictionary.width)
        kinds = kinds_of(LatentFacts.of_reference(reference), MetricsConfig())
        use &= np.array([kind in (CONTEXTUAL, None) for kind in kinds])
    shown = dictionary.shown()
    labels = shown["label"].to_list()
    with progress.stage("embedding labels"):
        embedded = _embedded(meanings(shown, use))
    with progress.stage("describing concepts"):
        features = theme_features(decoder, firing, embedded, use=use, seed=seed)
    with progress.stage("grouping concepts"):
        tree = find_themes(features, seed=seed, fewest=fewest, most=most)
    table = theme_table(tree, use)
    numbers = [table[level].fill_null(-1).to_numpy() for level in ("theme", "subtheme")]
    names = name_table(automatic_names(labels, *numbers), table)
    write_themes(dictionary.folder, table, names)
    return {
        "themes": names.filter(pl.col("level") == "theme").height,
        "subthemes": names.filter(pl.col("level") == "subtheme").height,
        "concepts": int(use.sum()),
        "views": ["decoder"] + ["firing"] * (firing is not None) + ["labels"] * (embedded is not None),
    }


ENOUGH = 0.25
"""Share of the concepts in use from which on labels that somebody wrote are enough."""


def meanings(shown: pl.DataFrame, use: np.ndarray) -> list[str | None]:
    """Labels of the concepts in use that say what these are about; None for all others.

    Automatic labels count only where fewer than a quarter of the concepts have another: they share their form ("text
    about ..."), which would make a theme of its own of the concepts that nobody could name.

    Parameters
    ----------
    shown
        A row per concept, as :func:`~competency_gaps.dictionary.label_table.shown_labels` gives it.
    use : ndarray of bool of shape (concepts,)
    """
    labelled = shown["label"].is_not_null().to_numpy() & use
    read = labelled & (shown["label_kind"] != "automatic").fill_null(False).to_numpy()
    chosen = read if read.sum() >= ENOUGH * use.sum() else labelled
    return [label if counts else None for label, counts in zip(shown["label"], chosen.tolist(), strict=True)]


def _embedded(labels: list[str | None]) -> np.ndarray | None:
    """Label embeddings of shape (concepts, d), NaN rows where there is no label; None without any."""
    places = [i for i, label in enumerate(labels) if label]
    if not places:
        return None
    vectors = embed_texts([str(labels[i]) for i in places])
    embedded = np.full((len(labels), vectors.shape[1]), np.nan, np.float32)
    embedded[places] = vectors
    return embedded


SHOWN = 40
"""Labels of a theme that are shown: explained ones first, then at an even stride."""


def theme_requests(dictionary: Dictionary) -> dict[int, Request]:
    """A request for each theme, by its number; themes without a labelled concept have none."""
    themes, _ = read_themes(dictionary.folder, dictionary.width)
    shown = dictionary.shown()
    requests = {}
    for (theme,), part in themes.drop_nulls().sort("concept").group_by("theme", maintain_order=True):
        rows = shown.filter(pl.col("label").is_not_null() & pl.col("concept").is_in(part["concept"].to_list()))
        explained = rows.filter(pl.col("label_kind") == "explained")["label"].to_list()
        others = rows.filter(pl.col("label_kind") != "explained")["label"].to_list()
        labels = _some(explained, SHOWN) + _some(others, max(0, SHOWN - len(explained)))
        if labels:
            number, content = int(str(theme)), {"labels": [plain(label) for label in labels]}
            requests[number] = make_request("theme", number, content, Explanation, 60)
    return requests


def take_theme_names(
    dictionary: Dictionary, asked: Mapping[int, Request], answers: Mapping[str, Answer], explainer: str | None
) -> Taken:
    """Store the names; a theme whose answer abstains or cannot be read keeps the name it has.

    Parameters
    ----------
    explainer
        Name of the model; None: the one that each answer names.

    Raises
    ------
    UserError
        If a name's explainer is not known; nothing is stored.
    """
    themes, names = read_themes(dictionary.folder, dictionary.width)
    taken = Taken()
    new: dict[int, dict[str, str]] = {}
    for theme, request in asked.items():
        answer = answers.get(request.id)
        if answer is None:
            continue
        read = parse(answer, Explanation)
        if isinstance(read, Failure):
            taken.failed.append((theme, read.reason))
        elif (name := label_of(read)) is None:
            taken.abstained += 1
        else:
            who = explainer_of(answer, explainer)
            new[theme] = {"name": name, "kind": "explained", "explainer": who, "date": today()}
    rows = [
        {**row, **(new.get(row["id"], {}) if row["level"] == "theme" else {})} for row in names.iter_rows(named=True)
    ]
    if new:
        write_themes(dictionary.folder, themes, pl.DataFrame(rows, schema=names.schema))
    taken.stored = len(new)
    return taken


def _some(labels: list[str], count: int) -> list[str]:
    if len(labels) <= count:
        return labels
    return [labels[i] for i in np.linspace(0, len(labels) - 1, count).astype(int)] if count else []
