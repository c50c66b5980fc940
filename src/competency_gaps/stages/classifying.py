"""Score items with a classifier; each pair of texts is classified once and its result kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from competency_gaps.endpoint import Answer, AnswerStore
from competency_gaps.items.item import Item
from competency_gaps.items.policy import Score
from competency_gaps.items.remark import Remark
from competency_gaps.judging.policy import JudgedPolicy
from competency_gaps.progress import Progress

if TYPE_CHECKING:
    from competency_gaps.judging.faithful import Faithful

FILE = "classified.jsonl"

Case = tuple[str, int, JudgedPolicy, Item, str]
"""Benchmark, row, policy, item and response."""


def classify(cases: Sequence[Case], folder: Path, progress: Progress) -> dict[tuple[str, int], Score]:
    """Scores by benchmark and row.

    Parameters
    ----------
    folder
        Folder of the kept results, so that a resumed run classifies no pair twice.
    """
    from competency_gaps.judging.entailment import NotMeasurable
    from competency_gaps.judging.faithful import Faithful

    scores: dict[tuple[str, int], Score] = {}
    if not cases:
        return scores
    with (
        AnswerStore(folder / FILE).writing() as store,
        progress.stage("classifying", total=len(cases), unit="items") as bar,
    ):
        for benchmark, row, policy, item, response in cases:
            if not isinstance(policy, Faithful) or policy.model is None:
                raise TypeError(f"the policy {policy.name!r} names a classifier but has no texts for it")
            try:
                probabilities = _probabilities(policy, item, response, store)
                scores[benchmark, row] = policy.measured(response, probabilities)
            except NotMeasurable as error:
                scores[benchmark, row] = Score(None, response, error.reason)
            bar.advance(1)
    return scores


def _probabilities(policy: Faithful, item: Item, response: str, store: AnswerStore) -> list[list[float]]:
    """Per statement, the probability under each window of the source."""
    from competency_gaps.judging.entailment import NotMeasurable, load_entailment

    statements = policy.statements(response)
    if not statements:
        raise NotMeasurable(Remark("response_empty"))
    source = policy.source_of(item)
    assert policy.model is not None
    classifier = load_entailment(policy.model, policy.label)
    key = hashlib.sha256(json.dumps([classifier.identity, source, statements]).encode()).hexdigest()
    known = store.get(key)
    if known is not None and known.text is not None:
        kept: list[list[float]] = json.loads(known.text)
        return kept
    probabilities = classifier.probabilities(source, statements)
    store.add(Answer(item.id, key, json.dumps(probabilities), None, None, None, None, classifier.name))
    return probabilities
