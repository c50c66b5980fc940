"""Words of a text, for labels from words alone."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_LONGEST = 40
STOP_WORDS = frozenset(
    [
        "a",
        "about",
        "after",
        "all",
        "also",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "because",
        "been",
        "before",
        "being",
        "both",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "each",
        "for",
        "from",
        "had",
        "has",
        "have",
        "having",
        "he",
        "her",
        "here",
        "him",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "like",
        "many",
        "may",
        "me",
        "more",
        "most",
        "much",
        "must",
        "my",
        "no",
        "not",
        "now",
        "of",
        "on",
        "one",
        "only",
        "or",
        "other",
        "our",
        "out",
        "over",
        "own",
        "said",
        "same",
        "shall",
        "she",
        "should",
        "so",
        "some",
        "such",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "through",
        "to",
        "too",
        "two",
        "under",
        "up",
        "upon",
        "us",
        "very",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)
"""English words that say nothing of a text's subject."""


def words_of(text: str) -> set[str]:
    """The different words of a text, in lower case."""
    return {word[:_LONGEST] for word in _WORD.findall(text.casefold())}


def word_at(text: str, start: int, end: int) -> str:
    """The word that holds (or, where there are several, the first that meets) a range of characters; else the range.

    Returns
    -------
    str, in lower case and without outer blanks; empty if the range is blank
    """
    for match in _WORD.finditer(text, max(0, start - 2 * _LONGEST), min(len(text), end + 2 * _LONGEST)):
        if match.end() > start and match.start() < end:
            return match.group().casefold()[:_LONGEST]
    return text[start:end].strip().casefold()[:_LONGEST]
