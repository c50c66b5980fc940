"""Themes: planted groups, one tree for two levels, the same again, and every small number of concepts."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from competency_gaps.dictionary.themes import cut, find_themes, neighbours, theme_features, ward


def planted(seed, n=1500, groups=30, width=128, windows=800, embedded=64, unlabelled=0.3):
    rng = np.random.default_rng(seed)
    size = np.maximum(rng.dirichlet(np.full(groups, 2.0)), 0.01)
    own = rng.choice(groups, n, p=size / size.sum())

    def dense(dimensions, noise):
        centres = rng.normal(size=(groups, dimensions))
        return (centres[own] + noise * rng.normal(size=(n, dimensions))).astype(np.float32)

    decoder, labels = dense(width, 1.5), dense(embedded, 1.5)
    labels[rng.random(n) < unlabelled] = np.nan
    told = np.zeros((windows, groups), bool)
    told[np.arange(windows)[:, None], [rng.choice(groups, 3, replace=False) for _ in range(windows)]] = True
    active = rng.random((windows, n)) < np.where(told, 0.06, 0.004)[:, own]
    return own, decoder, sp.csr_array(active * rng.lognormal(0, 0.7, (windows, n))), labels


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_groups_of_unequal_size_are_found(seed):
    own, decoder, firing, labels = planted(seed)
    assert np.bincount(own).max() > 5 * np.bincount(own).min()
    found = find_themes(theme_features(decoder, firing, labels, seed=seed), seed=seed)
    assert 20 <= found.theme.max() + 1 <= 60
    assert adjusted_rand_score(own, found.theme) >= 0.9
    sizes = np.bincount(found.theme)
    assert (np.diff(sizes) <= 0).all() and (np.diff(np.bincount(found.subtheme)) <= 0).all()
    pairs = set(zip(found.subtheme.tolist(), found.theme.tolist(), strict=True))
    assert len(pairs) == found.subtheme.max() + 1 > found.theme.max() + 1, "a subtheme lies in one theme"
    # On the map, too, neighbours are of one group: far more than by chance.
    near = neighbours(found.xy).indices[:, 1:6]
    assert (own[near] == own[:, None]).mean() > 0.8


def test_without_groups_no_groups_are_made_up_of_planted_ones():
    own, decoder, firing, labels = planted(3, n=600)
    mixed = np.random.default_rng(0).permutation(600)
    found = find_themes(theme_features(decoder[mixed], None, None))
    assert abs(adjusted_rand_score(own, found.theme)) < 0.05
    assert firing.shape[1] == len(labels)


def digest(themes) -> str:
    return hashlib.sha256(themes.theme.tobytes() + themes.subtheme.tobytes() + themes.xy.tobytes()).hexdigest()


def test_the_same_seed_gives_the_same_on_other_threads():
    _, decoder, firing, labels = planted(5, n=400)
    first = find_themes(theme_features(decoder, firing, labels, seed=1), seed=1)
    with threadpool_limits(2):
        again = find_themes(theme_features(decoder, firing, labels, seed=1), seed=1)
    assert digest(first) == digest(again)
    other = find_themes(theme_features(decoder, firing, labels, seed=1), seed=2)
    assert not np.array_equal(other.xy, first.xy), "the seed counts"


@pytest.mark.parametrize("n", [1, 15, 16])
@pytest.mark.parametrize("equal", [False, True])
def test_few_concepts(n, equal):
    x = np.ones((n, 4)) if equal else np.random.default_rng(n).normal(size=(n, 4))
    found = find_themes(x)
    assert found.theme.dtype == found.subtheme.dtype == np.int32 and found.xy.dtype == np.float32
    assert found.theme.shape == found.subtheme.shape == (n,) and found.xy.shape == (n, 2)
    assert np.isfinite(found.xy).all()
    assert 1 <= found.theme.max() + 1 <= max(1, n // 4)
    assert set(found.theme.tolist()) == set(range(found.theme.max() + 1))


def test_ward_with_equal_weights_is_scipys():
    x = np.random.default_rng(1).normal(size=(60, 5))
    merges, tree = ward(x, np.ones(60)), linkage(x, "ward")
    for count in (1, 2, 7, 30, 60):
        theirs = fcluster(tree, count, "maxclust")
        assert adjusted_rand_score(cut(merges, count), theirs) == 1.0, count


def test_a_weight_of_many_is_many_points():
    rng = np.random.default_rng(2)
    x, weights = rng.normal(size=(25, 3)), rng.integers(1, 6, 25)
    many = np.repeat(np.arange(25), weights)
    for count in (2, 5, 12):
        one = cut(ward(x, weights.astype(float)), count)[many]
        other = fcluster(linkage(x[many], "ward"), count, "maxclust")
        assert adjusted_rand_score(one, other) == 1.0, count


def test_concepts_unknown_in_a_view_borrow_a_similar_ones_values():
    _, decoder, firing, labels = planted(7, n=300, unlabelled=0)
    labels[9] = np.nan
    x = theme_features(decoder, firing, labels)
    near = np.argsort(np.linalg.norm(x[:, :100] - x[9, :100], axis=1))[1:6]
    assert any(np.array_equal(x[9, 100:], x[one, 100:]) for one in near)
    firing = firing.toarray()
    firing[:, 9], decoder[9] = 0, 0
    x = theme_features(decoder, sp.csr_array(firing), labels)
    assert np.isfinite(x).all(), "known to no view at all"
    alone = theme_features(decoder, None, None)
    assert not alone[9].any(), "one view alone has no other to ask: the mean"


def test_unlabelled_concepts_form_no_groups_of_their_own():
    own, decoder, firing, labels = planted(11, n=900, groups=25, unlabelled=0.0)
    decoder = theme_features(decoder, None, None)  # three clear views, but for the labels that are missing
    labels[np.random.default_rng(0).random(900) < 0.4] = np.nan
    x = theme_features(decoder, firing, labels)
    unlabelled = np.isnan(labels).any(axis=1)
    near = neighbours(x).indices[:, 1:]
    among = unlabelled[near][unlabelled].mean()
    assert 0.25 < among < 0.55, "as many as there are"
    assert adjusted_rand_score(own, find_themes(x).theme) > 0.9
