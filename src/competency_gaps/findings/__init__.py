"""Findings: groups of weak or strong concepts, told by their items.

A finding is a leading concept with its followers. Its sentence is about its items, its concepts are the evidence.
"""

from competency_gaps.findings.sentences import sentence, short, support
from competency_gaps.findings.table import FILE, SCHEMA, empty_table
from competency_gaps.findings.words import feature_words

__all__ = ["FILE", "SCHEMA", "empty_table", "feature_words", "sentence", "short", "support"]
