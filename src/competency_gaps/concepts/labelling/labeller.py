"""Labels of concepts from a language model that reads exemplars; scores of labels; and the most important concepts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import chain, zip_longest
from typing import Any, Literal

import numpy as np
import polars as pl
import pydantic

from competency_gaps.concepts.exemplars import Exemplar, ExemplarKind
from competency_gaps.concepts.folder import Dictionary
from competency_gaps.concepts.labels import SCHEMA, clean_line, is_placeholder, today
from competency_gaps.items.config import LLMConfig
from competency_gaps.runs.open import RunFolder
from competency_gaps.scoring.answer_json import Failure, parse
from competency_gaps.scoring.llm import LLMAnswer, LLMRequest, ask
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import shorten, visible

OPEN, CLOSE = "«", "»"
MIN_MARKED_SHARE = 0.3
"""A token is marked if its activation is at least this share of the window's highest."""
_WORD = re.compile(r"\w+")
MAX_EXCERPT_LENGTH = 600
"""Maximum number of characters of a window that are shown, marks included."""
MAX_LABELLED_CONCEPTS = 600
"""Default number of a run's concepts to label [ours]."""


def active_tokens(exemplar: Exemplar) -> np.ndarray:
    """Return which tokens are to be marked: bool of shape (tokens,)."""
    peak = exemplar.activations.max(initial=0.0)
    return (exemplar.activations >= MIN_MARKED_SHARE * peak) & (exemplar.activations > 0)


def marked(exemplar: Exemplar, mask: np.ndarray) -> str:
    """Return the window's text with the tokens of a mask between marks, neighbours in one pair.

    Marks in the text itself are replaced; control and directional characters are written as code points. Long texts are
    cut to :data:`MAX_EXCERPT_LENGTH` around the first mark.
    """
    parts: list[str] = []
    inside = waiting = False
    for token, marks in zip(exemplar.tokens(), mask.tolist(), strict=True):
        on = marks or waiting
        waiting = on and not token  # a part of a character: the whole character is marked
        if token and on != inside:
            parts.append(OPEN if on else CLOSE)
            inside = on
        parts.append(plain(token))
    if inside:
        parts.append(CLOSE)
    text = "".join(parts)
    if len(text) <= MAX_EXCERPT_LENGTH:
        return text
    first = text.find(OPEN)
    start = max(0, min(first - MAX_EXCERPT_LENGTH // 2, len(text) - MAX_EXCERPT_LENGTH)) if first >= 0 else 0
    return (
        ("…" if start else "")
        + text[start : start + MAX_EXCERPT_LENGTH]
        + ("…" if start + MAX_EXCERPT_LENGTH < len(text) else "")
    )


def plain(text: str) -> str:
    """Return foreign text with our marks replaced and control characters made visible."""
    return visible(text.replace(OPEN, "<<").replace(CLOSE, ">>"))


Step = Literal["explain", "detection"]

EXPLAINER_WINDOWS = (5, 5)
"""Numbers of strongest and of spread windows that an explainer reads; the others are held out for scoring."""
EXPLAINER_NEGATIVES = 4
"""Number of hard negatives that an explainer reads."""
SCORED_WINDOWS = (5, 9)
"""Minimum and maximum number of windows with the concept, and likewise without it, in a detection test. Both numbers
are drawn for each concept, so that a scorer cannot assume that half of the windows have it."""


class Explanation(pydantic.BaseModel):
    """An explainer's answer."""

    model_config = pydantic.ConfigDict(extra="forbid")
    label: str | None
    """None: it abstains."""


class DetectedWindows(pydantic.BaseModel):
    """A scorer's answer: numbers (from 1) of the windows in which it expects the concept."""

    model_config = pydantic.ConfigDict(extra="forbid")
    windows: list[int]


@dataclass(frozen=True)
class LabelQuestion:
    """A request about one concept, with the facts needed to read its answer."""

    concept: int
    request: LLMRequest
    label: str | None = None
    """The label to score; None for an explanation."""
    truth: tuple[bool, ...] = ()
    """For each window, whether the concept is active (detection)."""


def explanation(concept: int, exemplars: Sequence[Exemplar], promoted: Sequence[str]) -> LabelQuestion | None:
    """Return a question that asks for a concept's label; None if the concept has no exemplar.

    It shows windows of even rank, with the concept and hard negatives; those of odd rank are held out for scoring.
    """
    top, spread = EXPLAINER_WINDOWS
    shown = _of_rank(exemplars, "top", 0)[:top] + _of_rank(exemplars, "spread", 0)[:spread]
    if not shown:
        return None
    strongest = max(float(exemplar.activations.max()) for exemplar in shown)
    windows = []
    for exemplar in shown:
        strength = max(1, round(10 * float(exemplar.activations.max()) / strongest))
        windows.append({"strength": strength, "text": marked(exemplar, active_tokens(exemplar))})
    negatives = _of_rank(exemplars, "negative", 0)[:EXPLAINER_NEGATIVES]
    silent = [shorten(plain(exemplar.text), MAX_EXCERPT_LENGTH) for exemplar in negatives]
    promotes = [shorten(plain(token), 40) for token in promoted]
    content = {"windows": windows, "silent": silent, "promotes": promotes}
    return LabelQuestion(concept, make_request("explain", concept, content, Explanation, 120))


def detection(concept: int, label: str, exemplars: Sequence[Exemplar], seed: int = 0) -> LabelQuestion | None:
    """Return a question that asks which held-out windows contain what a label names.

    None unless the concept has held-out windows with it and without it.
    """
    rng = np.random.default_rng([seed, concept])
    with_it, without_it = rng.integers(SCORED_WINDOWS[0], SCORED_WINDOWS[1] + 1, 2).tolist()
    active, silent = _held_out(exemplars, with_it), _of_rank(exemplars, "negative", 1)[:without_it]
    if not active or not silent:
        return None
    chosen = [(exemplar, True) for exemplar in active] + [(exemplar, False) for exemplar in silent]
    order = rng.permutation(len(chosen))
    windows = [{"number": i + 1, "text": plain(chosen[at][0].text)} for i, at in enumerate(order)]
    truth = tuple(chosen[at][1] for at in order)
    request = make_request("detection", concept, {"label": plain(label), "windows": windows}, DetectedWindows, 200)
    return LabelQuestion(concept, request, label, truth)


def _of_rank(exemplars: Sequence[Exemplar], kind: ExemplarKind, remainder: int) -> list[Exemplar]:
    """Return the exemplars of one kind and of even (0) or odd (1) rank."""
    return [exemplar for exemplar in exemplars if exemplar.kind == kind and exemplar.rank % 2 == remainder]


def _held_out(exemplars: Sequence[Exemplar], count: int) -> list[Exemplar]:
    """Return up to ``count`` exemplars of odd rank, half of them strongest ones if there are enough spread ones."""
    top, spread = _of_rank(exemplars, "top", 1), _of_rank(exemplars, "spread", 1)
    chosen = top[: max(count // 2, count - len(spread))]
    return chosen + spread[: count - len(chosen)]


def make_request(
    step: str, number: int, content: dict[str, Any], answer: type[pydantic.BaseModel], max_tokens: int
) -> LLMRequest:
    """Return a request about a concept or region, by number.

    Its id depends on the content, so that an answer to other content is not mistaken for its answer.
    """
    text = json.dumps(content, ensure_ascii=False)
    digest = hashlib.sha256((prompt(step) + text).encode()).hexdigest()[:8]
    schema = answer.model_json_schema()
    return LLMRequest(f"{step}-{number}-{digest}", prompt(step), text, schema, step, max_tokens)


@cache
def prompt(name: str) -> str:
    """Return the instructions of a step, from their file."""
    return files("competency_gaps.concepts.labelling").joinpath(f"prompts/{name}.txt").read_text(encoding="utf-8")


def repeats_instructions(label: str) -> bool:
    """Whether a label of several words occurs in the explainer's instructions: small models copy the examples there."""
    words = _WORD.findall(label.lower())
    return len(words) > 1 and f" {' '.join(words)} " in f" {' '.join(_WORD.findall(prompt('explain').lower()))} "


def balanced_accuracy(question: LabelQuestion, numbers: Sequence[int]) -> float | None:
    """Return the mean accuracy over windows with and without the concept, in [0, 1]; 0.5 = chance.

    Returns
    -------
    float, or None if the answer names a window that does not exist
    """
    if any(not 1 <= number <= len(question.truth) for number in numbers):
        return None
    truth = np.asarray(question.truth)
    chosen = np.isin(np.arange(1, len(truth) + 1), list(numbers))
    return float((chosen[truth].mean() + (~chosen[~truth]).mean()) / 2)


MIN_SCORES = 5
"""If at least this many scores are all exactly 0.5, the scorer does not read the windows [ours]."""


@dataclass
class Taken:
    """Counts of answers that were stored, abstained or failed."""

    stored: int = 0
    """Number of labels, or of scores, stored."""
    abstained: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    """Number of each concept whose answer could not be used, with the reason; nothing of these answers is stored."""

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as plain values for JSON."""
        failed = [{"id": number, "reason": reason} for number, reason in self.failed]
        return {"stored": self.stored, "abstained": self.abstained, "failed": failed}


def questions(dictionary: Dictionary, step: Step, concepts: Sequence[int] | None) -> Iterator[LabelQuestion]:
    """Yield a question about each of some concepts; None: all that have exemplars.

    Concepts without exemplars are skipped; if labels are scored, so are concepts without a label.
    """
    known = dictionary.exemplars.concepts
    chosen = known if concepts is None else known[np.isin(known, np.asarray(concepts))]
    shown = dictionary.shown()["label"] if step != "explain" else None
    for concept in chosen.tolist():
        if shown is None:
            promoted = dictionary.promoted.get(concept, [])
            question = explanation(concept, dictionary.exemplars.of(concept), promoted)
        elif shown[concept] is None:
            continue
        else:
            question = detection(concept, shown[concept], dictionary.exemplars.of(concept))
        if question is not None:
            yield question


def read_answer(question: LabelQuestion, answer: LLMAnswer) -> Explanation | float | Failure:
    """Return the content of an answer: an explanation, a label's score in [0, 1], or why it cannot be used."""
    if question.label is None:
        explained = parse(answer, Explanation)
        if isinstance(explained, Explanation) and repeats_instructions(explained.label or ""):
            return Failure("the label is one of the examples in the instructions")
        return explained
    scored = parse(answer, DetectedWindows)
    if isinstance(scored, Failure):
        return scored
    score = balanced_accuracy(question, scored.windows)
    return Failure("names a window that does not exist") if score is None else score


def ask_about(
    dictionary: Dictionary,
    step: Step,
    concepts: Sequence[int] | None,
    llm: LLMConfig,
    progress: Progress,
) -> Taken:
    """Ask a model for labels or for their scores, store these, and return the counts.

    Parameters
    ----------
    concepts
        Numbers of concepts; None: all that have exemplars.

    Raises
    ------
    UserError
        If there is nothing to ask.
    """
    asked = []
    with progress.stage("preparing questions", unit="questions") as bar:
        for question in questions(dictionary, step, concepts):
            asked.append(question)
            bar.advance()
    if not asked:
        raise UserError(f"the step {step!r} has nothing to ask. Collect exemplars first; scoring also needs labels.")
    by_id = {question.request.id: question for question in asked}

    def usable(answer: LLMAnswer) -> bool:
        return not isinstance(read_answer(by_id[answer.id], answer), Failure)

    answers = ask([question.request for question in asked], llm, dictionary.folder / "answers", progress, usable)
    return take_answers(dictionary, asked, answers, llm.model, llm.base_url)


def take_answers(
    dictionary: Dictionary,
    asked: Iterable[LabelQuestion],
    answers: Mapping[str, LLMAnswer],
    explainer: str,
    source: str | None,
) -> Taken:
    """Store the labels and abstentions, or the scores, in some answers, and return the counts.

    Parameters
    ----------
    answers
        By id of the request; questions without an answer are skipped.
    explainer
        Name of the model.
    source
        Address of the model's server; None: unknown.

    Raises
    ------
    UserError
        If at least :data:`MIN_SCORES` scores are all exactly those of chance; no score is stored then.
    """
    taken = Taken()
    labels: list[tuple[int, str | None]] = []
    scores: list[tuple[int, str, float]] = []
    for question in asked:
        answer = answers.get(question.request.id)
        if answer is None:
            continue
        read = read_answer(question, answer)
        if isinstance(read, Failure):
            taken.failed.append((question.concept, read.reason))
        elif isinstance(read, Explanation):
            label = clean_line(read.label)
            taken.abstained += label is None
            labels.append((question.concept, label))
        else:
            scores.append((question.concept, str(question.label), read))
    if len(scores) >= MIN_SCORES and all(score == 0.5 for _, _, score in scores):
        raise UserError(
            f"each of {len(scores)} scores is exactly 0.5, as if the model named every window or none, so none is "
            "stored. Use a model that reads the windows."
        )
    taken.stored = len(labels) - taken.abstained + len(scores)
    if labels:
        dictionary.add_labels(label_rows(dictionary, labels, "explained", explainer, source))
    if scores:
        add_scores(dictionary, scores)
    return taken


def label_rows(
    dictionary: Dictionary, labels: Sequence[tuple[int, str | None]], kind: str, explainer: str, source: str | None
) -> pl.DataFrame:
    """Return labels as rows of the label table."""
    common = {"kind": kind, "explainer": explainer, "source": source, "date": today()}
    rows = []
    for concept, label in labels:
        placeholder = label is not None and is_placeholder(label, dictionary.promoted.get(concept))
        rows.append({"concept": concept, "label": label, "placeholder": placeholder, **common})
    return pl.DataFrame(rows, schema=SCHEMA)


def add_scores(dictionary: Dictionary, scores: Sequence[tuple[int, str, float]]) -> None:
    """Store scores with all labels that have the same concept and text."""
    new = pl.DataFrame(
        scores, schema={"concept": pl.Int32, "label": pl.String, "new": pl.Float64}, orient="row"
    ).unique(subset=["concept", "label"], keep="last")
    table = dictionary.labels().join(new, on=["concept", "label"], how="left", maintain_order="left")
    by = pl.when(pl.col("new").is_not_null()).then(pl.lit("detection")).otherwise("scored_by")
    dictionary.add_labels(table.with_columns(score=pl.coalesce("new", "score"), scored_by=by).drop("new"))


def important(runs: Sequence[RunFolder], count: int = MAX_LABELLED_CONCEPTS) -> list[int]:
    """Return the most important concepts of some runs.

    Concepts are taken in turn from several lists: those that go with failure, and those that go with success (by
    p-value); those of the smallest p-values; those that the suite exercises most; those that are missing although a
    text of that size should show them; and, per benchmark, those that it exercises far more than ordinary text does.
    Concepts that are not ranked are left out.

    Returns
    -------
    list of int, ``count`` different concepts or all there are, the most important first
    """
    lists = list(chain.from_iterable(_lists(run) for run in runs))
    order = dict.fromkeys(c for turn in zip_longest(*lists) for c in turn if c is not None)
    return list(order)[:count]


def _lists(run: RunFolder) -> list[list[int]]:
    """Return the lists of a run from which :func:`important` takes concepts."""
    ranked = run.concepts.filter(pl.col("ranked"))
    by_p = ranked.filter(pl.col("p_value").is_not_null()).sort("p_value", "concept")
    lists = [by_p.filter(performance_status=verdict)["concept"].to_list() for verdict in ("failure", "success")]
    lists.append(by_p["concept"].to_list())
    lists.append(ranked.sort("chi_bench", descending=True)["concept"].to_list())
    absent = ranked.filter(pl.col("missing")).sort("chance_seen", "density", descending=True, nulls_last=True)
    lists.append(absent["concept"].to_list())
    rows = run.concept_benchmarks.filter(pl.col("concept").is_in(ranked["concept"].to_list()) & (pl.col("support") > 0))
    for _, part in rows.group_by("benchmark", maintain_order=True):
        key = "lift" if part["lift"].null_count() < part.height else "chi_bench"
        frequent = part.filter(pl.col("support") >= 3).sort(key, descending=True, nulls_last=True)
        lists.append(frequent["concept"].to_list())
    return lists
