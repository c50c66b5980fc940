"""A classifier that says whether a text supports a statement: natural language inference, or a model of hallucination.

A source that is longer than the classifier reads is cut into windows that overlap by half; a statement is as well
supported as by its best window, and a text as its mean statement (SummaC-ZS; Laban et al., 2022).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from competency_gaps.errors import UserError, nearest
from competency_gaps.items.item import Reason

_SUPPORTS = re.compile(
    r"^(?:entail(?:ment|ed|s)?|consistent|supported|supports|faithful|factual|correct)$", re.IGNORECASE
)
_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])|\n+")
SOURCE_ROOM = 32
"""Tokens of a window that a statement must leave to the source at least [ours]."""
BATCH = 16


def sentences(text: str) -> list[str]:
    """A text's sentences, by their ends and by line breaks; list marks and headings are sentences too."""
    return [part.strip() for part in _END.split(text) if part and re.search(r"\w", part)]


def supporting_label(labels: Mapping[int, str], wanted: str | None) -> int | None:
    """Which output of a classifier means that the source supports the statement.

    Parameters
    ----------
    labels
        ``id2label`` of its configuration.
    wanted
        A label's name; None: the one that says so.

    Returns
    -------
    int or None
        None for a classifier with a single output, whose logistic function is the probability.

    Raises
    ------
    UserError
        If there is no such label, or none or several say so.
    """
    if wanted is not None:
        matching = [number for number, name in labels.items() if name.casefold() == wanted.casefold()]
        if len(matching) != 1:
            raise UserError(
                f"the classifier has no label {wanted!r}; it has {', '.join(labels.values())}."
                f"{nearest(wanted, labels.values())}"
            )
        return None if len(labels) == 1 else matching[0]
    if len(labels) == 1:
        return None
    matching = [number for number, name in labels.items() if _SUPPORTS.match(name)]
    if len(matching) != 1:
        raise UserError(
            f"of the classifier's labels {', '.join(labels.values())}, {len(matching)} say that the source supports "
            "the statement, expected one. Name it with the option 'label'."
        )
    return matching[0]


class NotMeasurable(ValueError):
    """A response that the classifier cannot measure."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Entailment:
    """A sequence classifier of transformers, for pairs of source and statement.

    Parameters
    ----------
    name
        Hub id or folder. Code that comes with a model is never run.
    label
        The label that means support; None: found by its name.
    """

    def __init__(self, name: str, label: str | None = None) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(name)
            self.model: Any = AutoModelForSequenceClassification.from_pretrained(name)
        except (OSError, ValueError) as error:
            raise UserError(
                f"the classifier {name!r} cannot be loaded: {error}. Give a folder or a hub id of a sequence "
                "classifier that transformers knows without code of its own."
            ) from error
        if not self.tokenizer.is_fast:
            raise UserError(
                f"classifier {name!r}: its tokenizer gives no offsets, by which long sources are cut into windows; "
                "expected a fast tokenizer. Choose another 'model', or none to ask the judge."
            )
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = self.model.eval().to(device)
        self.name = name
        self.label = supporting_label({int(k): str(v) for k, v in self.model.config.id2label.items()}, label)
        self.max_length = _max_length(self.tokenizer, self.model.config)
        self.identity = f"{_identity(name, self.model.config)}:{self.label}:{self.max_length}"

    def probabilities(self, source: str, statements: list[str]) -> list[list[float]]:
        """Probability in [0, 1] that each window of the source supports each statement, one list per statement.

        Raises
        ------
        NotMeasurable
            If a statement leaves no room for the source, or the classifier gives what is no number.
        """
        encoded = self.tokenizer(source, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        places = encoded["offset_mapping"]
        special = self.tokenizer.num_special_tokens_to_add(pair=True)
        pairs: list[tuple[str, str]] = []
        owners: list[int] = []
        for number, statement in enumerate(statements):
            length = len(self.tokenizer(statement, add_special_tokens=False, verbose=False)["input_ids"])
            # A cut-out text may take a token more than it has inside the whole.
            room = self.max_length - special - length - 2
            if room < SOURCE_ROOM:
                raise NotMeasurable(
                    Reason(
                        "statement_too_long",
                        f"a statement of {length} tokens leaves no room for the source: the classifier "
                        f"reads {self.max_length}",
                        (length, self.max_length),
                    )
                )
            for first, last in windows(len(places), room):
                text = source[places[first][0] : places[last - 1][1]] if last > first else ""
                pairs.append((text, statement))
                owners.append(number)
        probabilities: list[list[float]] = [[] for _ in statements]
        for start in range(0, len(pairs), BATCH):
            values = self._forward(pairs[start : start + BATCH])
            if not np.isfinite(values).all():
                raise NotMeasurable(Reason("classifier_not_finite", "what the classifier gives is not finite"))
            for owner, value in zip(owners[start : start + BATCH], values, strict=True):
                probabilities[owner].append(value)
        return probabilities

    def _forward(self, pairs: list[tuple[str, str]]) -> list[float]:
        import torch

        sources, statements = zip(*pairs, strict=True)
        batch = self.tokenizer(
            list(sources),
            list(statements),
            truncation="only_first",
            max_length=self.max_length,
            padding=True,
            return_tensors="pt",
        ).to(self.model.device)
        with torch.inference_mode():
            logits = self.model(**batch).logits.float()
        if self.label is None:
            return [float(value) for value in torch.sigmoid(logits[:, 0])]
        return [float(value) for value in torch.softmax(logits, dim=-1)[:, self.label]]


def windows(length: int, room: int) -> list[tuple[int, int]]:
    """Ranges [start, end) of at most ``room`` tokens that cover ``length``; each overlaps the one before by half."""
    if length <= room:
        return [(0, length)]
    step = max(1, room // 2)
    starts = [*range(0, length - room, step), length - room]
    return [(start, start + room) for start in starts]


def support(probabilities: list[list[float]]) -> float:
    """Mean over statements of the maximum over windows."""
    return float(np.mean([max(row) for row in probabilities]))


def _max_length(tokenizer: Any, config: Any) -> int:
    """The shorter of what tokenizer and model say, without the tokenizer's "no limit"."""
    positions = getattr(config, "max_position_embeddings", None)
    limits = [int(value) for value in (tokenizer.model_max_length, positions) if value and 0 < value < 10**6]
    # Roberta's positions begin after the padding's.
    if positions in limits and getattr(config, "model_type", "") in ("roberta", "xlm-roberta", "camembert"):
        limits.append(int(positions) - 2)
    return min(limits, default=512)


def _identity(name: str, config: Any) -> str:
    """What tells classifiers apart: the files of a folder by size and time, a hub model by its commit."""
    folder = Path(name)
    if folder.is_dir():
        parts = [f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in sorted(folder.iterdir()) if p.is_file()]
        return hashlib.sha256("\x00".join([str(folder.resolve()), *parts]).encode()).hexdigest()[:16]
    return f"{name}@{getattr(config, '_commit_hash', None)}"


load_entailment = lru_cache(maxsize=2)(Entailment)
"""Load a classifier once, by its name and label."""
