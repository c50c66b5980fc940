"""Regions of the atlas as slices, the location of a run's items in them, and names for the regions of a new atlas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pydantic
import scipy.sparse as sp

from competency_gaps.concepts.atlas import Atlas, examples_of, members_of, places_of, space_of
from competency_gaps.concepts.labelling.labeller import make_request, plain
from competency_gaps.concepts.labels import clean_line
from competency_gaps.reading.by_concept import ByConcept
from competency_gaps.runs.schemas import ITEM_REGIONS
from competency_gaps.scoring.answer_json import Failure, parse
from competency_gaps.scoring.llm import LLMAnswer, ask
from competency_gaps.slices.family import MIN_ITEMS, Family, family_of, subset
from competency_gaps.slices.names import labels_for, with_names
from competency_gaps.util.text import shorten

if TYPE_CHECKING:
    from competency_gaps.items.config import LLMConfig
    from competency_gaps.runs.open import RunFolder
    from competency_gaps.util.progress import Progress

MAX_TEXT_LENGTH = 600
"""Maximum number of characters of an item that are shown to the model that names its region."""
MAX_NAME_WORDS = 5
"""Maximum number of words of a name."""


def located(atlas: Atlas, by_concept: ByConcept, kept: np.ndarray) -> pl.DataFrame:
    """Return where items lie in the atlas: the columns of ``schemas.ITEM_REGIONS``.

    Parameters
    ----------
    kept : ndarray of bool of shape (N,)
        Items that are not excluded; the others get null.
    """
    places = places_of(atlas, space_of(atlas, by_concept, np.flatnonzero(kept)))
    table = pl.DataFrame(places._asdict()).cast(pl.Schema(ITEM_REGIONS))
    position = pl.Series(np.where(kept, np.cumsum(kept) - 1, -1)).replace(-1, None)
    return table.select(pl.all().gather(position))


def regions_of(regions: pl.DataFrame, items: pl.DataFrame) -> Family:
    """Return a slice for each region with at least ``MIN_ITEMS`` of a run's items.

    Items unlike anything in the atlas do not count. A region whose items are all in one of its parts is left out: the
    finer name says more.

    Parameters
    ----------
    regions
        Columns of ``schemas.REGIONS``.
    items
        Columns of ``schemas.ITEM_REGIONS``.
    """
    above = regions["parent"].fill_null(-1).to_numpy()
    inside = items_in(regions, items)
    size = inside.sum(axis=1)
    repeated = above[(above >= 0) & (size == size[above])]
    kept = np.setdiff1d(np.flatnonzero(size >= MIN_ITEMS), repeated)
    names, kinds = regions["name"].to_list(), regions["kind"].to_list()
    # A name made of words quotes the atlas's source texts, which may be these items.
    words = [[name] if kind == "words" else [] for name, kind in zip(names, kinds, strict=True)]
    return subset(replace(_family(inside, above, items), names=names, words=words), kept)


def named_by_words(regions: pl.DataFrame, places: pl.DataFrame, run: RunFolder) -> pl.DataFrame:
    """Return the regions of a new atlas, named by groups, labels of concepts and distinctive words of their items.

    Parameters
    ----------
    regions, places
        Columns of ``schemas.REGIONS`` and ``schemas.ITEM_REGIONS``.
    run
        The run from which the atlas was made.
    """
    above = regions["parent"].fill_null(-1).to_numpy()
    family = _family(items_in(regions, places), above, places)
    items = run.items.with_columns(benchmark=pl.lit(""))  # a benchmark is no subject
    names = with_names(family, items, labels_for(family, run.concepts, run.by_concept)).names
    numbered = [name or f"mixed items ({region})" for region, name in enumerate(names)]
    return _with_names(regions, numbered, "words")


class _Name(pydantic.BaseModel):
    """The language model's answer to a request for a region's name."""

    model_config = pydantic.ConfigDict(extra="forbid")
    name: str


def named_by_model(
    atlas: Atlas, run: RunFolder, rows: np.ndarray, llm: LLMConfig, folder: Path, progress: Progress
) -> pl.DataFrame:
    """Return regions named by a language model that reads their items; without a usable answer, the old name stays.

    Parameters
    ----------
    atlas
        Its regions have names by words, which tell the model what a region's siblings are about.
    rows
        Rows of the run's items from which the atlas was made.
    folder
        Stores the model's answers.
    """
    above, names, texts = (*(atlas.regions[column].to_list() for column in ("parent", "name")), run.items["prompt"])
    requests = []
    for region, shown in enumerate(examples_of(atlas, space_of(atlas, run.by_concept, rows))):
        content = {
            kind: [shorten(plain(texts[int(rows[position])]), MAX_TEXT_LENGTH) for position in places]
            for kind, places in zip(("typical", "borderline"), shown, strict=True)
        }
        content["siblings"] = [
            name for other, name in enumerate(names) if above[other] == above[region] and other != region
        ]
        requests.append(make_request("region", region, content, _Name, 60))
    answers = ask(requests, llm, folder, progress, lambda answer: _name(answer) is not None)
    new: list[str | None] = []
    for request in requests:
        name = _name(answers[request.id]) if request.id in answers else None
        new.append(None if name is None or name.casefold() in {(other or "").casefold() for other in new} else name)
    return _with_names(atlas.regions, new, "written")


def _name(answer: LLMAnswer) -> str | None:
    """Return the name in an answer; None if it is unusable or too long."""
    read = parse(answer, _Name)
    name = None if isinstance(read, Failure) else clean_line(read.name.strip(" .\"'"))
    return name if name is not None and len(name.split()) <= MAX_NAME_WORDS else None


def _with_names(regions: pl.DataFrame, names: Sequence[str | None], kind: str) -> pl.DataFrame:
    """Return regions with new names, marked as of this kind; where a name is None, the old name and kind stay."""
    new = pl.Series(names, dtype=pl.String)
    return regions.with_columns(
        name=pl.coalesce(new, "name"), kind=pl.when(new.is_not_null()).then(pl.lit(kind)).otherwise("kind")
    )


def items_in(regions: pl.DataFrame, places: pl.DataFrame) -> np.ndarray:
    """Return which items lie in each region: bool of shape (K, N); items unlike anything in the atlas lie in none."""
    finest = places.select(pl.when(~pl.col("unlike")).then("region").fill_null(-1)).to_series().to_numpy()
    return members_of(regions["parent"].fill_null(-1).to_numpy(), finest)


def _family(inside: np.ndarray, above: np.ndarray, places: pl.DataFrame) -> Family:
    """Return regions as slices without names, with their most typical items."""
    order = np.argsort(-places["likeness"].fill_null(-1).to_numpy(), kind="stable")
    typical = [order[rows[order]][:2].tolist() for rows in inside]
    family = family_of("regions", sp.csr_array(inside, dtype=np.float32), [""] * len(above), parent=above)
    return replace(family, typical=typical)
