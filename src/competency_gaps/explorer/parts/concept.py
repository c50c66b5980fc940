"""The details of concepts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from competency_gaps.dictionary.exemplars import Exemplar
from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.item import kept_tokens, moved
from competency_gaps.explorer.parts.names import last_names
from competency_gaps.explorer.parts.records.details import (
    ConceptDetail,
    ConceptInBenchmark,
    ConceptLabel,
    Histogram,
    ItemUse,
    ItemUses,
    TextWindow,
)
from competency_gaps.metrics.suite import saliency
from competency_gaps.presentation.facts import marks_of, provenance

_LABEL = ("label", "kind", "explainer", "score", "scored_by", "placeholder", "date")
_SOURCE = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", re.ASCII)


def concept_details(context: Context, concepts: range) -> list[ConceptDetail]:
    """Describe concepts, without texts of items.

    Parameters
    ----------
    context
        The run, and how much of it is shown.
    concepts : range
        Concepts, in steps of one.

    Returns
    -------
    list of ConceptDetail
        One per concept.
    """
    uses = Uses.of(context, concepts)
    looked_at = uses.strongest(STRONGEST)
    strongest = [uses.item[places] for places in looked_at]
    partners = coactive(context, concepts, strongest, context.amounts.coactive)
    items = _items(context, uses, concepts, looked_at)
    histograms = uses.histograms()
    facts = context.concepts[concepts.start : concepts.stop].iter_rows(named=True)
    return [
        ConceptDetail(
            concept=concept,
            labels=_labels(context, concept, row),
            provenance=_placeless(context, provenance(row)),
            marks=marks_of(row),
            **_directions(context, concept),
            coactive=partners[number],
            matched=context.matched.get(concept, []),
            benchmarks=_in_benchmarks(context, concept),
            histogram=histograms[number],
            items=items[number],
            exemplars=_exemplars(context, concept),
            neuronpedia=_page(context, concept),
        )
        for number, (concept, row) in enumerate(zip(concepts, facts, strict=True))
    ]


def _in_benchmarks(context: Context, concept: int) -> list[ConceptInBenchmark] | None:
    if not context.amounts.benchmarks:
        return None
    return [ConceptInBenchmark(**row) for row in context.in_benchmarks(concept)]


def _items(context: Context, uses: Uses, concepts: range, strongest: Sequence[np.ndarray]) -> list[ItemUses]:
    """Per concept its strongest, best and worst items."""
    amounts = context.amounts
    chosen = {
        "strongest": [places[: amounts.strongest] for places in strongest],
        "best": uses.best(amounts.best),
        "worst": uses.worst(amounts.best),
    }
    item_uses = []
    for number, concept in enumerate(concepts):
        lists = {kind: places[number] for kind, places in chosen.items()}
        places = np.unique(np.concatenate(list(lists.values())))
        use = dict(zip(places.tolist(), _uses(context, uses, concept, places), strict=True))
        item_uses.append(ItemUses(**{kind: [use[i] for i in chosen.tolist()] for kind, chosen in lists.items()}))
    return item_uses


def _uses(context: Context, uses: Uses, concept: int, places: np.ndarray) -> list[ItemUse]:
    """Items as one concept sees them."""
    rows = uses.item[places]
    start, end = context.windows.start[rows], context.windows.end[rows]
    peaks, inside = moved(uses.peak[places], start, end)
    scores = uses.score[places]
    tokens = _tokens(context, concept, rows, start, end)
    return [
        ItemUse(
            item=int(row),
            score=None if np.isnan(scores[i]) else float(scores[i]),
            cas=float(uses.cas[places[i]]),
            saliency=float(uses.saliency[places[i]]),
            peak=tuple(peaks[i].tolist()) if inside[i] else None,
            tokens=tokens[i],
        )
        for i, row in enumerate(rows)
    ]


def _tokens(
    context: Context, concept: int, rows: np.ndarray, start: np.ndarray, end: np.ndarray
) -> list[list[tuple[int, int, float]] | None]:
    """Per item the tokens on which the concept is active; None: not kept, or left out."""
    if not len(rows) or not context.run.has_token_activations:
        return [None] * len(rows)
    read = context.run.token_activations(concept, rows.tolist())
    limit = context.amounts.active_tokens
    return [
        None if activations is None else kept_tokens(activations, int(begin), int(stop), limit)
        for activations, begin, stop in zip(read, start, end, strict=True)
    ]


def _labels(context: Context, concept: int, row: dict[str, Any]) -> list[ConceptLabel]:
    """The label that the run shows, as the run knows it, then the dictionary's others."""
    known = [dict(zip(_LABEL, values, strict=True)) for values in context.labels_of(concept, _LABEL)]
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
    """The explainer of a label may be the path of a model."""
    return last_names(text) if text and context.portable else text


def _directions(context: Context, concept: int) -> dict[str, Any]:
    """What the decoder's directions say, where the dictionary knows it."""
    dictionary = context.dictionary
    logits = None if dictionary is None else dictionary.logits
    similar = None if dictionary is None else dictionary.similar
    tokens, near = context.amounts.promoted, None
    if similar is not None:
        pairs = zip(similar["similar"][concept].to_list(), similar["cosine"][concept].to_list(), strict=True)
        near = list(pairs)[: context.amounts.similar]
    return {
        "promoted": None if logits is None else logits["promoted"][concept].to_list()[:tokens],
        "suppressed": None if logits is None else logits["suppressed"][concept].to_list()[:tokens],
        "similar": near,
    }


def _exemplars(context: Context, concept: int) -> list[TextWindow] | None:
    """Windows of text."""
    # They may be windows of the run's own items.
    if not context.texts or context.dictionary is None or not context.dictionary.has_exemplars:
        return None
    windows = context.dictionary.exemplars.of(concept, "top")[: context.amounts.exemplars]
    return [_exemplar(window, context.amounts.exemplar_tokens) for window in windows]


def _exemplar(exemplar: Exemplar, limit: int | None) -> TextWindow:
    """A window, or ``limit`` of its tokens around the strongest."""
    size = len(exemplar.activations)
    limit = min(limit or size, size)
    first = int(np.clip(exemplar.activations.argmax() - limit // 2, 0, size - limit)) if size else 0
    part = slice(first, first + limit)
    return TextWindow(exemplar.tokens()[part], exemplar.activations[part].tolist(), exemplar.value)


def _page(context: Context, concept: int) -> str | None:
    """Address of a concept's page at Neuronpedia."""
    name = context.manifest["sae"].get("neuronpedia_id")
    if not isinstance(name, str) or not _SOURCE.fullmatch(name):
        return None
    return f"https://www.neuronpedia.org/{name}/{concept}"


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
    def of(context: Context, concepts: range) -> Uses:
        """Read the items of concepts."""
        column = context.run.by_concept.columns(concepts.start, concepts.stop)
        support = context.support[concepts.start : concepts.stop]
        tau = np.repeat(context.tau[concepts.start : concepts.stop], support)
        return Uses(
            np.concatenate([[0], np.cumsum(support)]),
            column.item,
            column.cas,
            column.peak,
            saliency(column.cas, tau),
            context.scores[column.item],
            context.rank[column.item],
        )

    @property
    def concept(self) -> np.ndarray:
        """int64: place of the concept that each row belongs to."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    def strongest(self, count: int) -> list[np.ndarray]:
        """Per concept, places of the items of the highest CAS; ties by item_id."""
        return self._first(np.arange(len(self.item)), (self.rank, -self.cas), count)

    def best(self, count: int) -> list[np.ndarray]:
        """Per concept, places of the scored items of the highest score; ties by the higher CAS, then item_id."""
        scored = np.flatnonzero(~np.isnan(self.score))
        return self._first(scored, (self.rank, -self.cas, -self.score), count)

    def worst(self, count: int) -> list[np.ndarray]:
        """Per concept, places of the scored items of the lowest score; ties by the higher CAS, then item_id."""
        scored = np.flatnonzero(~np.isnan(self.score))
        return self._first(scored, (self.rank, -self.cas, self.score), count)

    def _first(self, places: np.ndarray, keys: tuple[np.ndarray, ...], count: int) -> list[np.ndarray]:
        concept = self.concept[places]
        order = np.lexsort((*(key[places] for key in keys), concept))
        ends = np.searchsorted(concept[order], np.arange(len(self.start)))
        return [places[order[a : min(b, a + count)]] for a, b in pairwise(ends)]

    def histograms(self) -> list[Histogram]:
        """Per concept: ``max`` of its CAS (0: never active), ``counts`` and mean ``score`` of the scored items per bin.

        20 bins of equal width from 0 to ``max``; a value on an edge belongs to the upper bin, ``max`` to the last.
        Without scored items the score is None.
        """
        number = len(self.start) - 1
        highest = np.zeros(number)
        active = np.diff(self.start) > 0
        if active.any():
            highest[active] = np.maximum.reduceat(self.cas, self.start[:-1][active])
        concept = self.concept
        place = np.minimum((self.cas.astype(np.float64) / highest[concept] * BINS).astype(np.int64), BINS - 1)
        bins = concept * BINS + place
        scored = ~np.isnan(self.score)

        def sums(keys: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
            return np.bincount(keys, weights, minlength=number * BINS).reshape(number, BINS)

        counts, answered = sums(bins), sums(bins[scored])
        total = sums(bins[scored], self.score[scored])
        mean = np.divide(total, answered, out=np.full(total.shape, np.nan), where=answered > 0)
        return [
            Histogram(
                max=float(high),
                counts=row.tolist() if high else [],
                score=[None if np.isnan(value) else value for value in means.tolist()] if high else [],
            )
            for high, row, means in zip(highest, counts, mean, strict=True)
        ]


STRONGEST = 1000
"""Items of a concept among which its partners are looked for."""
LEAST_SHARED = 3
"""[ours] Two rare concepts that share one or two items by chance would have the largest index of all."""
_CANDIDATES = 64
_BATCH = 16_000_000
"""Concepts of items, with repetition, that are in memory at once."""

Partners = list[tuple[int, float]]


def coactive(context: Context, concepts: Sequence[int], strongest: Sequence[np.ndarray], count: int) -> list[Partners]:
    """Find the concepts whose sets of items are most alike.

    With ``A_c`` the kept items in which ``c`` is active, the Jaccard index of ``c`` and ``d`` is
    ``|A_c & A_d| / |A_c | A_d|``, over all items. Partners are sought among ``S``, at most 1,000 of the strongest items
    of ``c``: concepts active in at least 3 items of ``S``, without ``c`` itself and dense concepts. If ``S`` is all of
    ``A_c``, those of the highest index are given. Else the 64 of the highest estimate, for which ``|A_c & A_d|`` is
    taken to be as frequent in ``A_c`` as in ``S``, are compared by their exact index.

    Parameters
    ----------
    context
        Of the run.
    concepts
        Concepts.
    strongest : sequence of ndarray of int
        ``S`` of each: rows of ``items.parquet``.
    count : int
        Most partners of each.

    Returns
    -------
    list of list of (int, float), one per concept
        At most ``count`` concepts with their index in (0, 1], highest first, then the lower number.
    """
    partners: list[Partners] = []
    for batch in _batches(context, strongest):
        held = [strongest[i] for i in batch]
        rows = np.unique(np.concatenate(held)) if held else np.zeros(0, np.int64)
        indptr, indices = context.run.item_rows.concepts(rows)
        for i, items in zip(batch, held, strict=True):
            places = np.searchsorted(rows, items)
            parts = [indices[a:b] for a, b in zip(indptr[places].tolist(), indptr[places + 1].tolist(), strict=True)]
            shared = np.bincount(np.concatenate(parts), minlength=len(context.support)) if parts else np.zeros(1, int)
            partners.append(_partners(context, concepts[i], shared, len(items), count))
    return partners


def _batches(context: Context, strongest: Sequence[np.ndarray]) -> Iterator[list[int]]:
    """Places of concepts whose items' rows fit into memory together."""
    batch: list[int] = []
    size = 0
    for i, items in enumerate(strongest):
        own = int(context.run.item_rows.counts[items].sum(dtype=np.int64))
        if batch and size + own > _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(i)
        size += own
    if batch:
        yield batch


def _partners(context: Context, concept: int, shared: np.ndarray, looked_at: int, count: int) -> Partners:
    """The partners of one concept; ``shared``: in how many of the items that were looked at each concept is active."""
    support, own = context.support, int(context.support[concept])
    others = np.flatnonzero(shared >= LEAST_SHARED)
    others = others[(others != concept) & ~context.dense[others]]
    if not len(others):
        return []
    both = shared[others]
    if looked_at < own:
        likely = np.minimum(both * (own / looked_at), support[others])
        others = others[_first(others, likely / (own + support[others] - likely), _CANDIDATES)]
        active = np.zeros(context.items.height, bool)
        active[context.run.by_concept.items(concept)] = True
        both = np.array([np.count_nonzero(active[context.run.by_concept.items(int(other))]) for other in others])
    index = both / (own + support[others] - both)
    best = _first(others, index, count)
    return list(zip(others[best].tolist(), index[best].tolist(), strict=True))


def _first(concepts: np.ndarray, index: np.ndarray, count: int) -> np.ndarray:
    """Places of the highest values, ties by the lower concept."""
    if len(index) > count:
        least = np.partition(index, len(index) - count)[len(index) - count]
        places = np.flatnonzero(index >= least)
    else:
        places = np.arange(len(index))
    return places[np.lexsort((concepts[places], -index[places]))][:count]
