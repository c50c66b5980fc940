"""Whose scores a run shows, and by which model its items are read: nobody may take one for the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from competency_gaps.explorer.parts.records.run import Scored
from competency_gaps.findings.words import scored_name, short_name
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import shorten, visible

NOT_SCORED = "none"
"""Policy of benchmarks that are read without scores."""
_NAME_LIMIT = 80
_PEERS_NAMED = 4


def scored_of(run: RunFolder) -> Scored:
    """Describe whose scores a run, or an outcome of one, shows; of its tables none is read."""
    manifest: Mapping[str, Any] = run.manifest
    model, reader = _shown(scored_name(manifest)), _shown(short_name(str(manifest["model"]["name"])))
    against = tuple(_shown(short_name(name)) for name in manifest.get("outcome", {}).get("against", ()))
    if "outcome" not in manifest and all(entry["policy"] == NOT_SCORED for entry in manifest["benchmarks"]):
        title = f"no scores of its own, items read by {reader}"
        sentence = f"{reader} reads the items. This run has no scores of its own."
        return Scored(model, reader, run.kind, against, title, sentence, scored=False)
    if run.kind == "peers":
        title = f"{model} against {len(against)} peers"
        sentence = f"Scores of {model} less what its peers make of each item: {_listed(against)}."
    elif run.kind == "difference":
        title = f"{model} less {against[0]}"
        sentence = f"Scores of {model} less those of {against[0]}."
    elif run.kind == "parsed":
        title = f"whether answers of {model} could be read"
        sentence = f"Whether a score could be read from each answer of {model}, not the scores."
    else:
        title, sentence = model, f"Scores of {model}."
    if manifest.get("outcome", {}).get("all_kinds"):
        title, sentence = f"{title}, all kinds of concepts", f"{sentence} Concepts of all kinds are ranked."
    if model == reader and run.kind == "score":
        return Scored(model, reader, run.kind, against, title, f"{sentence} It also reads the items.", scored=True)
    title = f"{title}, items read by {reader}"
    other = "" if model == reader else f", not what goes on in {model}"
    sentence = f"{sentence} {reader} reads the items: its concepts say what an item is about{other}."
    return Scored(model, reader, run.kind, against, title, sentence, scored=True)


def display_names(models: Sequence[str]) -> list[str]:
    """Names of models as they are shown: without folders, numbered where several would be alike."""
    short = [_shown(short_name(name)) for name in models]
    return [
        f"{name} ({short[: place + 1].count(name)})" if short.count(name) > 1 else name
        for place, name in enumerate(short)
    ]


def _shown(name: str) -> str:
    return visible(shorten(name, _NAME_LIMIT))


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _PEERS_NAMED
    return ", ".join(names[:_PEERS_NAMED]) + (f" and {rest} more" if rest > 0 else "")
