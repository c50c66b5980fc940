"""Make a dictionary's themes from decoder directions, co-activation and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.dictionary.embed import embed_texts
from competency_gaps.dictionary.exemplars.store import POOL, read_pool
from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.dictionary.themes.cluster import find_themes
from competency_gaps.dictionary.themes.features import theme_features
from competency_gaps.dictionary.themes.names import automatic_names
from competency_gaps.dictionary.themes.store import name_table, theme_table, write_themes
from competency_gaps.progress import Progress


def make_themes(
    dictionary: Dictionary, decoder: np.ndarray, progress: Progress, *, fewest: int = 20, most: int = 60, seed: int = 0
) -> dict[str, Any]:
    """Group a dictionary's concepts and write ``themes.parquet`` and ``theme_names.parquet``, named from labels' words.

    Concepts without exemplars are in no theme; if the dictionary has no exemplars, concepts with a zero decoder
    direction are in none.

    Parameters
    ----------
    decoder : ndarray of float32 of shape (concepts, d_in)

    Returns
    -------
    dict
        Counts, and the views that took part.
    """
    firing: sp.csr_array | None = None
    use = np.linalg.norm(decoder, axis=1) > 0
    if (dictionary.folder / POOL).is_file():
        _, firing = read_pool(dictionary.folder)
    if dictionary.has_exemplars:
        known = np.zeros(len(use), bool)
        known[dictionary.exemplars.concepts] = True
        use &= known
    labels = dictionary.shown()["label"].to_list()
    with progress.stage("embedding labels"):
        embedded = _embedded(labels)
    with progress.stage("describing concepts"):
        features = theme_features(decoder, firing, embedded, use=use, seed=seed)
    with progress.stage("grouping concepts"):
        tree = find_themes(features, seed=seed, fewest=fewest, most=most)
    table = theme_table(tree, use)
    of = [(table[level].fill_null(-1).to_numpy()) for level in ("theme", "subtheme")]
    names = name_table(automatic_names(labels, *of), table)
    write_themes(dictionary.folder, table, names)
    return {
        "themes": names.filter(pl.col("level") == "theme").height,
        "subthemes": names.filter(pl.col("level") == "subtheme").height,
        "concepts": int(use.sum()),
        "views": [
            "decoder",
            *(["firing"] if firing is not None else []),
            *(["labels"] if embedded is not None else []),
        ],
    }


def _embedded(labels: list[str | None]) -> np.ndarray | None:
    """Label embeddings of shape (concepts, d), NaN rows where there is no label; None without any."""
    places = [i for i, label in enumerate(labels) if label]
    if not places:
        return None
    vectors = embed_texts([str(labels[i]) for i in places])
    embedded = np.full((len(labels), vectors.shape[1]), np.nan, np.float32)
    embedded[places] = vectors
    return embedded
