"""The commands that the page suggests."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.scored import scored_of

PROBED = 5
"""Concepts that one command probes."""


def command(context: Context, *words: str, options: Iterable[str] = ()) -> str:
    """Write a command on the run, as a shell takes it.

    Parameters
    ----------
    words : str
        The command's words, as ``probe``.
    options : iterable of str
        What follows the run.
    """
    return shlex.join(["cgaps", *words, run_folder(context), *options])


def run_folder(context: Context) -> str:
    """The run's folder as a command names it: as it was given, but who has an export need not know where it lay."""
    run = context.run
    return run.base.resolve().name if context.portable else str(run.path)


def probe(context: Context, concepts: Sequence[int], *options: str) -> tuple[str, str]:
    """Give the command that probes concepts, and a sentence on what it does.

    Parameters
    ----------
    concepts : sequence of int
        Those that will be probed.
    options : str
        How the command names them: ``--concept 5,17`` or ``--weak 5``.
    """
    if not can_probe(context):
        return (
            command(context, "findings"),
            f"It lists the findings. Fresh items would be asked of {scored_of(context.run).reader}, which reads the "
            "items, so they cannot test what is said of another model's scores.",
        )
    if _can_generate(context, concepts):
        return (
            command(context, "probe", options=options),
            "It makes new items of the run's generated benchmarks and says whether it holds there.",
        )
    return (
        command(context, "probe", options=[*options, "--llm", "llm.yaml"]),
        "No new items can be generated for them: a language model, which llm.yaml names, writes items, and it says "
        "whether it holds there.",
    )


def can_probe(context: Context) -> bool:
    """Whether fresh items would be asked of the model whose scores are shown, and not only of the one that reads."""
    run = context.run
    return run.kind == "score" and run.scored_model == run.manifest["model"]["name"]


def finding_command(context: Context, row: Mapping[str, Any]) -> tuple[str, str]:
    """Give the command that tests a finding further, and a sentence on what it does.

    Parameters
    ----------
    row
        Of ``Context.findings``.
    """
    concepts = list(row["concepts"])[:PROBED]
    return probe(context, concepts, "--concept", ",".join(str(concept) for concept in concepts))


def _can_generate(context: Context, concepts: Sequence[int]) -> bool:
    """Whether most of some concept's activation lies in benchmarks of which new items can be generated."""
    families = {entry["name"] for entry in context.run.manifest["benchmarks"] if entry.get("generated")}
    if not families:
        return False
    kept = dict(context.run.benchmarks.select("benchmark", "kept").iter_rows())
    inside, whole = [0.0] * len(concepts), [0.0] * len(concepts)
    for place, name in enumerate(context.names):
        column = context.benchmark_concepts(place, ["chi_bench"])["chi_bench"]
        for number, concept in enumerate(concepts):
            amount = (column[concept] or 0.0) * kept[name]
            whole[number] += amount
            inside[number] += amount * (name in families)
    return any(part > 0.5 * total for part, total in zip(inside, whole, strict=True) if total)
