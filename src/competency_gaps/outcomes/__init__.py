"""Outcomes of items: scores, scores against peers, differences of two models. NumPy and SciPy only."""

from competency_gaps.outcomes.items import FEWEST_MODELS, ItemFacts, WrongAlike, item_facts, wrong_alike
from competency_gaps.outcomes.peers import FARTHEST as FARTHEST_PEERS
from competency_gaps.outcomes.peers import FEWEST as FEWEST_PEERS
from competency_gaps.outcomes.peers import NEAREST as FEW_PEERS
from competency_gaps.outcomes.peers import WITHIN as NEAR_PEERS
from competency_gaps.outcomes.peers import Expected, Kind, Outcome, choose_peers, difference, distances, expected_scores
