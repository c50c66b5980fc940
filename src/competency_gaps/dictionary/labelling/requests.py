"""Requests about concepts, for an endpoint or a batch file, and how answers are read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
import pydantic

from competency_gaps.dictionary.exemplars import Exemplar, ExemplarKind
from competency_gaps.dictionary.labels import clean_label
from competency_gaps.endpoint import Request
from competency_gaps.text import shorten, visible

OPEN, CLOSE = "«", "»"
MARKED = 0.3
"""Tokens with at least this share of a window's highest activation are marked."""
_WORD = re.compile(r"\w+")
LONGEST = 600
"""Characters of a window that are shown, marks included."""


def active_tokens(exemplar: Exemplar) -> np.ndarray:
    """Tokens that are marked: bool of shape (tokens,)."""
    peak = exemplar.activations.max(initial=0.0)
    return (exemplar.activations >= MARKED * peak) & (exemplar.activations > 0)


def marked(exemplar: Exemplar, mask: np.ndarray) -> str:
    """The window's text with the tokens of a mask between marks, neighbours together.

    Marks of the text itself are replaced, control and directional characters are written as code points.
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
    if len(text) <= LONGEST:
        return text
    first = text.find(OPEN)
    start = max(0, min(first - LONGEST // 2, len(text) - LONGEST)) if first >= 0 else 0
    return ("…" if start else "") + text[start : start + LONGEST] + ("…" if start + LONGEST < len(text) else "")


def plain(text: str) -> str:
    """Foreign text with our marks replaced and its control characters made visible."""
    return visible(text.replace(OPEN, "<<").replace(CLOSE, ">>"))


Step = Literal["explain", "detection", "fuzzing"]

EXPLAINED = (5, 5)
"""Strongest and spread windows that an explainer reads; the others are held out for scores."""
SILENT = 4
"""Hard negatives that an explainer reads."""
SCORED = (5, 9)
"""Fewest and most windows with the concept on which a label's detection is scored, and the same without it; both are
drawn for each concept, so that a reader cannot count on half of them."""
FUZZED = 12
"""Windows on which fuzzing is scored."""


class Explanation(pydantic.BaseModel):
    """An explainer's answer."""

    model_config = pydantic.ConfigDict(extra="forbid")
    label: str | None
    """None: it abstains."""


class Detection(pydantic.BaseModel):
    """A scorer's answer: windows in which it expects the concept."""

    model_config = pydantic.ConfigDict(extra="forbid")
    active: list[int]


class Fuzzing(pydantic.BaseModel):
    """A scorer's answer: windows whose marks it considers right."""

    model_config = pydantic.ConfigDict(extra="forbid")
    right: list[int]


ANSWERS: dict[Step, type[pydantic.BaseModel]] = {"explain": Explanation, "detection": Detection, "fuzzing": Fuzzing}


@dataclass(frozen=True)
class LabelQuestion:
    """A request about one concept, with what is needed to read its answer."""

    concept: int
    step: Step
    request: Request
    label: str | None = None
    """The label to score; None for an explanation."""
    truth: tuple[bool, ...] = ()
    """For each window, whether the concept is active (detection) or the marks are right (fuzzing)."""


def explanation(concept: int, exemplars: Sequence[Exemplar], promoted: Sequence[str]) -> LabelQuestion | None:
    """Ask for a label; None if the concept has no exemplar.

    Windows of even rank are shown, with the concept and hard negatives, so that those of odd rank can score the answer.
    """
    shown = _of_rank(exemplars, "top", 0)[: EXPLAINED[0]] + _of_rank(exemplars, "spread", 0)[: EXPLAINED[1]]
    if not shown:
        return None
    strongest = max(float(exemplar.activations.max()) for exemplar in shown)
    windows = [
        {
            "strength": max(1, round(10 * float(exemplar.activations.max()) / strongest)),
            "text": marked(exemplar, active_tokens(exemplar)),
        }
        for exemplar in shown
    ]
    silent = [shorten(plain(exemplar.text), LONGEST) for exemplar in _of_rank(exemplars, "negative", 0)[:SILENT]]
    promotes = [shorten(plain(token), 40) for token in promoted]
    content = {"windows": windows, "silent": silent, "promotes": promotes}
    return _question(concept, "explain", content, 120)


def detection(concept: int, label: str, exemplars: Sequence[Exemplar], seed: int = 0) -> LabelQuestion | None:
    """Ask which held-out windows contain what a label names; None unless some do and some do not."""
    rng = np.random.default_rng([seed, concept])
    with_it, without_it = rng.integers(SCORED[0], SCORED[1] + 1, 2).tolist()
    active, silent = _held_out(exemplars, with_it), _of_rank(exemplars, "negative", 1)[:without_it]
    if not active or not silent:
        return None
    chosen = [(exemplar, True) for exemplar in active] + [(exemplar, False) for exemplar in silent]
    order = rng.permutation(len(chosen))
    windows = [{"number": i + 1, "text": plain(chosen[at][0].text)} for i, at in enumerate(order)]
    truth = tuple(chosen[at][1] for at in order)
    return _question(concept, "detection", {"label": plain(label), "windows": windows}, 200, label, truth)


def fuzzing(concept: int, label: str, exemplars: Sequence[Exemplar], seed: int = 0) -> LabelQuestion | None:
    """Ask in which held-out windows the right tokens are marked; None with fewer than two such windows."""
    active = _held_out(exemplars, FUZZED)
    rng = np.random.default_rng([seed, concept, 1])
    windows: list[dict[str, Any]] = []
    truth: list[bool] = []
    right = rng.permutation(len(active)) < len(active) // 2
    for exemplar, keep in zip(active, right.tolist(), strict=True):
        mask = active_tokens(exemplar)
        moved = _moved(mask, rng) if not keep else mask
        if moved is not None:
            windows.append({"number": len(windows) + 1, "text": marked(exemplar, moved)})
            truth.append(keep)
    if len(set(truth)) < 2:
        return None
    return _question(concept, "fuzzing", {"label": plain(label), "windows": windows}, 200, label, tuple(truth))


def _of_rank(exemplars: Sequence[Exemplar], kind: ExemplarKind, remainder: int) -> list[Exemplar]:
    """Windows of one kind and of even (0) or odd (1) rank."""
    return [exemplar for exemplar in exemplars if exemplar.kind == kind and exemplar.rank % 2 == remainder]


def _held_out(exemplars: Sequence[Exemplar], count: int) -> list[Exemplar]:
    """Windows of odd rank, half of them strong ones if there are enough others."""
    top, spread = _of_rank(exemplars, "top", 1), _of_rank(exemplars, "spread", 1)
    chosen = top[: max(count // 2, count - len(spread))]
    return chosen + spread[: count - len(chosen)]


def _moved(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Move the marks to other tokens, at random; None if there are too few others."""
    others = np.flatnonzero(~mask)
    if len(others) < mask.sum():
        return None
    moved = np.zeros_like(mask)
    moved[rng.choice(others, int(mask.sum()), replace=False)] = True
    return moved


def _question(
    concept: int,
    step: Step,
    content: dict[str, Any],
    max_tokens: int,
    label: str | None = None,
    truth: tuple[bool, ...] = (),
) -> LabelQuestion:
    return LabelQuestion(concept, step, make_request(step, concept, content, ANSWERS[step], max_tokens), label, truth)


def make_request(
    step: str, number: int, content: dict[str, Any], answer: type[pydantic.BaseModel], max_tokens: int
) -> Request:
    """Request for a concept or theme by number; its id depends on the content, so an answer to other content fails."""
    text = json.dumps(content, ensure_ascii=False)
    digest = hashlib.sha256((prompt(step) + text).encode()).hexdigest()[:8]
    schema = answer.model_json_schema()
    return Request(f"{step}-{number}-{digest}", prompt(step), text, schema, step, max_tokens)


@cache
def prompt(name: str) -> str:
    """Read an instruction from its file."""
    return files("competency_gaps.dictionary.labelling").joinpath(f"prompts/{name}.txt").read_text(encoding="utf-8")


def label_of(answer: Explanation) -> str | None:
    """The label to store; None: the explainer abstained."""
    return clean_label(answer.label) if answer.label is not None else None


def repeats_instructions(label: str) -> bool:
    """Whether a label of several words stands in the explainer's instructions: small models copy their examples."""
    words = _WORD.findall(label.lower())
    return len(words) > 1 and f" {' '.join(words)} " in f" {' '.join(_WORD.findall(prompt('explain').lower()))} "


def balanced_accuracy(question: LabelQuestion, numbers: Sequence[int]) -> float | None:
    """Balanced accuracy: mean share of both kinds of windows that were judged correctly, in [0, 1]; 0.5 = chance.

    Returns
    -------
    float, or None if the answer names a window that does not exist
    """
    if any(not 1 <= number <= len(question.truth) for number in numbers):
        return None
    truth = np.asarray(question.truth)
    chosen = np.isin(np.arange(1, len(truth) + 1), list(numbers))
    return float((chosen[truth].mean() + (~chosen[~truth]).mean()) / 2)
