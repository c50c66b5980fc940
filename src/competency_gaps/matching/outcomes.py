"""What becomes of an entry that is compared with a run: its outcome, in the words in which it is shown everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Outcome = Literal["weak", "untested", "matched", "not matched", "not compared"]
"""A weak concept or theme matches it; only concepts that the suite lacks or under-represents do; others do; none does;
by examples, it cannot be compared (``NotCompared``)."""
NotCompared = Literal["few_examples", "one_half", "few_others", "length"]
"""Why an entry is not compared by examples: it has fewer than six; those that it shares with others left fewer than
three for one of the halves; one of these has fewer than three others of its domain, or none about as long as its own;
its examples are of other lengths than the rest."""
NOT_COMPARED_WORDS: Mapping[NotCompared, str] = {
    "few_examples": "fewer than 6 examples",
    "one_half": "shares examples with others, and too few are left for one half",
    "few_others": "too few others of its domain and length",
    "length": "cannot be told at equal length: its examples are of other lengths than the rest",
}
OUTCOME_WORDS: Mapping[Outcome, str] = {
    "weak": "recovered as weak",
    "untested": "untested by the suite",
    "matched": "matched",
    "not matched": "not matched",
    "not compared": "not compared",
}
"""In the order in which they matter."""
RatedOutcome = Literal["matched", "weak", "untested"]
"""Outcomes whose number is set beside chance."""
RATE_WORDS: Mapping[RatedOutcome, str] = {
    "matched": "matched in all",
    "weak": OUTCOME_WORDS["weak"],
    "untested": OUTCOME_WORDS["untested"],
}
LACKING = ("missing", "under")
"""Coverage of concepts that the suite does not test, or hardly."""
