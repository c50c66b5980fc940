"""Findings: groups of weak or strong concepts, described by their items.

A finding is a leading concept with its followers. Its sentence is about its items, its concepts are the evidence.
"""

from competency_gaps.findings.examples import Piece, fold, template_of
from competency_gaps.findings.make import findings_of, relabelled, write_findings
from competency_gaps.findings.words import FILE, empty_table, feature_words, sentence, short, support, with_words

__all__ = [
    "FILE",
    "Piece",
    "empty_table",
    "feature_words",
    "findings_of",
    "fold",
    "relabelled",
    "sentence",
    "short",
    "support",
    "template_of",
    "with_words",
    "write_findings",
]
