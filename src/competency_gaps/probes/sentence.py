"""A probe's result as a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from competency_gaps.text import decimal, magnitude, plural, shorten, signed, visible

_HEADS = {
    "holds": "The {claim} holds.",
    "not shown": "Fresh items do not show the {claim}.",
    "reversed": "Fresh items show the opposite of the {claim}.",
}


def named_sentence(row: Mapping[str, Any]) -> str:
    """A sentence about a probed concept, with its number and label.

    Parameters
    ----------
    row
        Of ``concepts`` in ``verdicts.json``.
    """
    label = f" ({shorten(visible(row['label']), 80)})" if row["label"] else ""
    status = f", {row['status']} in the run" if row["status"] != row["claim"] else ""
    return f"Concept {row['concept']}{label}{status}: {sentence(row)}"


def sentence(row: Mapping[str, Any]) -> str:
    """The same without the concept's name."""
    claim = "weakness" if row["claim"] == "weak" else "strength"
    if row["verdict"] == "too few items":
        return (
            f"Too few fresh items to say whether its {claim} holds "
            f"({row['exciting']:,} that excite it, {row['comparison']:,} beside them)."
        )
    mean = f"{decimal(row['mean'])} ({decimal(row['mean_low'])} to {decimal(row['mean_high'])})"
    if row["kind"] == "contrast":
        body = (
            f"{plural(row['exciting'], 'fresh item')} that excite it score {mean}; items of the same families that do "
            f"not would give {decimal(row['expected'])} (from {row['comparison']:,})"
        )
    else:
        body = (
            "Its families have too few items either with or without it to compare the two, so strength counts: "
            f"{plural(row['exciting'], 'fresh item')}, weighted by activation, score {mean}; their families' "
            f"average is {decimal(row['expected'])}"
        )
    spread = f"{signed(row['difference_low'])} to {signed(row['difference_high'])}"
    tests = f"p = {magnitude(row['p_value'])}, q = {magnitude(row['q_value'])}"
    head = _HEADS[row["verdict"]].format(claim=claim)
    return f"{head} {body}. Difference {signed(row['difference'])} ({spread}), {tests}."
