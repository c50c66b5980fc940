"""The lexical share: against brute force, a regression on dummy variables, planted concepts, and any division."""

from __future__ import annotations

import numpy as np
import pytest

from competency_gaps.evidence.tokens import LexicalShare, Recurring

TEXTS, LENGTH = 300, 80


def corpus(rng, tokens=3000, bound=0.2):
    """Tokens with a long tail, of which a part occurs in one text alone; each token's text."""
    texts = np.repeat(np.arange(TEXTS), LENGTH)
    odds = 1 / np.arange(1, tokens + 1)
    ids = rng.choice(tokens, TEXTS * LENGTH, p=odds / odds.sum())
    own = rng.random(len(ids)) < bound
    ids[own] = tokens + texts[own] * 10 + rng.integers(0, 10, own.sum())
    return ids, texts


def share(values, ids, texts, buckets=None, parts=1):
    """Lexical shares of the columns of ``values``, added in some parts of whole texts."""
    running = LexicalShare(values.shape[1], Recurring.of(ids, texts), buckets)
    for part in np.array_split(np.unique(texts), parts):
        inside = np.isin(texts, part)
        token, concept = np.nonzero(values[inside])
        keys, own = ids[inside][token], texts[inside][token]
        running.add(concept, keys, own, values[inside][token, concept])
    return running.share()


def by_hand(z, ids, texts):
    """The definition, over all pairs of tokens."""
    different = texts[:, None] != texts
    same = (ids[:, None] == ids) & different
    used = same.any(axis=1)
    z, ids, different, same = z[used], ids[used], different[np.ix_(used, used)], same[np.ix_(used, used)]
    products = np.outer(z, z)
    a = sum((ids == token).mean() * products[same & (ids == token)[:, None]].mean() for token in np.unique(ids))
    b = products[different].mean()
    return (a - b) / ((z**2).mean() - b)


def test_equals_the_definition():
    rng = np.random.default_rng(0)
    texts = np.sort(rng.integers(0, 12, 200))
    ids = rng.integers(0, 60, 200)
    values = np.where(rng.random((200, 6)) < 0.3, rng.exponential(size=(200, 6)), 0)
    values[:, 0] = np.isin(ids, [3, 4]) * (1 + rng.random(200))
    assert share(values, ids, texts) == pytest.approx([by_hand(z, ids, texts) for z in values.T], rel=1e-9)


def test_agrees_with_adjusted_r_squared_on_dummy_variables():
    """Where every token is a text of its own, texts say nothing, and the two mean the same."""
    rng = np.random.default_rng(1)
    ids = rng.choice(40, 8000, p=np.arange(1, 41) / 820)
    effects = rng.normal(2, 1, 40)
    values = np.stack([5 + weight * effects[ids] + rng.normal(size=8000) for weight in (0, 0.3, 1, 3)], axis=1)
    dummies = (ids[:, None] == np.arange(40)).astype(float)
    fitted = dummies @ np.linalg.lstsq(dummies, values, rcond=None)[0]
    unexplained = ((values - fitted) ** 2).sum(axis=0) / (8000 - 40)
    adjusted = 1 - unexplained / values.var(axis=0, ddof=1)
    assert adjusted[0] < 0.02 < 0.8 < adjusted[3]
    assert share(values, ids, np.arange(8000)) == pytest.approx(adjusted, abs=0.005)


def test_a_concept_unrelated_to_tokens_has_expectation_0():
    """Scattered, or in whole texts, also on rare tokens; the plain eta squared is far above 0 there."""
    rng = np.random.default_rng(2)
    ids, texts = corpus(rng)
    scattered = rng.random((len(ids), 100)) < 0.02
    in_texts = (rng.random((TEXTS, 100)) < 0.1)[texts]
    for active in (scattered, in_texts):
        values = active * rng.exponential(size=active.shape)
        for buckets in (None, 256):
            shares = share(values, ids, texts, buckets)
            assert abs(shares.mean()) < 4 * shares.std() / 10 + 1e-4
            assert np.abs(shares).max() < 0.1
    plain = [np.sum([z[ids == t].sum() ** 2 / (ids == t).sum() for t in np.unique(ids)]) for z in values.T[:3]]
    eta = (np.array(plain) / len(ids) - values[:, :3].mean(axis=0) ** 2) / values[:, :3].var(axis=0)
    assert (eta > 0.2).all()


@pytest.mark.parametrize("buckets", [None, 64])
def test_is_the_same_in_any_division_of_the_texts(buckets):
    rng = np.random.default_rng(4)
    ids, texts = corpus(rng)
    values = np.where(rng.random((len(ids), 8)) < 0.05, rng.exponential(size=(len(ids), 8)), 0)
    whole = share(values, ids, texts, buckets)
    for parts in (3, 50, TEXTS):
        assert share(values, ids, texts, buckets, parts) == pytest.approx(whole, rel=1e-9, abs=1e-12)


def test_sketches_are_as_exact_as_they_say():
    rng = np.random.default_rng(5)
    ids, texts = corpus(rng, bound=0)
    weight = rng.exponential(size=ids.max() + 1)
    values = np.stack([weight[ids] * (rng.random(len(ids)) < p) for p in np.linspace(0.1, 1, 40)], axis=1)
    exact = share(values, ids, texts)
    errors = share(values, ids, texts, 512) - exact
    mean_square = (values**2).mean(axis=0)
    variance = mean_square - values.mean(axis=0) ** 2
    assert 0 < np.sqrt(np.mean(errors**2)) < np.sqrt(2 / 512) * (mean_square / variance).max()
