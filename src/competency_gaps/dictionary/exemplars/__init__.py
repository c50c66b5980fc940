"""Exemplars of each concept: its strongest texts, texts over its range, and similar texts in which it is silent."""

from competency_gaps.dictionary.exemplars.collect import ExemplarSettings, collect_exemplars
from competency_gaps.dictionary.exemplars.store import Exemplar, Exemplars

__all__ = ["Exemplar", "ExemplarSettings", "Exemplars", "collect_exemplars"]
