"""The search for near-repeats against the definition, evaluated on all pairs."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from competency_gaps.items.repeats import FoldedQuestion, near_pairs

LETTERS = "bcdefghjklmnopqrstuvwxyz"
VOCABULARY = [a + b for a in LETTERS[:6] for b in "eou"]


def drawn(rng, count, benchmarks):
    """Texts of few words in alphabetical order, so that shared words always stand in one order."""
    texts = {}
    while len(texts) < count:
        words = sorted(rng.choice(VOCABULARY, rng.integers(4, 12), p=SHARES))
        texts[" ".join(words)] = int(rng.integers(benchmarks))
    answers = [None if rng.random() < 0.3 else f"answer {rng.integers(3)}" for _ in texts]
    return [FoldedQuestion(text, "", (), answer) for text, answer in zip(texts, answers, strict=True)], np.array(
        [*texts.values()]
    )


SHARES = np.array([1 / (1 + i) for i in range(len(VOCABULARY))])
SHARES /= SHARES.sum()


def occurrences(text):
    return {(word, k) for word, n in Counter(text.split()).items() for k in range(n)}


def all_pairs(questions, benchmark, threshold):
    """The definition, pair by pair."""
    size = Counter(benchmark.tolist())
    having = {b: Counter() for b in size}
    answers = {b: Counter() for b in size}
    for question, b in zip(questions, benchmark.tolist(), strict=True):
        having[b].update(occurrences(question.prompt))
        answers[b][question.answer] += 1

    def weight(word, b):
        return math.log((size[b] + 10) / having[b][word])

    found = set()
    for (i, one), (j, other) in itertools.combinations(enumerate(questions), 2):
        if one.answer != other.answer:
            continue
        a, b = int(benchmark[i]), int(benchmark[j])
        x, y = occurrences(one.prompt), occurrences(other.prompt)
        shared = sum(math.sqrt(weight(word, a) * weight(word, b)) for word in x & y)
        total = sum(weight(word, a) for word in x), sum(weight(word, b) for word in y)
        smaller = min(size[a], size[b])
        content = min(2.3, math.log(smaller + 10) / 2)
        said = min(math.log(size[k] / answers[k][one.answer]) for k in (a, b)) if one.answer else 0.0
        similar = shared / (sum(total) - shared) >= threshold
        telling = said >= 2.3 or min(total) + said >= 2 * math.log(smaller)
        if similar and min(total) - shared < content and telling:
            found.add((i, j))
    return found


@pytest.mark.parametrize("benchmarks", [1, 3])
@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_no_pair_is_missed_and_none_is_added(benchmarks, threshold):
    for seed in range(5):
        questions, benchmark = drawn(np.random.default_rng(seed), 150, benchmarks)
        pairs = near_pairs(questions, benchmark, threshold)
        assert {tuple(pair) for pair in pairs.tolist()} == all_pairs(questions, benchmark, threshold)
        assert len(pairs) > 0 or threshold > 0.5


def test_parts_of_bounded_size_give_the_same(monkeypatch):
    questions, benchmark = drawn(np.random.default_rng(1), 200, 2)
    whole = near_pairs(questions, benchmark, 0.6)
    monkeypatch.setattr("competency_gaps.items.repeats._ENTRIES", 50)
    assert sorted(near_pairs(questions, benchmark, 0.6).tolist()) == sorted(whole.tolist())
