"""The details of concepts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from competency_gaps.concepts.exemplars import Exemplar
from competency_gaps.evidence.chi import saliency
from competency_gaps.reading.by_concept import ConceptColumn
from competency_gaps.view.facts import marks_of, provenance
from competency_gaps.view.page.parts.context import Context, significant
from competency_gaps.view.page.parts.item import leading, moved, token_lists
from competency_gaps.view.page.parts.names import last_names
from competency_gaps.view.page.parts.records.details import (
    ConceptDetail,
    ConceptInBenchmark,
    ConceptLabel,
    Histogram,
    ItemUse,
    TextWindow,
)

_SOURCE = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", re.ASCII)


def concept_details(context: Context, concepts: Sequence[int]) -> list[ConceptDetail]:
    """Return the details of concepts, without texts of items.

    Parameters
    ----------
    context
        The run, and how much of it is shown.
    concepts : sequence of int
        Their numbers, at least one.

    Returns
    -------
    list of ConceptDetail
        One per concept.
    """
    uses = Uses.of(context, concepts)
    items = _items(context, uses, concepts)
    histograms = uses.histograms(context.rounded)
    directions, amounts, windows = _directions(context, concepts), context.amounts, context.exemplars
    facts = context.run.concepts[list(concepts)].iter_rows(named=True)
    return [
        ConceptDetail(
            concept=concept,
            labels=_labels(context, concept, row),
            provenance=_placeless(context, provenance(row)),
            marks=marks_of(row),
            **{name: None if known is None else known[number] for name, known in directions.items()},
            benchmarks=None
            if not context.amounts.benchmarks
            else [
                ConceptInBenchmark(**values)
                for values in context.in_benchmarks[concept :: context.run.width].to_dicts()
            ],
            histogram=histograms[number],
            strongest=strongest,
            best=best,
            worst=worst,
            exemplars=None
            if windows is None
            else [
                _exemplar(window, amounts.exemplar_tokens) for window in windows.of(concept, "top")[: amounts.exemplars]
            ],
            neuronpedia=_page(context, concept),
        )
        for number, (concept, row, (strongest, best, worst)) in enumerate(zip(concepts, facts, items, strict=True))
    ]


def _items(context: Context, uses: Uses, concepts: Sequence[int]) -> list[list[list[ItemUse]]]:
    """Per concept its strongest, best and worst items."""
    amounts = context.amounts
    chosen = uses.first(amounts.strongest), uses.first(amounts.best, -1), uses.first(amounts.best, 1)
    places = np.unique(np.concatenate([rows for lists in chosen for rows in lists]))
    use = dict(zip(places.tolist(), _uses(context, uses, concepts, places), strict=True))
    return [[[use[row] for row in rows.tolist()] for rows in lists] for lists in zip(*chosen, strict=True)]


def _uses(context: Context, uses: Uses, concepts: Sequence[int], places: np.ndarray) -> list[ItemUse]:
    """Items as the concepts see them whose places they are."""
    rows = uses.item[places].astype(np.int64)
    concept = np.asarray(concepts)[np.searchsorted(uses.start, places, side="right") - 1]
    # What one item holds is read together.
    order = np.argsort(rows, kind="stable")
    items, first = np.unique(rows[order], return_index=True)
    groups = np.split(order, first[1:]) if len(items) else []
    wanted = ((row, concept[group], group) for row, group in zip(items.tolist(), groups, strict=True))
    tokens = token_lists(context, wanted, rows)
    peaks, inside = moved(uses.peak[places], context.text_ranges.start[rows], context.text_ranges.end[rows])
    columns = (rows, uses.score[places], uses.cas[places], uses.saliency[places])
    numbers = (columns[0], *map(context.rounded, columns[1:]), peaks, inside)
    return [
        ItemUse(
            item=row,
            score=None if score != score else score,
            cas=cas,
            saliency=share,
            peak=(start, end) if known else None,
            tokens=kept,
        )
        for row, score, cas, share, (start, end), known, kept in zip(
            *(column.tolist() for column in numbers), tokens, strict=True
        )
    ]


def _labels(context: Context, concept: int, row: dict[str, Any]) -> list[ConceptLabel]:
    """The label that the run shows, as the run knows it, then the dictionary's others."""
    every, start = context.labels
    known = every[int(start[concept]) : int(start[concept + 1])]
    if row["label"]:
        shown = {
            "label": row["label"],
            "kind": row["label_kind"],
            "explainer": row["explainer"],
            "score": row["label_score"],
            "scored_by": row["label_scored_by"],
        }
        # The dictionary may have got new scores since the run was named; the same label's other fields come from it.
        key = ("label", "kind", "explainer")
        same = [i for i, label in enumerate(known) if all(label[name] == shown[name] for name in key)]
        rest = known.pop(same[0]) if same else {"placeholder": False, "date": None}
        known.insert(0, {**rest, **shown})
    return [ConceptLabel(**{**label, "explainer": _placeless(context, label["explainer"])}) for label in known]


def _placeless(context: Context, text: str | None) -> str | None:
    """Return the explainer of a label with the folders of a path removed, if the parts may leave this machine."""
    return last_names(text) if text and context.portable else text


def _directions(context: Context, concepts: Sequence[int]) -> dict[str, list[Any] | None]:
    """Return promoted and suppressed tokens and similar concepts, where the dictionary has them."""
    dictionary = context.dictionary
    lists: dict[str, list[Any] | None] = dict.fromkeys(("promoted", "suppressed", "similar"))
    if dictionary is not None and dictionary.logits is not None:
        for name in ("promoted", "suppressed"):
            lists[name] = dictionary.logits[name][list(concepts)].list.head(context.amounts.promoted).to_list()
    if dictionary is not None and dictionary.similar is not None:
        near = dictionary.similar.select("similar", "cosine")[list(concepts)]
        count = context.amounts.similar
        lists["similar"] = [
            list(zip(others[:count], context.rounded(np.array(cosine[:count])).tolist(), strict=True))
            for others, cosine in near.iter_rows()
        ]
    return lists


def _exemplar(exemplar: Exemplar, limit: int | None) -> TextWindow:
    """A window, or ``limit`` of its tokens around the strongest."""
    size = len(exemplar.activations)
    limit = min(limit or size, size)
    first = int(np.clip(exemplar.activations.argmax() - limit // 2, 0, size - limit)) if size else 0
    part = slice(first, first + limit)
    return TextWindow(exemplar.tokens()[part], significant(exemplar.activations[part]).tolist())


def _page(context: Context, concept: int) -> str | None:
    """Address of a concept's page at Neuronpedia."""
    name = str(context.manifest["sae"].get("neuronpedia_id"))
    return f"https://www.neuronpedia.org/{name}/{concept}" if _SOURCE.fullmatch(name) else None


BINS = 20


@dataclass(frozen=True)
class Uses:
    """All items of some concepts, one concept after the other."""

    start: np.ndarray
    """int64 of shape (concepts + 1,): where each concept's items start below."""
    item: np.ndarray
    """int32: rows of ``items.parquet``."""
    cas: np.ndarray
    """float32, > 0."""
    peak: np.ndarray
    """int32 of shape (n, 2): character range of the strongest token in the item's text."""
    saliency: np.ndarray
    """float64, in [0, 1]."""
    score: np.ndarray
    """float64: NaN = unscored."""
    rank: np.ndarray
    """int32: settles ties."""

    @staticmethod
    def of(context: Context, concepts: Sequence[int]) -> Uses:
        """Return the items of concepts."""
        columns = (context.run.by_concept.column(concept) for concept in concepts)
        column = ConceptColumn(*map(np.concatenate, zip(*columns, strict=True)))
        support = context.run.by_concept.support[list(concepts)]
        tau = np.repeat(context.tau[list(concepts)], support)
        return Uses(
            np.concatenate([[0], np.cumsum(support)]),
            column.item,
            column.cas,
            column.peak,
            saliency(column.cas, tau),
            context.scores[column.item],
            context.rank[column.item],
        )

    def first(self, count: int, sign: int = 0) -> list[np.ndarray]:
        """Return, per concept, positions of its items with the highest CAS, ties by item_id.

        With a sign: of its scored items with the lowest (1) or highest (-1) score, ties by the higher CAS.
        """
        order = np.zeros_like(self.score) if sign == 0 else sign * self.score
        chosen = []
        for a, b in pairwise(self.start):
            places = a + np.flatnonzero(~np.isnan(order[a:b]))
            chosen.append(places[leading((order[places], -self.cas[places], self.rank[places]), count)])
        return chosen

    def histograms(self, rounded: Callable[[np.ndarray], np.ndarray]) -> list[Histogram]:
        """Per concept: ``max`` of its CAS (0: never active), ``counts`` and mean ``score`` of the scored items per bin.

        20 bins of equal width from 0 to ``max``; a value on an edge belongs to the upper bin, ``max`` to the last.
        Without scored items the score is None.
        """
        number = len(self.start) - 1
        highest = np.zeros(number)
        active = np.diff(self.start) > 0
        if active.any():
            highest[active] = np.maximum.reduceat(self.cas, self.start[:-1][active])
        concept = np.repeat(np.arange(number), np.diff(self.start))
        position = np.minimum((self.cas.astype(np.float64) / highest[concept] * BINS).astype(np.int64), BINS - 1)
        bins = concept * BINS + position
        scored = ~np.isnan(self.score)

        def sums(keys: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
            """Sum weights (default: count) per concept and bin."""
            return np.bincount(keys, weights, minlength=number * BINS).reshape(number, BINS)

        counts, answered = sums(bins), sums(bins[scored])
        total = sums(bins[scored], self.score[scored])
        mean = rounded(np.divide(total, answered, out=np.full(total.shape, np.nan), where=answered > 0))
        return [
            Histogram(
                max=float(high),
                counts=row.tolist() if high else [],
                score=[None if np.isnan(value) else value for value in means.tolist()] if high else [],
            )
            for high, row, means in zip(highest, counts, mean, strict=True)
        ]
