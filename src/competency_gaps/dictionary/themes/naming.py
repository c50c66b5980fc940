"""Name themes by a model that reads their concepts' labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import polars as pl

from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.dictionary.labelling.labeller import Taken, explainer_of, today
from competency_gaps.dictionary.labelling.requests import Explanation, label_of, plain, prompt
from competency_gaps.dictionary.themes.store import read_themes, write_themes
from competency_gaps.endpoint import Answer, Failure, Request, parse

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
            text = json.dumps({"labels": [plain(label) for label in labels]}, ensure_ascii=False)
            digest = hashlib.sha256((prompt("theme") + text).encode()).hexdigest()[:8]
            schema = Explanation.model_json_schema()
            requests[int(str(theme))] = Request(f"theme-{theme}-{digest}", prompt("theme"), text, schema, "theme", 60)
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
    taken, new = Taken(), {}
    who: dict[int, str] = {}
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
            new[theme], who[theme] = name, explainer_of(answer, explainer)
    rows = [
        {**row, "name": new[row["id"]], "kind": "explained", "explainer": who[row["id"]], "date": today()}
        if row["level"] == "theme" and row["id"] in new
        else row
        for row in names.iter_rows(named=True)
    ]
    if new:
        write_themes(dictionary.folder, themes, pl.DataFrame(rows, schema=names.schema))
    taken.stored = len(new)
    return taken


def _some(labels: list[str], count: int) -> list[str]:
    if len(labels) <= count:
        return labels
    return [labels[i] for i in np.linspace(0, len(labels) - 1, count).astype(int)] if count else []
