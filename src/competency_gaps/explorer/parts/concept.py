"""The details of concepts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from competency_gaps.dictionary.exemplars import Exemplar
from competency_gaps.explorer.parts.coactive import STRONGEST, coactive
from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.item import kept_tokens, moved
from competency_gaps.explorer.parts.paths import last_names
from competency_gaps.explorer.parts.records.details import (
    ConceptDetail,
    ConceptLabel,
    ItemUse,
    ItemUses,
    TextWindow,
)
from competency_gaps.explorer.parts.uses import Uses
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
    uses = Uses.of(context.sources, concepts)
    looked_at = uses.strongest(STRONGEST)
    strongest = [uses.item[places] for places in looked_at]
    partners = coactive(context.sources, concepts, strongest, context.amounts.coactive)
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
            matched=context.sources.matched.get(concept, []),
            benchmarks=context.sources.in_benchmarks(concept) if context.amounts.benchmarks else None,
            histogram=histograms[number],
            items=items[number],
            exemplars=_exemplars(context, concept),
            neuronpedia=_page(context, concept),
        )
        for number, (concept, row) in enumerate(zip(concepts, facts, strict=True))
    ]


def _items(context: Context, uses: Uses, concepts: range, strongest: Sequence[np.ndarray]) -> list[ItemUses]:
    """Per concept its strongest, best and worst items."""
    amounts = context.amounts
    chosen = {
        "strongest": [places[: amounts.strongest] for places in strongest],
        "best": uses.best(amounts.best),
        "worst": uses.worst(amounts.worst),
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
    known = [dict(zip(_LABEL, values, strict=True)) for values in context.sources.labels_of(concept, _LABEL)]
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
    if context.dictionary is None or not context.dictionary.has_exemplars:
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
