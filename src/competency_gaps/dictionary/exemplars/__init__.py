"""The texts that represent each concept: strongest, spread over its range, and near ones in which it is silent."""

from competency_gaps.dictionary.exemplars.collect import ExemplarSettings, collect_exemplars
from competency_gaps.dictionary.exemplars.store import Exemplar, Exemplars

__all__ = ["Exemplar", "ExemplarSettings", "Exemplars", "collect_exemplars"]
