"""A run in parts: named byte strings, made when they are asked for.

``run.json`` all that is small; ``themes.json``; ``findings.json``, the items of each finding; ``concepts.parquet``
and, for the benchmark at place K, ``concepts/K.parquet``; ``items.parquet``; ``concept/N.json`` and ``item/N.json``,
the details of some of them; ``active/N.json``, the concepts that are active in the items of ``item/N.json``.

A run that was compared with other people's lists also has ``matches.json``, and ``entry/N.json``, the examples of some
of their entries. A run with the scores of several models also has ``models.json``, ``groups.json``, and
``pairs/N.json`` for each pair of them; outcomes of it leave these to the run, and also ``item/N.json`` and
``active/N.json`` where the run is here (``Context.home``): they differ in nothing.
What the JSON holds is written down in ``records/``, the columns of the tables in ``tables.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.explorer.parts import tables
from competency_gaps.explorer.parts.amounts import SERVED, Amounts
from competency_gaps.explorer.parts.concept import concept_details
from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.findings import finding_items
from competency_gaps.explorer.parts.item import item_concepts, item_details
from competency_gaps.explorer.parts.matches import entry_examples, matches_file
from competency_gaps.explorer.parts.models import groups_file, model_pair, models_file, pair_count
from competency_gaps.explorer.parts.paths import last_names
from competency_gaps.explorer.parts.records.details import ConceptDetail, ItemConcepts, ItemDetail
from competency_gaps.explorer.parts.records.matches import EntryExamples
from competency_gaps.explorer.parts.records.plain import as_json, plain
from competency_gaps.explorer.parts.redacted import RedactedDictionary, RedactedRun
from competency_gaps.explorer.parts.run_info import run_info
from competency_gaps.explorer.parts.themes import theme_file
from competency_gaps.runs.open import RunFolder

__all__ = ["Context", "NoSuchPartError", "Parts", "as_json"]

_NAME = re.compile(
    r"(?P<whole>run\.json|themes\.json|findings\.json|models\.json|groups\.json|matches\.json|concepts\.parquet|items\.parquet)"
    r"|(?P<kind>concepts/|concept/|item/|active/|entry/|pairs/)(?P<number>0|[1-9][0-9]{0,8})(?P<end>\.parquet|\.json)",
    re.ASCII,
)
_DETAILS = ("concept/", "item/", "active/", "entry/", "pairs/")
_ENDS = {"concepts/": ".parquet", **dict.fromkeys(_DETAILS, ".json")}


class NoSuchPartError(LookupError):
    """A name that no part of the run has."""


class Parts:
    """The parts of one run.

    Parameters
    ----------
    run : RunFolder
    key : str
        Name of the run in addresses.
    dictionary : Dictionary, optional
        Of the run's SAE.
    redact : bool
        Leave out prompts, responses, and what is made of them or may quote them.
    portable : bool
        Say of absolute paths their last names only; redacted parts always do.
    concepts_per_part, items_per_part, entries_per_part : int
        How many details ``concept/N.json``, ``item/N.json`` and ``entry/N.json`` hold; ``active/N.json`` as many as
        ``item/N.json``.
    amounts : Amounts
        How much details hold.
    home : str, optional
        Of an outcome, key of the run that it is of, if that is here; None: the parts stand by themselves.
    """

    def __init__(
        self,
        run: RunFolder,
        *,
        key: str,
        dictionary: Dictionary | None = None,
        redact: bool = False,
        portable: bool = False,
        concepts_per_part: int = 1,
        items_per_part: int = 1,
        entries_per_part: int = 1,
        amounts: Amounts = SERVED,
        home: str | None = None,
    ) -> None:
        self.context = Context(
            RedactedRun.of(run) if redact else run,
            key,
            RedactedDictionary.of(dictionary) if redact and dictionary is not None else dictionary,
            portable=portable or redact,
            concepts_per_part=concepts_per_part,
            items_per_part=items_per_part,
            entries_per_part=entries_per_part,
            amounts=amounts,
            home=home or key,
        )

    def names(self) -> Iterator[str]:
        """Names of all parts, in the order in which a page wants them."""
        yield from ("run.json", "concepts.parquet", "themes.json", "findings.json", "items.parquet")
        yield from (f"concepts/{place}.parquet" for place in range(len(self.context.names)))
        if self._gives_models:
            yield from ("models.json", "groups.json")
        if self.context.sources.lists:
            yield "matches.json"
        for kind in _DETAILS:
            yield from (f"{kind}{number}.json" for number in range(self._count(kind)))

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
        match = _NAME.fullmatch(name)
        if match is None:
            raise NoSuchPartError(name)
        kind, number = match["kind"], int(match["number"] or 0)
        if kind is None:
            if name in ("models.json", "groups.json") and not self._gives_models:
                raise NoSuchPartError(name)
            if name == "matches.json" and not self.context.sources.lists:
                raise NoSuchPartError(name)
            return self._whole(name)
        if match["end"] != _ENDS[kind] or number >= self._count(kind):
            raise NoSuchPartError(name)
        if kind == "concepts/":
            return tables.benchmark_table(self.context, number)
        if kind == "pairs/":
            return as_json(model_pair(self.context, number))
        # Half of an export are numbers of concepts, of which the page shows three digits. Of items it shows, and
        # compares, log-probabilities to hundredths.
        few = self.context.portable and kind != "item/"
        return as_json(self._details(kind, number), digits=4 if few else 7)

    def _whole(self, name: str) -> bytes:
        if name == "run.json":
            # The manifest is free of paths already; this is for what other files of the run say.
            info = run_info(self.context)
            return as_json(last_names(plain(info)) if self.context.portable else info)
        if name == "themes.json":
            return as_json(theme_file(self.context))
        if name == "models.json":
            return as_json(models_file(self.context))
        if name == "groups.json":
            return as_json(groups_file(self.context))
        if name == "matches.json":
            return as_json(matches_file(self.context))
        if name == "findings.json":
            return as_json(finding_items(self.context))
        return (tables.concepts_table if name == "concepts.parquet" else tables.items_table)(self.context)

    def _details(self, kind: str, number: int) -> Sequence[ConceptDetail | ItemDetail | ItemConcepts | EntryExamples]:
        size, total = self._cut(kind)
        rows = range(number * size, min(total, (number + 1) * size))
        if kind == "concept/":
            return concept_details(self.context, rows)
        if kind == "entry/":
            return entry_examples(self.context, rows)
        return item_details(self.context, rows) if kind == "item/" else item_concepts(self.context, rows)

    @property
    def _gives_models(self) -> bool:
        return self.context.several_models and self.context.run.path == self.context.run.base

    def _cut(self, kind: str) -> tuple[int, int]:
        """How many details a part holds, and how many there are."""
        context = self.context
        if kind == "concept/":
            return context.concepts_per_part, context.run.width
        if kind == "entry/":
            return context.entries_per_part, sum(len(kept.entries) for kept in context.sources.lists)
        return context.items_per_part, context.items.height

    def _count(self, kind: str) -> int:
        if kind == "concepts/":
            return len(self.context.names)
        if kind == "pairs/":
            return pair_count(len(self.context.model_scores.models)) if self._gives_models else 0
        if kind in ("item/", "active/") and self.context.home != self.context.key:
            return 0
        size, total = self._cut(kind)
        return -(-total // size)
