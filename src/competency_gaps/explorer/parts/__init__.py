"""A run in parts: named byte strings, made when they are asked for.

``run.json`` all that is small; ``concepts.parquet`` and, for the benchmark at place K, ``concepts/K.parquet``;
``items.parquet``; with an atlas ``item_regions.parquet``; ``coverage/0.json``, what the suite leaves out, and of
several benchmarks ``coverage/K.json``, what the one before place K does; ``concept/N.json`` and ``item/N.json``, the
details of some of them; ``active/N.json``, the concepts that are active in the items of ``item/N.json``.

Of a run with scores ``answers/K.json`` says what was found of the model at place K, ``slices.json`` and
``slice_items.parquet`` on which slices, and ``scores.parquet`` has all scores. With the scores of several models there
are also ``models.json``, and from a server ``pairs/N.json``, one of them against another: 21 models make 420 pairs,
each of which takes a second. A run that was compared with other people's lists has ``matches.json``.
``improve.json`` has what ``cgaps improve`` wrote. What the JSON holds is written down in ``records/``, the columns of
the tables in ``tables.py`` and ``answers.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from competency_gaps.explorer.parts import answers, tables
from competency_gaps.explorer.parts.concept import concept_details
from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.improve import improve_file
from competency_gaps.explorer.parts.item import item_concepts, item_details
from competency_gaps.explorer.parts.names import last_names
from competency_gaps.explorer.parts.records import as_json, plain
from competency_gaps.explorer.parts.records.details import MatchesFile
from competency_gaps.explorer.parts.run_info import run_info

__all__ = ["Context", "NoSuchPartError", "Parts", "as_json"]

_DETAIL = re.compile(
    r"(answers|coverage|concepts|concept|item|active|pairs)/(0|[1-9][0-9]{0,8})(\.parquet|\.json)", re.ASCII
)
_DETAILS: dict[str, Callable[[Context, range], Any]] = {
    "concept": concept_details,
    "item": item_details,
    "active": item_concepts,
}


class NoSuchPartError(LookupError):
    """A name that no part of the run has."""


class Parts:
    """The parts of one run."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def names(self) -> Iterator[str]:
        """Names of all parts, in the order in which a page wants them."""
        yield from self._whole
        for kind in ("answers", "coverage", "concepts", *_DETAILS, "pairs"):
            end = "parquet" if kind == "concepts" else "json"
            yield from (f"{kind}/{number}.{end}" for number in range(self._count(kind)))

    def read(self, name: str) -> bytes:
        """Make a part.

        Parameters
        ----------
        name : str
            One of :meth:`names`.

        Raises
        ------
        NoSuchPartError
            If there is no such part.
        UserError
            If the run is damaged.
        """
        if name in self._whole:
            made = self._whole[name](self.context)
            return made if isinstance(made, bytes) else as_json(made)
        match = _DETAIL.fullmatch(name)
        if match is None:
            raise NoSuchPartError(name)
        kind, number = match[1], int(match[2])
        if match[3] != (".parquet" if kind == "concepts" else ".json") or number >= self._count(kind):
            raise NoSuchPartError(name)
        if kind == "concepts":
            return tables.benchmark_table(self.context, number)
        if kind == "pairs":
            return as_json(answers.model_pair(self.context, number))
        if kind == "answers":
            return as_json(answers.model_answers(self.context, number))
        if kind == "coverage":
            return as_json(answers.coverage_part(self.context, number))
        size, total = self._cut(kind)
        details = _DETAILS[kind](self.context, range(number * size, min(total, (number + 1) * size)))
        # Where they are many, their numbers are rounded when they are made.
        return as_json(details, digits=None if self.context.portable else 7)

    @property
    def _whole(self) -> dict[str, Callable[[Context], Any]]:
        """Parts that are there once, with what makes them."""
        whole: dict[str, Callable[[Context], Any]] = {
            "run.json": _run_info,
            "concepts.parquet": tables.concepts_table,
            "items.parquet": tables.items_table,
            "improve.json": _improve_file,
        }
        if self.context.run.regions is not None:
            whole["item_regions.parquet"] = tables.item_regions
        if self._models:
            whole |= {"slices.json": answers.slices_file, "slice_items.parquet": answers.slice_items}
            whole |= {"scores.parquet": answers.scores_table}
        if self._models > 1:
            whole |= {"models.json": answers.models_file}
        return whole | ({"matches.json": lambda context: MatchesFile(context.lists)} if self.context.lists else {})

    @cached_property
    def _models(self) -> int:
        return len(self.context.model_scores.models)

    def _cut(self, kind: str) -> tuple[int, int]:
        """How many details a part holds, and how many there are."""
        context = self.context
        if kind == "concept":
            return context.concepts_per_part, context.run.width
        return context.items_per_part, context.items.height

    def _count(self, kind: str) -> int:
        if kind == "concepts":
            return len(self.context.names)
        if kind == "answers":
            return self._models
        if kind == "coverage":
            # Of one benchmark the suite says all.
            return 1 + len(self.context.names) if len(self.context.names) > 1 else 1
        if kind == "pairs":
            return 0 if self.context.portable or self._models < 2 else self._models**2
        size, total = self._cut(kind)
        return -(-total // size)


def _improve_file(context: Context) -> Any:
    made = improve_file(context)
    return last_names(plain(made)) if context.portable else made


def _run_info(context: Context) -> Any:
    # The manifest is free of paths already; this is for what other files of the run say.
    info = run_info(context)
    return last_names(plain(info)) if context.portable else info
