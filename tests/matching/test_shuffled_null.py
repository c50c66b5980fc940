import numpy as np
import pytest
from matching_helpers import concept_table, embed_words, entries_of, made_up_labels
from scipy.stats import hypergeom

from competency_gaps.matching import candidates
from competency_gaps.matching.embedding import best_similarity, embed_distinct
from competency_gaps.matching.match import match
from competency_gaps.matching.null import Null
from competency_gaps.matching.shuffle import FUNCTION_WORDS, shuffle


def test_shuffling_keeps_words_and_lengths_and_breaks_labels():
    labels = [f"the a{i} of b{i} and c{i}" for i in range(40)] + ["x y", "z"]
    dealt, unbroken = shuffle(labels, np.random.default_rng(0))
    assert [len(one.split()) for one in dealt] == [len(one.split()) for one in labels]
    assert sorted(" ".join(dealt).split()) == sorted(" ".join(labels).split())
    kinds = [[word in FUNCTION_WORDS for word in one.split()] for one in dealt]
    assert kinds == [[word in FUNCTION_WORDS for word in one.split()] for one in labels]
    assert not set(dealt) & set(labels) and unbroken == 0.0
    small = [f"{word} a{i} b{i}" for i, word in enumerate(sorted(FUNCTION_WORDS))]
    moved = [one.split()[0] for one in shuffle(small, np.random.default_rng(0))[0]]
    assert moved != sorted(FUNCTION_WORDS) and set(moved) == FUNCTION_WORDS


def test_best_similarity_and_distinct_embedding_agree_with_brute_force():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(n, 8)).astype(np.float32) for n in (5, 20_000))
    assert np.allclose(best_similarity(a, b), (a @ b.T).max(axis=1))
    asked = []
    rows = embed_distinct(lambda texts: asked.extend(texts) or embed_words(texts), ["x", "y", "x"])
    assert asked == ["x", "y"] and np.array_equal(rows[0], rows[2])
    with pytest.raises(ValueError, match="2 texts"):
        embed_distinct(lambda texts: embed_words(["x"]), ["x", "y"])


def test_bounds_and_p_values_are_ranks_among_the_draws():
    bests = np.arange(39, dtype=np.float32)[None, ::-1].repeat(2, axis=0)
    null = Null(bests, bests[:, :3], labels=4, unbroken=0.0)
    assert null.bounds(0.05) == pytest.approx([37, 37], abs=1e-4)  # the second largest of 39 leaves 1 above: p = 2 / 40
    found = null.p_values(np.array([0, 0, 1, 1]), np.array([37.0, 37.5, 100.0, -1.0]))
    assert found.tolist() == [3 / 40, 2 / 40, 1 / 40, 1.0]
    assert null.calibration(0.05).expected == 0.05


def test_the_null_rate_is_the_level():
    """Entries and labels are random words of one vocabulary: all that is near is near by chance."""
    labels, texts = made_up_labels(150), made_up_labels(400, words=6)
    texts = [text for text in texts if not any(len(set(text.split()) & set(label.split())) > 2 for label in labels)]
    found = match(entries_of(texts), candidates(concept_table(labels)), embed_words, draws=39)
    assert found.calibration.expected == 0.05
    assert 0.03 < found.calibration.realised.value < 0.08, "draws that did not set the bounds"
    assert 0.02 < found.recovery.value < 0.09, "real labels that mean nothing to the entries"


def test_a_general_entry_does_not_pass_by_its_wording():
    """One entry holds the words of many labels: one bound for all entries would let it match, its own does not."""
    labels = made_up_labels(60, words=3, vocabulary=60)
    general = " ".join(f"w0x{k}" for k in range(12))
    others = [" ".join(made_up_labels(1, words=12, vocabulary=500, seed=s)) for s in range(1, 20)]
    found = match(entries_of([general, *others]), candidates(concept_table(labels)), embed_words, draws=39)
    row = found.entries.row(0, named=True)
    assert row["similarity"] > found.calibration.overall and row["p_value"] > 0.05 and not row["recovered"]


def test_chance_agrees_with_the_hypergeometric_law():
    """Entry k matches the k-th label, borne by one concept: the chance of a weak one is the share of weak ones.

    Twenty are lacking, of which five are weak, so that fifteen of the forty are lacking and not weak.
    """
    labels = made_up_labels(40, vocabulary=4000)
    status, coverage = ["weak"] * 10 + ["neither"] * 30, ["typical"] * 5 + ["missing", "under"] * 10 + ["over"] * 15
    table = concept_table(labels, performance_status=status, coverage_status=coverage)
    found = match(entries_of(labels[5:25]), candidates(table), embed_words, per_entry=1)
    assert found.recovery.count == 20 and found.entries["untested"].sum() == 15
    for chance, observed, of in ((found.weak, 5, 10), (found.untested, 15, 15)):
        assert (chance.observed.count, chance.observed.of) == (observed, 20)
        assert chance.expected == pytest.approx(20 * of / 40, abs=0.15)
        law = hypergeom(40, of, 20)
        assert chance.p_value == pytest.approx(law.sf(observed - 1), abs=0.04)
        assert [chance.low, chance.high] == pytest.approx([law.ppf(0.025), law.ppf(0.975)], abs=1)
