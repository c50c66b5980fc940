"""Shuffled labels [ours]: the words of all labels, dealt out to labels of the same lengths, which then mean nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ROUNDS = 20
"""Most times that a label with the words of a real one is shuffled again."""
_FUNCTION_WORDS = """
a about after an and another are around as at be before between but by during each either for from
had has have how in into is it its like not of off on onto one or other out over per so such than
that the their them then these they this those through to too under until up was were what when
where which while who whose why with within without
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English words without a meaning of their own, which are shuffled among themselves. The stop words of labelling also
hold words such as "first" or "describing", which here are content words."""


def shuffle(labels: Sequence[str], rng: np.random.Generator) -> tuple[list[str], float]:
    """Shuffle the words of all labels.

    Function words replace function words and content words replace content words; otherwise many shuffled labels would
    be a noun among prepositions, unlike any real label. A label with exactly the content words of a real one (in any
    order) is shuffled again together with another label, up to ``ROUNDS`` times.

    Returns
    -------
    tuple
        Labels of the same numbers of words; share of labels that still have the words of a real one.
    """
    words = [label.split() for label in labels]
    real = {_content(label_words) for label_words in words}
    shuffled = _shuffled(words, rng)
    unbroken = [i for i, label_words in enumerate(shuffled) if _content(label_words) in real]
    for _ in range(ROUNDS):
        if not unbroken:
            break
        others = np.setdiff1d(np.arange(len(shuffled)), unbroken)
        helpers = rng.choice(others, size=min(len(unbroken), len(others)), replace=False)
        together = [*unbroken, *(int(i) for i in helpers)]
        for i, label_words in zip(together, _shuffled([shuffled[i] for i in together], rng), strict=True):
            shuffled[i] = label_words
        unbroken = [i for i in together if _content(shuffled[i]) in real]
    return [" ".join(label_words) for label_words in shuffled], len(unbroken) / len(labels) if labels else 0.0


def _shuffled(words: Sequence[Sequence[str]], rng: np.random.Generator) -> list[list[str]]:
    """Shuffle the function words among their positions, and the content words among theirs."""
    flat = [word for label_words in words for word in label_words]
    kinds = np.array([_plain(word) in FUNCTION_WORDS for word in flat], dtype=bool)
    source = np.arange(len(flat))
    for kind in (True, False):
        places = np.flatnonzero(kinds == kind)
        source[places] = rng.permutation(places)
    order = iter(source.tolist())
    return [[flat[next(order)] for _ in label_words] for label_words in words]


def _content(words: Sequence[str]) -> tuple[str, ...]:
    plain = [_plain(word) for word in words]
    return tuple(sorted(word for word in plain if word not in FUNCTION_WORDS)) or tuple(sorted(plain))


def _plain(word: str) -> str:
    return word.casefold().strip(".,;:!?()[]\"'")
