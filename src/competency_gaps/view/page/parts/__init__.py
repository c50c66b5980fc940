"""A run in parts: named byte strings, made when they are asked for.

``run.json`` all that is small; ``concepts.parquet`` and, for the benchmark at place K, ``concepts/K.parquet``;
``items.parquet``; with an atlas ``item_regions.parquet``; ``coverage/0.json``, what the suite leaves out, and of
several benchmarks ``coverage/K.json``, what the one before place K does; ``concept/N.json`` and ``item/N.json``, the
details of some of them; ``active/N.json``, the concepts that are active in the items of ``item/N.json``.

Of a run with scores ``answers/K.json`` says what was found of the model at place K and ``gaps/K.json`` has its gap on
every slice, ``slices.json`` and ``slice_items.parquet`` say what these are, and ``scores.parquet`` has all scores. With
the scores of several models there are also ``models.json``, and from a server ``pairs/N.json``, one of them against
another: 21 models make 420 pairs, each of which takes a second. A run that was compared with other people's lists has
``matches.json``. ``improve.json`` has what ``cgaps improve`` wrote. What the JSON holds is written down in
``records/``, the columns of the tables in ``tables.py`` and ``answers.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from competency_gaps.view.page.parts import answers, tables
from competency_gaps.view.page.parts.concept import concept_details
from competency_gaps.view.page.parts.context import Context
from competency_gaps.view.page.parts.improve import improve_file
from competency_gaps.view.page.parts.item import item_concepts, item_details
from competency_gaps.view.page.parts.names import last_names
from competency_gaps.view.page.parts.records import as_json, plain
from competency_gaps.view.page.parts.run_info import run_info

_NUMBERED = re.compile(r"(\w+)/(0|[1-9][0-9]{0,8})\.(?:parquet|json)", re.ASCII)


class NoSuchPartError(LookupError):
    """A name that no part of the run has."""


class Parts:
    """The parts of one run."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def names(self) -> Iterator[str]:
        """Yield the names of all parts, in the order in which a page needs them."""
        yield from self._whole
        for kind, (count, _) in self._kinds.items():
            yield from (self._name(kind, number) for number in range(count))

    def read(self, name: str) -> bytes:
        """Return the content of a part.

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
        match = _NUMBERED.fullmatch(name)
        if name in self._whole:
            part = self._whole[name](self.context)
        elif match is None or match[1] not in self._kinds:
            raise NoSuchPartError(name)
        else:
            number, (count, make) = int(match[2]), self._kinds[match[1]]
            if number >= count or name != self._name(match[1], number):
                raise NoSuchPartError(name)
            part = make(self.context, number)
        return part if isinstance(part, bytes) else as_json(part, 5 if self.context.portable else 7)

    @cached_property
    def _whole(self) -> dict[str, Callable[[Context], Any]]:
        """Return the parts that exist once: name -> function that makes the part."""
        whole: dict[str, Callable[[Context], Any]] = {
            "run.json": lambda context: _portable(context, run_info(context)),
            "items.parquet": tables.items_table,
            "improve.json": lambda context: _portable(context, improve_file(context)),
        }
        if self.context.run.has_reading:
            whole["concepts.parquet"] = tables.concepts_table
        if self.context.run.regions is not None:
            whole["item_regions.parquet"] = tables.item_regions
        models = len(self.context.model_scores.models)
        if models:
            whole |= {"slices.json": answers.slices_file, "slice_items.parquet": answers.slice_items}
            whole |= {"scores.parquet": answers.scores_table}
        if models > 1:
            whole |= {"models.json": answers.models_file}
        return whole | ({"matches.json": lambda context: context.lists} if self.context.lists else {})

    @cached_property
    def _kinds(self) -> dict[str, tuple[int, Callable[[Context, int], Any]]]:
        """Return the numbered kinds of parts: kind -> how many there are, and the function that makes one."""
        context = self.context
        models, benchmarks = len(context.model_scores.models), len(context.names)
        concepts, items = (context.concepts_per_part, context.run.width), (context.items_per_part, context.items.height)
        kinds = {
            "answers": (models, answers.model_answers),
            "gaps": (models, answers.model_gaps),
            "item": _details(*items, item_details),
            "pairs": (0 if context.portable or models < 2 else models**2, answers.model_pair),
        }
        if context.run.has_reading:
            # Of one benchmark the suite says all.
            kinds |= {"coverage": (1 + benchmarks if benchmarks > 1 else 1, answers.coverage_part)}
            kinds |= {"concepts": (benchmarks, tables.benchmark_table)}
            kinds |= {"concept": _details(*concepts, concept_details), "active": _details(*items, item_concepts)}
        return kinds

    def _name(self, kind: str, number: int) -> str:
        """The name of a numbered part."""
        return f"{kind}/{number}.{'parquet' if kind == 'concepts' else 'json'}"


def _details(size: int, total: int, make: Callable[[Context, range], Any]) -> tuple[int, Callable[[Context, int], Any]]:
    """Return the number of parts with ``size`` details each, and the function that makes one."""

    def part(context: Context, number: int) -> bytes:
        """The details of one part."""
        # Where they are many, their numbers are rounded when they are made.
        rows = range(number * size, min(total, (number + 1) * size))
        return as_json(make(context, rows), digits=None if context.portable else 7)

    return -(-total // size), part


def _portable(context: Context, part: Any) -> Any:
    """Return a part with paths shortened if it may leave this machine."""
    return last_names(plain(part)) if context.portable else part
