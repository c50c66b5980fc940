"""Name themes from their concepts' labels, without a model.

Class-based TF-IDF (Grootendorst 2022, BERTopic) over words, with our own changes [ours]: a label counts a word once, so
that long labels do not count more; singular and plural count as one word; and if a theme has two or more labels, a word
must be in two of them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from competency_gaps.dictionary.labelling.automatic import LABEL_STOP_WORDS

WORDS = 3
"""Words of a name; one more if two names would be equal."""
LONGEST = 24
"""Characters of a word; longer strings are not counted as words."""
READ = 300
"""Characters of a label that are read."""

_WORD = re.compile(r"[^\W\d_]{2,}(?:['’-][^\W\d_]{2,})*")


class ThemeNames(NamedTuple):
    """A name for each theme and subtheme."""

    themes: list[str]
    """By number of the theme; no two are the same."""
    subthemes: list[str]
    """By number of the subtheme; no two of one theme are the same."""


def automatic_names(labels: Sequence[str | None], theme: np.ndarray, subtheme: np.ndarray) -> ThemeNames:
    """Name themes and subthemes by words that are frequent in their labels and rare in others.

    A word's weight is the share of the theme's labels that have it, times ``log(1 + A / f)``, where ``A`` is the mean
    number of words per theme, and ``f`` the number of labels in all themes that have the word. Subthemes are
    compared with those of the same theme. Without any word the name is ``theme 7`` or ``subtheme 7``.

    Parameters
    ----------
    labels : sequence of str or None, of length n
        Foreign text: only letters of its first 300 characters enter a name.
    theme, subtheme : ndarray of int of shape (n,)
        Numbers from 0 without a gap; -1: in none. Each subtheme lies in one theme.
    """
    words = [_words(label) for label in labels]
    themes = _named(words, theme, "theme")
    subthemes: dict[int, str] = {}
    for number in themes:
        inside = np.flatnonzero(theme == number)
        subthemes |= _named([words[i] for i in inside], subtheme[inside], "subtheme")
    return ThemeNames([themes[i] for i in sorted(themes)], [subthemes[i] for i in sorted(subthemes)])


def _words(label: str | None) -> dict[str, str]:
    """Informative words of a label: the counted form, and the word as written."""
    if not label:
        return {}
    words = [
        word for word in _WORD.findall(label[:READ].lower()) if word not in LABEL_STOP_WORDS and len(word) <= LONGEST
    ]
    return {_folded(word): word for word in words}


def _folded(word: str) -> str:
    """A form that singular and plural share; wrong forms do no harm, as they are never shown."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _named(words_by_concept: Sequence[dict[str, str]], group: np.ndarray, noun: str) -> dict[int, str]:
    """Name of each group that has a member."""
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    written: dict[str, Counter[str]] = defaultdict(Counter)
    labelled: Counter[int] = Counter()
    for words, number in zip(words_by_concept, group.tolist(), strict=True):
        if number < 0:
            continue
        counts[number].update(words.keys())
        labelled[number] += bool(words)
        for key, word in words.items():
            written[key][word] += 1
    total: Counter[str] = Counter()
    for own in counts.values():
        total.update(own)
    mean = sum(total.values()) / max(1, len(counts))
    ranked = {
        number: _ranked(own, labelled[number], total, mean, written) if own else [] for number, own in counts.items()
    }
    return _distinct(ranked, noun)


def _ranked(
    own: Counter[str], labels: int, total: Counter[str], mean: float, written: dict[str, Counter[str]]
) -> list[str]:
    """A group's words, best first; each as it is most often written."""
    often = {key: n for key, n in own.items() if n > 1} or dict(own)
    worth = {key: n / labels * np.log1p(mean / total[key]) for key, n in often.items()}
    order = sorted(worth, key=lambda key: (-worth[key], key))
    return [min(written[key], key=lambda word: (-written[key][word], word)) for key in order[: WORDS + 1]]


def _distinct(ranked: dict[int, list[str]], noun: str) -> dict[int, str]:
    """Join the words; a name that is taken gets one more word, then its number."""
    names: dict[int, str] = {}
    taken: set[frozenset[str]] = set()
    for number in sorted(ranked):
        words = ranked[number]
        if not words:
            names[number] = f"{noun} {number}"
            continue
        choices = [words[:WORDS], words[: WORDS + 1]]
        free = next((choice for choice in choices if frozenset(choice) not in taken), None)
        chosen = free if free is not None else choices[0]
        names[number] = ", ".join(chosen) + ("" if free is not None else f" ({noun} {number})")
        taken.add(frozenset(chosen))
    return names
