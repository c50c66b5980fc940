"""Entries told apart by what their examples excite: planted ones are found, random ones and mere length are not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp

from competency_gaps.matching import division as module
from competency_gaps.matching.division import Examples, divide, halves, strata
from competency_gaps.matching.markers import find_markers, select

COMMON, CONCEPTS = 400, 3000


def world(seed, *, planted=0, entries=60, each=15, strength=0.9, domains=2, length_concepts=0):
    """Sparse activations; the first ``planted`` entries share concept ``i`` by construction."""
    rng = np.random.default_rng(seed)
    count = entries * each
    entry = np.repeat(np.arange(entries), each)
    length = np.exp(rng.normal(4, 0.5, count)) * np.where(entry % 10 == 0, 3, 1)
    # Most concepts are rare, as those of an SAE are.
    density = np.r_[rng.uniform(0.01, 0.3, COMMON), np.full(CONCEPTS - COMMON, 1 / count)]
    values = np.where(rng.random((count, CONCEPTS)) < density, rng.exponential(size=(count, CONCEPTS)), 0)
    for i in range(planted):
        own = (entry == i) & (rng.random(count) < strength)
        values[own, i] = 2 + rng.exponential(size=own.sum())
    for i in range(length_concepts):
        values[:, COMMON - 1 - i] = np.where(rng.random(count) < 0.9, length * rng.uniform(0.9, 1.1, count), 0)
    member = sp.csr_array((np.ones(count), (entry, np.arange(count))), shape=(entries, count))
    return Examples(sp.csr_array(values), member, entry % domains, length)


ABLE = np.ones(CONCEPTS, bool)


def test_entries_whose_examples_share_a_concept_are_matched_by_it():
    found = missed = other = 0
    auroc = []
    for seed in range(4):
        markers = find_markers(world(seed, planted=30), ABLE, seed=seed)
        right = markers.confirmed & (markers.concept == markers.entry)
        found += right.sum()
        missed += 30 - right.sum()
        other += (markers.matched[30:]).sum()
        auroc += markers.auroc[right].tolist()
    assert found / (found + missed) >= 0.95
    assert np.mean(auroc) == pytest.approx(0.9 + 0.1 * 0.4, abs=0.05)
    assert other / max(1, other + found) <= 0.05


def test_random_entries_are_not_matched():
    """Of worlds with nothing planted at most about 5% have a match, whatever the sparsity and the entries' sizes."""
    with_match = 0
    for seed in range(60):
        with_match += find_markers(world(seed, each=6 + seed % 10), ABLE, seed=seed).matched.any()
    assert with_match <= 7  # 5% of 60 are 3; more than 7 have a chance below 1%


def with_shared_examples(made, shared=4):
    """Each entry of a domain also has the first examples of the next one of that domain."""
    member = made.member.toarray()
    for entry in range(len(member) - 2):
        member[entry, np.flatnonzero(made.member.toarray()[entry + 2])[:shared]] = 1
    return dataclasses.replace(made, member=sp.csr_array(member))


def test_planted_entries_with_shared_examples_are_found():
    """A shared example counts for both entries: of each pair of neighbours each is matched by its own concept."""
    right = other = 0
    for seed in range(3):
        markers = find_markers(with_shared_examples(world(seed, planted=20)), ABLE, seed=seed)
        right += (markers.confirmed & (markers.concept == markers.entry)).sum()
        other += markers.matched[20:].sum()
    assert right >= 0.95 * 60 and other <= 0.05 * (right + other)


def test_entries_of_long_prompts_are_not_matched_by_their_length(monkeypatch):
    """Every tenth entry has prompts three times as long, and 20 concepts go with length alone."""
    long = np.arange(60) % 10 == 0

    def matched_by_length():
        hits = [find_markers(world(seed, length_concepts=20), ABLE, seed=seed) for seed in range(3)]
        return np.mean([markers.matched[long].mean() for markers in hits])

    assert matched_by_length() < 0.15
    monkeypatch.setattr(module, "LENGTHS", 1)
    assert matched_by_length() > 0.5


def test_a_domain_is_compared_with_itself_alone():
    """A concept that all of a domain share tells none of its entries."""
    made = world(0)
    values = made.values.toarray()
    values[made.domain == 1, 7] = 5 + np.random.default_rng(0).random((made.domain == 1).sum())
    markers = find_markers(dataclasses.replace(made, values=sp.csr_array(values)), ABLE)
    assert not markers.matched.any()


def test_only_able_concepts_are_chosen_the_strongest_leads():
    made = world(1, planted=10)
    values = made.values.toarray()
    values[:, 200:210] = 0.5 * values[:, :10] + 1e-3 * (values[:, :10] > 0)  # twins of the planted concepts
    made = dataclasses.replace(made, values=sp.csr_array(values))
    markers = find_markers(made, ABLE)
    for entry in range(10):
        leader = dict(zip(markers.concept[markers.entry == entry], markers.leader[markers.entry == entry], strict=True))
        assert leader[entry] == leader[200 + entry] in (entry, 200 + entry)
    able = ABLE.copy()
    able[:10] = False
    markers = find_markers(made, able)
    assert not np.isin(markers.concept, np.arange(10)).any() and markers.matched[:10].all()


def test_entries_that_cannot_be_compared_say_why():
    """Of 80 examples in one domain the last 16 are the longest; the entry of those alone is told by length."""
    member = np.zeros((6, 80))
    member[0, :6] = member[1, 6:12] = member[2, 12:17] = member[3, 64:] = member[4, 20:60:3] = 1
    choosing = halves(sp.csr_array(member[:3]), 0)
    member[5, np.flatnonzero(choosing[:12])] = 1  # all of them are in the half that chooses
    length = np.where(np.arange(80) < 64, np.arange(80) * 7 % 64, 500.0)
    made = Examples(sp.csr_array((80, 3)), sp.csr_array(member), np.zeros(80, np.int64), length)
    assert divide(made, 0).not_compared.tolist() == [None, None, "few_examples", "length", None, "one_half"]
    alone = dataclasses.replace(made, domain=np.where(member[0] > 0, 1, 0))
    assert divide(alone, 0).not_compared[0] == "few_others"


def test_a_perfect_concept_has_an_auroc_of_1():
    """Entries of the longest eighth of the examples; less what the same lengths have, it would be 0.94."""
    made = world(0, entries=60, domains=1)
    entry = np.repeat(np.arange(60), 15)
    values = made.values.toarray()
    values[:, :7] = 0
    values[entry < 7, entry[entry < 7]] = 2 + np.arange((entry < 7).sum()) / 100
    length = np.where(entry < 7, 200 + made.length, made.length)
    markers = find_markers(dataclasses.replace(made, values=sp.csr_array(values), length=length), ABLE)
    own = markers.confirmed & (markers.concept == markers.entry)
    assert own.sum() == 7 and markers.auroc[own] == pytest.approx(1)


def test_halves_divide_entries_and_not_examples():
    rng = np.random.default_rng(0)
    member = np.zeros((20, 120))
    for entry in range(20):
        member[entry, rng.choice(120, rng.integers(6, 16), replace=False)] = 1
    alone = sp.csr_array(np.kron(np.eye(8), np.ones(15)))
    choosing = halves(alone, 3)
    assert set((alone @ choosing.astype(float)).tolist()) == {7, 8}
    assert not np.array_equal(choosing, halves(alone, 4))
    for seed in range(5):
        shared = halves(sp.csr_array(member), seed)
        assert ((member @ shared) >= 2).all() and ((member @ ~shared) >= 2).all()


def test_strata_are_classes_of_length_within_a_domain():
    length = np.array([5, 1, 3, 2, 8, 7, 6, 4.0, 100, 200])
    domain = np.array([0] * 8 + [1] * 2)
    assert strata(domain, length).tolist() == [2, 0, 1, 0, 3, 3, 2, 1, 4, 6]


def test_selection_controls_entries_and_what_counts_in_them():
    entry = np.array([0, 0, 1, 1, 2])
    p_value = np.array([1e-6, 0.02, 0.4, 0.9, 0.6])
    # Simes: 2e-6, 0.8, 0.6; of 10 entries the first passes, and its concepts at 0.05 * 1 / 10.
    assert select(entry, p_value, 10, 0.05).tolist() == [True, False, False, False, False]
    assert select(entry, p_value, 3, 0.05).tolist() == [True, False, False, False, False]
    assert select(np.array([0, 0]), np.array([0.001, 0.02]), 1, 0.05).tolist() == [True, True]
