"""Shuffled labels: the labels' words dealt out anew, so that they mean nothing as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

ROUNDS = 20
"""Times that a label which came out as a real one is dealt again."""
_FUNCTION_WORDS = """
a about after an and another are around as at be before between but by during each either for from
had has have how in into is it its like not of off on onto one or other out over per so such than
that the their them then these they this those through to too under until up was were what when
where which while who whose why with within without
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English words that carry no meaning of their own; they are dealt among themselves. Not the stop words of labelling:
those hold words such as "first" or "describing" as well, which here must be dealt among the words with a meaning."""


def dealings(labels: Sequence[str], seed: int, count: int) -> Iterator[tuple[list[str], float]]:
    """So many dealings of the same labels; the n-th does not depend on how many there are."""
    for draw in range(count):
        yield deal(labels, np.random.default_rng([seed, draw]))


def deal(labels: Sequence[str], rng: np.random.Generator) -> tuple[list[str], float]:
    """Deal all words of all labels out anew.

    Places keep their kind: a function word's place gets a function word, another one's another. Otherwise many
    shuffled labels would be one noun among prepositions, which stands out as no real label does. A label that
    has just the content words of a real one (in any order) is dealt again together with another label, up to
    ``ROUNDS`` times.

    Returns
    -------
    tuple
        Labels of the same lengths in words; share of them that are real ones still.
    """
    words = [label.split() for label in labels]
    real = {_content(one) for one in words}
    dealt = _dealt(words, rng)
    unbroken = [i for i, one in enumerate(dealt) if _content(one) in real]
    for _ in range(ROUNDS):
        if not unbroken:
            break
        others = np.setdiff1d(np.arange(len(dealt)), unbroken)
        helpers = rng.choice(others, size=min(len(unbroken), len(others)), replace=False)
        together = [*unbroken, *(int(i) for i in helpers)]
        for i, one in zip(together, _dealt([dealt[i] for i in together], rng), strict=True):
            dealt[i] = one
        unbroken = [i for i in together if _content(dealt[i]) in real]
    return [" ".join(one) for one in dealt], len(unbroken) / len(labels) if labels else 0.0


def _dealt(words: Sequence[Sequence[str]], rng: np.random.Generator) -> list[list[str]]:
    """Shuffle the function words among their places, and the others among theirs."""
    flat = [word for one in words for word in one]
    kinds = np.array([_plain(word) in FUNCTION_WORDS for word in flat], dtype=bool)
    source = np.arange(len(flat))
    for kind in (True, False):
        places = np.flatnonzero(kinds == kind)
        source[places] = rng.permutation(places)
    order = iter(source.tolist())
    return [[flat[next(order)] for _ in one] for one in words]


def _content(words: Sequence[str]) -> tuple[str, ...]:
    plain = [_plain(word) for word in words]
    return tuple(sorted(word for word in plain if word not in FUNCTION_WORDS)) or tuple(sorted(plain))


def _plain(word: str) -> str:
    return word.casefold().strip(".,;:!?()[]\"'")
