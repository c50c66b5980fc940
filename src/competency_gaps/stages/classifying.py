"""The items to be judged, and their scores by a classifier; a pair of texts is classified once, its result kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from competency_gaps.endpoint import Answer, AnswerStore, Request
from competency_gaps.items.item import Item, Reason
from competency_gaps.items.policy import Score
from competency_gaps.judging.policy import JudgedPolicy
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.progress import Progress

if TYPE_CHECKING:
    from competency_gaps.judging.faithful import Faithful

FILE = "classified.jsonl"


@dataclass
class Case:
    """One item to be judged."""

    benchmark: str
    row: int
    """Its row in the benchmark's responses."""
    prepared: PreparedItem
    policy: JudgedPolicy
    response: str
    """The model's answer without its thinking."""
    requests: tuple[Request, ...] = ()
    fault: Reason | None = None
    """Why the response cannot be judged; None: it can."""


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
    if not cases:  # nothing to import
        return scores
    with (
        AnswerStore(folder / FILE).writing() as store,
        progress.stage("classifying", total=len(cases), unit="items") as bar,
    ):
        for case in cases:
            assert isinstance(case.policy, Faithful)
            try:
                probabilities = _probabilities(case.policy, case.prepared.item, case.response, store)
                score = case.policy.measured(case.response, probabilities)
            except NotMeasurable as error:
                score = Score(None, case.response, error.reason)
            scores[case.benchmark, case.row] = score
            bar.advance(1)
    return scores


def _probabilities(policy: Faithful, item: Item, response: str, store: AnswerStore) -> list[list[float]]:
    """Per statement, the probability under each window of the source."""
    from competency_gaps.judging.entailment import NotMeasurable, load_entailment

    statements = policy.statements(response)
    if not statements:
        raise NotMeasurable(Reason("response_empty", "the response is empty"))
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
