"""The search for near-repeats against the definition, evaluated on all pairs."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter

import numpy as np
import pytest

from competency_gaps.benchmarks.near_repeats import FoldedQuestion, _longest_increasing, near_pairs

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
    monkeypatch.setattr("competency_gaps.benchmarks.near_repeats._ENTRIES", 50)
    assert sorted(near_pairs(questions, benchmark, 0.6).tolist()) == sorted(whole.tolist())


@pytest.mark.parametrize("length", range(8))
def test_longest_increasing_subsequence(length):
    for values in itertools.islice(itertools.permutations(range(length)), 300):
        found = _longest_increasing(values)
        picked = [values[place] for place in found]
        assert picked == sorted(picked) and found == sorted(found)
        longest = max(
            k for k in range(length + 1) if any(list(c) == sorted(c) for c in itertools.combinations(values, k))
        )
        assert len(found) == longest


def test_nothing_to_compare():
    assert near_pairs([], np.empty(0, np.int64), 0.8).shape == (0, 2)
    alone = [FoldedQuestion("?!", "", (), None), FoldedQuestion("one word", "", (), None)]
    assert near_pairs(alone, np.zeros(2, np.int64), 0.8).shape == (0, 2)
    punctuation = [FoldedQuestion(text, "", (), None) for text in ("?!", "!?", "...")]
    assert near_pairs(punctuation, np.zeros(3, np.int64), 0.8).shape == (0, 2)


def test_many_items_take_seconds():
    rng = np.random.default_rng(0)
    words = np.array([a + b + c for a in LETTERS for b in "aeiou" for c in LETTERS])
    shares = 1 / np.arange(1, len(words) + 1)
    texts = {" ".join(rng.choice(words, 30, p=shares / shares.sum())) for _ in range(14_000)}
    first = next(iter(sorted(texts)))
    shuffled = " ".join(rng.permutation(first.split()))
    questions = [FoldedQuestion(text, "", (), None) for text in [*sorted(texts), shuffled]]
    start = time.perf_counter()
    pairs = near_pairs(questions, np.zeros(len(questions), np.int64), 0.8)
    assert time.perf_counter() - start < 60
    assert pairs.tolist() == [[0, len(questions) - 1]]
