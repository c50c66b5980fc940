"""Which concepts of a run are probed, and what the run claims about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from competency_gaps.errors import UserError, argument
from competency_gaps.probes.verdict import Claim
from competency_gaps.runs.open import RunFolder

SHARE = 0.02
"""Least share of a concept's activation in a benchmark that is probed for it."""


@dataclass(frozen=True)
class ProbedConcept:
    """A concept to probe."""

    concept: int
    label: str | None
    claim: Claim
    """By the sign of the run's adjusted gap."""
    gap: float
    """The run's adjusted gap, in [-1, 1]."""
    status: str
    """The run's verdict: weak, strong, typical, insufficient or untested."""
    tau: float
    """Typical CAS, > 0."""
    benchmarks: tuple[str, ...]
    """Where it is active in the run, most first."""


def targets(run: RunFolder, concepts: Sequence[int]) -> list[ProbedConcept]:
    """The run's facts about concepts, in the order given.

    Raises
    ------
    UserError
        If there is no such concept, or the run says nothing about its performance.
    """
    active = {name: run.cas(name).sum(axis=0) for name in run.benchmarks["benchmark"]}
    chosen = []
    for concept in dict.fromkeys(concepts):
        run.check_concept(concept)
        row = run.concepts.row(concept, named=True)
        if row["gap"] is None or not row["tau"]:
            raise UserError(
                f"concept {concept} is active in no scored item of {run.path}: the run says nothing of it that could "
                "hold or not. Choose another ('cgaps show' lists them)."
            )
        weights = {name: float(values[concept]) for name, values in active.items()}
        whole = sum(weights.values())
        names = sorted((name for name in weights if weights[name] >= SHARE * whole), key=lambda name: -weights[name])
        chosen.append(
            ProbedConcept(
                concept,
                row["label"],
                "weak" if row["gap"] < 0 else "strong",
                row["gap"],
                row["performance_status"],
                row["tau"],
                tuple(names),
            )
        )
    return chosen


def weakest(run: RunFolder, count: int) -> list[int]:
    """The run's weak concepts, most certain first: those that lead a group of overlapping ones before the others.

    Raises
    ------
    UserError
        If the run has none, or fewer than one is asked for.
    """
    if count < 1:
        raise UserError(f"{argument('weak')} is {count}, expected 1 or more concepts.")
    weak = run.concepts.filter(pl.col("performance_status") == "weak")
    if not weak.height:
        raise UserError(f"{run.path} has no weak concept: say which concepts to probe.")
    follows = (pl.col("leader") != pl.col("concept")).fill_null(value=True)
    return weak.sort(follows, "p_value", "concept")["concept"].head(count).to_list()
