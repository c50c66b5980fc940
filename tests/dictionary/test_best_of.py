"""The kept rows are those of a plain sort, however the rows are cut into batches."""

from __future__ import annotations

import numpy as np
import pytest

from competency_gaps.dictionary import windows
from competency_gaps.dictionary.exemplars import choose_spread
from competency_gaps.dictionary.windows import BestOf, ConceptWindows


def rows(n: int, seed: int) -> ConceptWindows:
    rng = np.random.default_rng(seed)
    return ConceptWindows(
        rng.integers(0, 7, n).astype(np.int32),
        rng.integers(0, 20, n).astype(float),  # many ties
        rng.permutation(n).astype(np.int64),
        rng.random(n).astype(np.float32),
        rng.random((n, 3)).astype(np.float16),
    )


@pytest.mark.parametrize("pending", [1, 50, 10_000])
def test_the_best_rows_stay_whatever_the_batches(pending, monkeypatch):
    monkeypatch.setattr(windows, "PENDING", pending)
    every = rows(900, 1)
    heap = BestOf(8, 5, 3)
    for start in range(0, 900, 37):
        part = every.take(np.arange(start, min(start + 37, 900)))
        heap.add(part.take(heap.wanted(part.concept, part.key)))
    kept = heap.rows()
    wanted = []
    for concept in range(8):
        own = [i for i in range(900) if every.concept[i] == concept]
        wanted += sorted(own, key=lambda i: (-every.key[i], every.window[i]))[:5]
    assert kept.window.tolist() == every.window[wanted].tolist()
    assert np.array_equal(kept.shape, every.shape[wanted]) and np.array_equal(kept.peak, every.peak[wanted])


def test_spread_takes_evenly_spaced_ranks():
    n = 23
    values = np.random.default_rng(0).permutation(n).astype(np.float32)
    one = np.ones(n, np.float32)
    sample = ConceptWindows(np.zeros(n, np.int32), one.astype(float), np.arange(n), values, np.ones((n, 1), np.float16))
    chosen = choose_spread(sample, 5).peak.tolist()
    assert chosen == sorted(chosen, reverse=True) and len(chosen) == 5 and chosen[0] == n - 1
    assert np.diff(chosen).tolist() == pytest.approx([-n / 5] * 4, abs=1)
    assert len(choose_spread(sample, 50)) == n
