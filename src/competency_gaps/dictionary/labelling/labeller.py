"""Label concepts and score labels, from the answers of an endpoint or a batch file, or without a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.dictionary.labelling import requests
from competency_gaps.dictionary.labelling.automatic import automatic_labels, promoted_label
from competency_gaps.dictionary.labelling.requests import ANSWERS, LabelQuestion, Step, balanced_accuracy, label_of
from competency_gaps.dictionary.labelling.subjects import subject_labels
from competency_gaps.dictionary.labels import SCHEMA, SUBJECTS, is_placeholder, today
from competency_gaps.endpoint import Answer, Failure, parse
from competency_gaps.errors import UserError, argument
from competency_gaps.progress import Progress
from competency_gaps.text import shorten, visible

FEWEST_SCORES = 5
"""So many scores, each exactly 0.5, say that a scorer does not read the windows [ours]."""
AUTOMATIC = "words of exemplars"
"""Explainer of automatic labels."""


@dataclass
class Taken:
    """Outcome of reading answers."""

    stored: int = 0
    """Labels, or scores, that were stored."""
    abstained: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    """Concepts (or themes) whose answer could not be used, by number, with the reason; nothing of these answers is
    stored."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "stored": self.stored,
            "abstained": self.abstained,
            "failed": [{"id": number, "reason": reason} for number, reason in self.failed],
        }


def questions(
    dictionary: Dictionary, step: Step, concepts: Sequence[int] | None, seed: int = 0
) -> Iterator[LabelQuestion]:
    """Make a question about each of these concepts; None: all that have exemplars.

    Concepts without exemplars are skipped and, if labels are scored, concepts without a label as well.
    """
    known = dictionary.exemplars.concepts
    chosen = known if concepts is None else known[np.isin(known, np.asarray(concepts))]
    shown = dictionary.shown()["label"] if step != "explain" else None
    for concept in chosen.tolist():
        if shown is None:
            promoted = dictionary.promoted.get(concept, [])
            question = requests.explanation(concept, dictionary.exemplars.of(concept), promoted)
        elif shown[concept] is None:
            continue
        else:
            make = requests.detection if step == "detection" else requests.fuzzing
            question = make(concept, shown[concept], dictionary.exemplars.of(concept), seed)
        if question is not None:
            yield question


def read_answer(question: LabelQuestion, answer: Answer) -> requests.Explanation | float | Failure:
    """Read an answer: an explanation, or a score in [0, 1] of the label in question."""
    parsed = parse(answer, ANSWERS[question.step])
    if isinstance(parsed, requests.Explanation) and requests.repeats_instructions(parsed.label or ""):
        return Failure("the label is one of the examples in the instructions")
    if isinstance(parsed, (Failure, requests.Explanation)):
        return parsed
    numbers = parsed.active if isinstance(parsed, requests.Detection) else getattr(parsed, "right", [])
    score = balanced_accuracy(question, numbers)
    return Failure(f"names a window that does not exist: {shorten(str(numbers), 100)}") if score is None else score


def explainer_of(answer: Answer, explainer: str | None) -> str:
    """Name of the model that answered: the given one, else the one that the answer names.

    Raises
    ------
    UserError
        If neither is known.
    """
    who = explainer or answer.model
    if not who:
        raise UserError(
            f"the answer to {shorten(visible(answer.id), 80)!r} names no model, but every label records the model "
            f"that wrote it: give {argument('model')}, or put 'model' on every line."
        )
    return who


def take_answers(
    dictionary: Dictionary,
    asked: Iterable[LabelQuestion],
    answers: Mapping[str, Answer],
    explainer: str | None,
    source: str,
) -> Taken:
    """Read answers and store labels and abstentions, or scores of labels.

    Parameters
    ----------
    answers
        By id of the request; questions without an answer are skipped.
    explainer
        Name of the model; None: the one that each answer names.
    source
        Where the answers come from.

    Raises
    ------
    UserError
        If a label's explainer is not known, or every score is exactly that of chance; nothing is stored.
    """
    taken = Taken()
    labels: defaultdict[str, list[tuple[int, str | None]]] = defaultdict(list)
    scores: list[tuple[int, str, float]] = []
    step: Step = "explain"
    for question in asked:
        answer = answers.get(question.request.id)
        if answer is None:
            continue
        step = question.step
        read = read_answer(question, answer)
        if isinstance(read, Failure):
            taken.failed.append((question.concept, read.reason))
        elif isinstance(read, requests.Explanation):
            label = label_of(read)
            taken.abstained += label is None
            labels[explainer_of(answer, explainer)].append((question.concept, label))
        else:
            scores.append((question.concept, str(question.label), read))
    _check_scorer(scores)
    taken.stored = sum(map(len, labels.values())) - taken.abstained + len(scores)
    for who, rows in labels.items():
        dictionary.add_labels(label_rows(dictionary, rows, "explained", who, source))
    if scores:
        add_scores(dictionary, step, scores)
    return taken


def _check_scorer(scores: Sequence[tuple[int, str, float]]) -> None:
    """Refuse a scorer that names all windows or none, whatever the label: each of its scores is exactly 0.5."""
    if len(scores) >= FEWEST_SCORES and all(score == 0.5 for _, _, score in scores):
        raise UserError(
            f"each of {len(scores)} scores is exactly 0.5, as of a model that names every window or none: they say "
            "nothing of the labels, and none is stored. Expected a scorer that reads the windows: ask another model."
        )


def label_rows(
    dictionary: Dictionary, labels: Sequence[tuple[int, str | None]], kind: str, explainer: str, source: str | None
) -> pl.DataFrame:
    """Rows of the label table."""
    common = {
        "kind": kind,
        "explainer": explainer,
        "exemplars": dictionary.ranking,
        "source": source,
        "date": today(),
    }
    rows = []
    for concept, label in labels:
        placeholder = label is not None and is_placeholder(label, dictionary.promoted.get(concept))
        rows.append({"concept": concept, "label": label, "placeholder": placeholder, **common})
    return pl.DataFrame(rows, schema=SCHEMA)


def add_scores(dictionary: Dictionary, step: str, scores: Sequence[tuple[int, str, float]]) -> None:
    """Store scores with all labels of the same concept and text."""
    new = pl.DataFrame(
        scores, schema={"concept": pl.Int32, "label": pl.String, "new": pl.Float64}, orient="row"
    ).unique(subset=["concept", "label"], keep="last")
    table = dictionary.labels().join(new, on=["concept", "label"], how="left", maintain_order="left")
    dictionary.add_labels(table.with_columns(pl.coalesce("new", step).alias(step)).drop("new"))


def label_automatically(
    dictionary: Dictionary, concepts: Sequence[int] | None, advance: Callable[[float], None] = lambda amount: None
) -> Taken:
    """Give every concept a label from its exemplars' words, or from its promoted tokens where it has no exemplar."""
    labels: dict[int, str | None] = {}
    if dictionary.has_exemplars:
        labels = automatic_labels(dictionary.exemplars, advance)
    for concept, tokens in dictionary.promoted.items():
        if concept not in labels and tokens:
            labels[concept] = promoted_label(tokens)
    if not labels:
        raise UserError(f"{dictionary.folder}: nothing to label from. Run 'cgaps exemplars' first.")
    chosen = labels if concepts is None else {c: labels[c] for c in concepts if c in labels}
    return _add_automatic(dictionary, chosen, AUTOMATIC)


def label_by_subject(dictionary: Dictionary, concepts: Sequence[int] | None, progress: Progress) -> Taken:
    """Give concepts that stand for no word a label from a list of subjects."""
    return _add_automatic(dictionary, subject_labels(dictionary.exemplars, concepts, progress), SUBJECTS)


def _add_automatic(dictionary: Dictionary, labels: Mapping[int, str | None], explainer: str) -> Taken:
    rows = sorted(labels.items())
    dictionary.add_labels(label_rows(dictionary, rows, "automatic", explainer, None))
    abstained = sum(label is None for _, label in rows)
    return Taken(len(rows) - abstained, abstained)
