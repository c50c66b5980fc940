"""Outcomes of items: scores, scores against peers, differences of two models. NumPy and SciPy only."""

from competency_gaps.outcomes.items import FEWEST_MODELS, ItemFacts, WrongAlike, item_facts, wrong_alike
from competency_gaps.outcomes.outcome import Kind, Outcome, difference
from competency_gaps.outcomes.peers import FEWEST as FEWEST_PEERS
from competency_gaps.outcomes.peers import Expected, choose_peers, expected_scores

__all__ = [
    "FEWEST_MODELS",
    "FEWEST_PEERS",
    "Expected",
    "ItemFacts",
    "Kind",
    "Outcome",
    "WrongAlike",
    "choose_peers",
    "difference",
    "expected_scores",
    "item_facts",
    "wrong_alike",
]
