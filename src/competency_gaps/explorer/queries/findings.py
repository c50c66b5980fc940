"""Questions about findings."""

from __future__ import annotations

from typing import Any

from competency_gaps.errors import UserError
from competency_gaps.explorer.queries.arguments import ListFindings, OneFinding
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import SENTENCE, fields, foreign

SHARE = 0.1
"""Part of a finding's weight from which on it is about a benchmark [ours]."""
_LISTED = ("finding", "verdict", "gap", "gap_low", "gap_high", "items", "clusters", "mean_score", "q_value", "holds")
_WHOLE = (
    *("finding", "verdict", "items", "clusters", "n_eff", "graded", "mean_score", "gap", "gap_low", "gap_high"),
    *("plain_gap", "p_value", "q_value", "detectable", "feature", "feature_items", "feature_score", "other_items"),
    *("other_score", "feature_p", "unseen_gap", "unseen_low", "unseen_high", "unseen_splits", "splits", "holds"),
)
_TEXTS = {"prompt": 300, "response": 160, "answer": 120}
"""Texts of an example, and most characters of each [ours]."""
_CONCEPTS = 12


def list_findings(subject: Subject, asked: ListFindings) -> dict[str, Any]:
    """List findings, weak ones first, each by what is at stake.

    Returns
    -------
    dict
        ``total`` that qualify and ``findings``, the first of them.
    """
    found = subject.info["findings"]
    if asked.verdict is not None:
        found = [one for one in found if one["verdict"] == asked.verdict]
    if asked.holds is not None:
        found = [one for one in found if one["holds"] is asked.holds]
    if asked.benchmark is not None:
        place = subject.place_of(asked.benchmark)
        found = [one for one in found if _share(one, place) >= SHARE]
    shown = found[: asked.limit]
    rows = [{"sentence": foreign(one["sentence"], SENTENCE), **fields(one, _LISTED)} for one in shown]
    return {"total": len(found), "findings": rows}


def one_finding(subject: Subject, asked: OneFinding) -> dict[str, Any]:
    """All about one finding: its figures, where its items are, failing and passing ones, and the concepts behind it."""
    every = subject.info["findings"]
    if asked.finding >= len(every):
        known = f"expected 0 to {len(every) - 1}" if every else "this run has none"
        raise UserError(f"there is no finding {asked.finding}: {known}.")
    one = every[asked.finding]
    names = [foreign(name) for name in subject.benchmarks]
    labels = subject.concepts["label"]
    return {
        "sentence": foreign(one["sentence"], SENTENCE),
        "support": foreign(one["support"], 2 * SENTENCE),
        **fields(one, _WHOLE),
        "benchmarks": [
            {"benchmark": names[part["benchmark"]], **fields(part, ("items", "share"))} for part in one["benchmarks"]
        ],
        "failing": _examples(subject, one["failing"]),
        "passing": _examples(subject, one["passing"]),
        "concepts": [{"concept": c, "label": foreign(labels[c])} for c in one["concepts"][:_CONCEPTS]],
        "concepts_in_all": len(one["concepts"]),
        "command": foreign(one["command"], 2000),
    }


def _share(finding: dict[str, Any], place: int) -> float:
    return max((float(part["share"]) for part in finding["benchmarks"] if part["benchmark"] == place), default=0.0)


def _examples(subject: Subject, examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = subject.item_rows([one["item"] for one in examples], ("benchmark", "score", "choices", *_TEXTS))
    found = []
    for row, one in zip(rows, examples, strict=True):
        texts = {**row, "prompt": _differing(row["prompt"], one["differs"])}
        choices = row["choices"]
        found.append(
            {
                **fields({**row, **one}, ("item", "benchmark", "score", "repeats")),
                **{name: foreign(texts[name], limit) for name, limit in _TEXTS.items()},
                "choices": None if choices is None else [foreign(choice, 80) for choice in choices[:8]],
            }
        )
    return found


def _differing(prompt: str | None, ranges: list[list[int]] | None) -> str | None:
    """What of a prompt differs from other items of its benchmark."""
    if prompt is None or ranges is None:
        return prompt
    return " … ".join(prompt[start:end].strip() for start, end in ranges)
