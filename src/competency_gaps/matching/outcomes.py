"""What becomes of an entry that is compared with a run: its outcome, in the words in which it is shown everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Outcome = Literal["weak", "untested", "matched", "not matched", "not compared"]
"""A weak concept or theme matches it; only concepts that the suite lacks or under-represents do; others do; none does;
by examples, it has too few of them, or too few others to compare them with."""
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
