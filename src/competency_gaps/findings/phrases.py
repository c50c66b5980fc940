"""Phrases that the answer shares with other pages: names of models, kinds of concepts, what gaps are taken net of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from competency_gaps.dictionary.kinds import CONTEXTUAL, kind_counts
from competency_gaps.text import integer, share_of, shorten

NAME_LIMIT = 60
"""Letters after which a name is cut in a sentence."""
COVARIATES = {"answer_position": "the place of the right option", "options": "the number of options"}
"""Words for what items are compared at equal values of; any other name (``length``, a column's) is its own word."""


def short_name(name: str) -> str:
    """Keep the last part of a folder's path; a name of the hub (``owner/model``) stays whole."""
    name = name.removeprefix("embedded:")
    return name.rstrip("/").rsplit("/", 1)[-1] if name.startswith(("/", ".", "~")) else name


def scored_name(manifest: Mapping[str, Any]) -> str:
    """Name the model whose scores a run's evidence rests on."""
    return short_name(str(manifest["scored_model"]))


def reading_sentence(manifest: Mapping[str, Any]) -> str:
    """Say by which model the items are read and what scores are set against; empty for a model's own plain scores.

    Nobody may think that the concepts are those of the model whose scores these are.
    """
    lens, scored = short_name(str(manifest["model"]["name"])), scored_name(manifest)
    sentences = []
    if lens != scored:
        sentences.append(f"Concepts are those by which {shorten(lens, 80)} reads the items.")
    outcome = manifest.get("outcome", {"kind": "score"})
    others = [shorten(short_name(name), 60) for name in outcome.get("against", ())]
    if outcome["kind"] == "peers":
        named = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
        sentences.append(f"Its scores are taken against what its peers make of each item: {named}.")
    elif outcome["kind"] == "parsed":
        sentences.append("What follows is about whether a score could be read from its answers, not about the scores.")
    elif outcome["kind"] == "difference":
        sentences.append(f"Its scores are taken less those of {others[0]}.")
    return " ".join(sentences)


def _why(left_out: dict[str, int]) -> str:
    mixed = "the texts in which they are strongest have no meaning in common"
    if set(left_out) == {"mixed"}:
        return mixed
    looks = "they say what a text looks like, not what it is about"
    return f"{looks}, or {mixed}" if "mixed" in left_out else looks


def kinds_sentence(concepts: pl.DataFrame) -> str:
    """Count, by kind, the concepts that rankings leave out, and say if kinds are unknown; empty: all are contextual."""
    left_out = kind_counts(concepts.filter(pl.col("ranked").not_()))
    among = {kind: count for kind, count in kind_counts(concepts).items() if kind not in (CONTEXTUAL, "unknown")}
    sentences = []
    if left_out:
        what = "concept is" if sum(left_out.values()) == 1 else "concepts are"
        sentences.append(
            f"{_counted(left_out)} {what} left out: {_why(left_out)} (‘cgaps show --all-kinds’ ranks them too)."
        )
    elif among:
        sentences.append(f"Concepts of all kinds are ranked, {_counted(among)} among them.")
    unknown = kind_counts(concepts).get("unknown", 0)
    if unknown:
        sentences.append(
            f"The kind of {share_of(unknown, int(concepts['alive'].sum()))} alive concepts is not known, because no "
            "reference text shows how they go with tokens; they are ranked."
        )
    return " ".join(sentences)


def _counted(counts: Mapping[str, int]) -> str:
    parts = [f"{integer(count)} {kind}" for kind, count in counts.items()]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def covariate_words(name: str) -> str:
    """Give the words for a property of items by which they are compared."""
    return COVARIATES.get(name, shorten(name, NAME_LIMIT))


def alike(evidence: Mapping[str, Any]) -> str:
    """Say among which items gaps are taken: ``at equal length``; empty where items are compared within benchmarks only.

    Parameters
    ----------
    evidence : mapping
        The manifest's ``evidence``.
    """
    words = [covariate_words(str(name)) for name in evidence.get("strata") or ()]
    if not words:
        return ""
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"at equal {listed}".replace("equal the ", "the same ")


def points(gap: float) -> str:
    """Write the size of a gap between scores in [0, 1] in points of a hundred: ``7 points``, ``0.6 points``."""
    size = 100 * abs(gap)
    text = f"{size:.1f}" if size < 1 else f"{size:.0f}"
    return f"{text} point" + ("" if text == "1" else "s")
