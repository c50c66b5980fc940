"""Scoring policies: what to ask of the model, and a score in [0, 1] from its output."""

from competency_gaps.scoring.policy import (
    Continuations,
    Generation,
    Output,
    Policy,
    Request,
    Score,
    Sentences,
)
from competency_gaps.scoring.registry import POLICIES, make_policy

__all__ = [
    "POLICIES",
    "Continuations",
    "Generation",
    "Output",
    "Policy",
    "Request",
    "Score",
    "Sentences",
    "make_policy",
]
