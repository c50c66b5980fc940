"""The list of an answer: against brute force, closed forms, planted slices and nothing at all."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from competency_gaps.evidence import Covariate, ItemSample, units_of
from competency_gaps.findings.caveats import _of_form
from competency_gaps.findings.choose import ERROR_RATE, choose, global_p_values, null_distributions, shuffled
from competency_gaps.findings.estimate import explained_by, gaps_of, half_samples, replicate
from competency_gaps.findings.on_units import aggregate, centred
from competency_gaps.findings.slice_model import SCALES, fit, learn, observe
from competency_gaps.items.config import EvidenceConfig
from competency_gaps.runs.covariates import item_covariates
from competency_gaps.slices import Family

ITEMS = 1200


def family(name, members, column=None):
    rows = sp.csr_array(np.asarray(members, np.float32))
    count = rows.shape[0]
    return Family(name, rows, [f"{name} {i}" for i in range(count)], [column] * count, np.full(count, -1),
                  np.arange(count))  # fmt: skip


def partition(rng, count, items=ITEMS):
    member = rng.integers(0, count, items)
    return [member == at for at in range(count)]


def units(values, length=None):
    """Units of items that are clusters by themselves, in strata of their length."""
    covariates = () if length is None else (Covariate("length", length),)
    nothing = np.zeros(0, np.int64)
    return units_of(ItemSample(values, np.zeros(len(values), np.int64), lambda _: None, nothing, covariates=covariates))


def world(families, outcome, length=None):
    """The families over the units of an outcome in [0, 1], with their nulls."""
    own = units(outcome, length)
    weighed = [aggregate(one, own, np.ones(len(outcome), bool)) for one in families]
    return weighed, null_distributions(weighed, own.outcome, own.block), own


def fitted(weighed, own):
    """The model of one outcome alone."""
    outcome = observe(weighed, own.outcome, np.ones(len(own.outcome), bool), own.block)
    return fit(outcome, learn([outcome]))


def list_of(weighed, nulls, own):
    whole = np.ones((len(own.outcome), 1), bool)
    slice_model = fitted(weighed, own)
    p = global_p_values(weighed, nulls, own.outcome, whole, own.block)
    return slice_model, choose(slice_model, own.outcome, whole, p)[0]


@pytest.fixture(scope="module")
def nested():
    rng = np.random.default_rng(0)
    return [
        family("columns", partition(rng, 12), "subject"),
        family("profiles", [member for count in (4, 12, 40) for member in partition(rng, count)]),
    ]


def test_lists_of_nothing_are_empty_as_often_as_they_say(nested):
    rng = np.random.default_rng(1)
    weighed, nulls, own = world(nested, (rng.random(ITEMS) < 0.3).astype(float), rng.random(ITEMS))
    draws = shuffled(own.outcome, own.block, 800, seed=5)
    p = global_p_values(weighed, nulls, draws, np.ones(draws.shape, bool), own.block)
    assert (p <= ERROR_RATE).mean() <= ERROR_RATE + 3 * np.sqrt(ERROR_RATE * (1 - ERROR_RATE) / 800)
    assert (p <= ERROR_RATE).mean() > 0.015  # the rate is used


def test_tails_agree_with_many_permutations(nested):
    rng = np.random.default_rng(2)
    weighed, nulls, own = world(nested, (rng.random(ITEMS) < 0.4).astype(float))
    left = centred(own.outcome, np.ones((ITEMS, 1), bool), own.block).ravel()
    tree, null = weighed[1], nulls[1]
    draws = shuffled(left, own.block, 4000, seed=9)
    z = (tree.weights @ draws)[tree.outside_columns] / np.sqrt(tree.squares[tree.outside_columns] * left.var())[:, None]
    assert null.tail_of_largest(np.quantile(np.abs(z).max(axis=0), 0.95)) == pytest.approx(0.05, abs=0.02)
    assert null.total.tail(np.quantile((z**2).sum(axis=0), 0.95)) == pytest.approx(0.05, abs=0.015)
    question = (weighed[0].weights @ draws) ** 2 / (weighed[0].squares * left.var())[:, None]
    assert nulls[0].by_column[0].tail(np.quantile(question.sum(axis=0), 0.99)) == pytest.approx(0.01, abs=0.006)


def test_expected_gaps_are_those_of_normal_models_of_each_scale():
    # Independently: the conditional mean and covariance of the slices' sums from the covariance of all outcomes, at
    # each scale, weighted by the density of the outcomes there.
    rng = np.random.default_rng(3)
    weighed, _, own = world([family("profiles", partition(rng, 5, 200))], rng.random(200))
    slice_model = fitted(weighed, own).base
    left = own.outcome - own.outcome.mean()
    centre = np.eye(200) - 1 / 200
    other = sp.csr_array(rng.random((3, 200)) < 0.3, dtype=np.float32)  # slices that are not in the model
    for weights in (None, other):
        asked = (slice_model.design.rows if weights is None else weights).toarray() @ centre
        density, means, squares = [], [], []
        for scale, probability in zip(SCALES, slice_model.scales, strict=True):
            rows = slice_model.design.rows.toarray() @ centre
            signal = rows.T @ (scale * slice_model.prior[:, None] * rows)
            whole = signal + slice_model.noise * np.eye(200)
            kept = signal @ np.linalg.inv(whole)
            density.append(
                np.log(probability) - 0.5 * (np.linalg.slogdet(whole)[1] + left @ np.linalg.solve(whole, left))
            )
            means.append(asked @ kept @ left)
            squares.append(np.diag(asked @ (signal - kept @ signal) @ asked.T) + means[-1] ** 2)
        weight = np.exp(density - np.max(density))
        weight /= weight.sum()
        sums, deviations, _ = slice_model.expected(
            centred(own.outcome, np.ones((200, 1), bool), own.block), 1.0, weights
        )
        np.testing.assert_allclose(sums[:, 0], weight @ means, atol=1e-3)
        np.testing.assert_allclose(
            deviations[:, 0] ** 2, weight @ squares - (weight @ means) ** 2, rtol=2e-3, atol=1e-4
        )


def test_an_outcome_of_a_run_whose_models_depend_on_nothing_is_shrunk(nested):
    # Of forty outcomes that go with nothing, those that seem to depend on slices most: what is expected of one alone,
    # and of one among the others.
    rng = np.random.default_rng(8)
    worlds = [world(nested, (rng.random(ITEMS) < 0.5).astype(float)) for _ in range(40)]
    outcomes = [observe(weighed, own.outcome, np.ones(ITEMS, bool), own.block) for weighed, _, own in worlds]
    shared = learn(outcomes)

    def largest(outcome, prior):
        return np.abs(fit(outcome, prior).expected(outcome.residual, 1.0)[0] / outcome.design.size[:, None]).max()

    # All scales are as likely beforehand for one model; many that depend on nothing make 0 likelier than 1 and more.
    one = learn(outcomes[:1]).scales
    assert np.ptp(one) == 0 and shared.scales[SCALES < 1].sum() > one[SCALES < 1].sum()
    alone, among = np.array([(largest(own, learn([own])), largest(own, shared)) for own in outcomes]).T
    lucky = np.argsort(alone)[-5:]
    assert among[lucky].mean() < 0.6 * alone[lucky].mean()


def test_planted_gaps_lie_in_their_intervals_although_they_were_chosen(nested):
    # Every slice of the tree has a gap; those that are listed were chosen for large ones.
    rng = np.random.default_rng(4)
    members = nested[1].weights.toarray()
    expected, errors, true = [], [], []
    for _ in range(40):
        chance = 0.5 + rng.normal(0, 0.05, len(members)) @ members
        weighed, nulls, own = world(nested[1:], (rng.random(ITEMS) < np.clip(chance, 0.02, 0.98)).astype(float))
        slice_model, chosen = list_of(weighed, nulls, own)
        for one in chosen:
            row = slice_model.design.rows[[one.position]].toarray().ravel()
            true.append(row @ (chance - chance.mean()) / row.sum())
            expected.append(one.gap)
            errors.append(one.error)
            # The standard error of the mean of its own items less that of all, and half of what they say otherwise.
            apart = row @ (own.outcome - own.outcome.mean()) / row.sum() - one.gap
            assert one.error >= abs(apart) / 2 * (1 - 1e-4)  # half of what its own items say otherwise
    expected, errors, true = map(np.array, (expected, errors, true))
    assert len(true) > 50
    assert 0.88 <= (np.abs(true - expected) <= 1.96 * errors).mean() <= 1
    assert (expected @ true) / (expected @ expected) == pytest.approx(0.9, abs=0.2)


@pytest.mark.parametrize("effects", ["few", "many"])
def test_intervals_hold_among_hundreds_of_concepts(effects):
    # A family too wide for its variances to be found one by one, of which a few or a quarter matter.
    rng = np.random.default_rng(11)
    gaps = []
    for _ in range(8):
        concepts = rng.random((400, ITEMS)) < 0.05
        own = np.zeros(400)
        if effects == "few":
            own[:12] = rng.choice([-0.25, 0.25], 12)
        else:
            own[:100] = rng.normal(0, 0.07, 100)
        chance = np.clip(0.5 + own @ concepts, 0.02, 0.98)
        weighed, nulls, units = world([family("concepts", concepts)], (rng.random(ITEMS) < chance).astype(float))
        slice_model, chosen = list_of(weighed, nulls, units)
        true = slice_model.design.rows @ (chance - chance.mean()) / slice_model.design.size
        gaps += [(one.gap, one.error, true[one.position]) for one in chosen]
    expected, errors, true = np.array(gaps).T
    assert len(true) >= 10
    assert (np.abs(true - expected) <= 1.96 * errors).mean() >= 0.75
    # A normal model draws a few strong slices among hundreds too far towards 0, never away from it.
    assert 0.75 <= (expected @ true) / (expected @ expected) <= 2.4


def test_hundreds_of_categories_are_listed():
    # Of a list of hundreds of entries each has a coefficient of its own, though none stands by itself.
    rng = np.random.default_rng(13)
    members = np.array(partition(rng, 320, 5000))
    chance = 0.5 + rng.choice([-0.3, 0.3], 320) @ members
    slice_model, chosen = list_of(
        *world([family("lists", members, "entry")], (rng.random(5000) < chance).astype(float))
    )
    true = np.array(
        [
            (slice_model.design.rows[[one.position]] @ (chance - chance.mean()))[0]
            / slice_model.design.size[one.position]
            for one in chosen
        ]
    )
    assert (slice_model.design.family == 0).sum() > 300
    assert len(chosen) == 10
    assert (np.sign(true) == np.sign([one.gap for one in chosen])).all()


def test_a_planted_slice_is_found_and_found_again(nested):
    rng = np.random.default_rng(5)
    inside = nested[1].weights[[7]].toarray().ravel() > 0
    weighed, nulls, own = world(nested, (rng.random(ITEMS) < np.where(inside, 0.2, 0.6)).astype(float))
    slice_model, chosen = list_of(weighed, nulls, own)
    assert (slice_model.design.family[chosen[0].position], slice_model.design.slice[chosen[0].position]) == (1, 7)
    halves = half_samples(ITEMS)
    lists = choose(
        slice_model.base, own.outcome, halves, global_p_values(weighed, nulls, own.outcome, halves, own.block)
    )
    held = replicate(slice_model, chosen[:1], lists, halves, own.outcome)[0]
    assert held["in_halves"] >= 15
    truth = -0.4 * (1 - inside.mean())
    assert held["heldout_low"] < truth < held["heldout_high"]


def test_a_column_is_tested_as_a_whole():
    # Twenty categories, each too weak to stand out among so many, together are no noise.
    rng = np.random.default_rng(6)
    members = partition(rng, 20)
    chance = 0.5 + np.array(members).T @ (0.09 * rng.choice([-1, 1], 20))
    scores = (rng.random(ITEMS) < chance).astype(float)
    whole = np.ones((ITEMS, 1), bool)
    together, alone = (world([family("columns", members, name)], scores) for name in ("subject", None))
    own = together[2]
    assert global_p_values(*together[:2], own.outcome, whole, own.block)[0] < 0.01
    gap, error = gaps_of(alone[0][0].weights, own.outcome, whole, own.block)
    assert (alone[1][0].tail_of_largest(np.abs(gap / error)) > 0.01).all()
    assert len(list_of(*together)[1]) >= 3


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scores", [np.arange(ITEMS) > 0, np.full(ITEMS, np.nan)], ids=["one failure", "no score"])
def test_hardly_any_outcome_makes_no_list(nested, scores):
    equal = family("clusters", (np.arange(ITEMS) - 1) // 109 == np.arange(11)[:, None])  # all but the first
    weighed, nulls, own = world([*nested, equal], np.asarray(scores, float))
    if len(own.outcome):
        assert list_of(weighed, nulls, own)[1] == []
    else:
        assert not any(one.usable.any() for one in weighed)


def test_a_slice_of_which_few_items_are_scored_has_no_verdict():
    rng = np.random.default_rng(7)
    members = partition(rng, 6)
    scores = (rng.random(ITEMS) < 0.5).astype(float)
    scores[members[2] & (rng.random(ITEMS) < 0.8)] = np.nan
    scores[members[3] & (rng.random(ITEMS) < 0.2)] = np.nan
    weighed, _, _ = world([family("columns", members, "subject")], scores)
    assert weighed[0].usable.tolist() == [True, True, False, True, True, True]
    assert weighed[0].items[2] < 0.5 * weighed[0].of_items[2] == 0.5 * members[2].sum()


def test_of_two_slices_with_the_same_items_the_column_is_listed():
    rng = np.random.default_rng(8)
    inside = rng.random(ITEMS) < 0.2
    nearly = inside ^ (rng.random(ITEMS) < 0.02)
    others = partition(rng, 5)
    weighed, nulls, own = world(
        [family("columns", [nearly, ~nearly], "subject"), family("profiles", [inside, *others])],
        (rng.random(ITEMS) < np.where(inside, 0.25, 0.6)).astype(float),
    )
    slice_model, chosen = list_of(weighed, nulls, own)
    assert weighed[slice_model.design.family[chosen[0].position]].family.name == "columns"


def test_a_gap_rests_on_the_slice_that_makes_it():
    rng = np.random.default_rng(9)
    cause = rng.random(ITEMS) < 0.3
    follows = np.where(rng.random(ITEMS) < 0.8, cause, rng.random(ITEMS) < 0.3)
    weighed, nulls, own = world(
        [family("profiles", [cause, follows])], (rng.random(ITEMS) < np.where(cause, 0.2, 0.7)).astype(float)
    )
    slice_model, chosen = list_of(weighed, nulls, own)
    both = sorted(chosen, key=lambda one: slice_model.design.slice[one.position])
    if len(both) < 2:
        both = [both[0], both[0]._replace(position=1 - both[0].position)]
    ((name, part),) = explained_by(weighed, slice_model, both, own.outcome)[1]
    assert name == "profiles 0" and part > 0.7
    families = [family("columns", [cause, ~cause], "subject"), family("profiles", [follows])]
    weighed, nulls, own = world(families, own.outcome)
    slice_model, chosen = list_of(weighed, nulls, own)
    node = chosen[0]._replace(position=int(np.flatnonzero(slice_model.design.family == 1)[0]))
    (((name, part),),) = explained_by(weighed, slice_model, [node], own.outcome)
    assert name == "subject" and part > 0.7


def test_the_place_of_the_answer_is_a_caveat():
    rng = np.random.default_rng(10)
    count = 400
    place, size = rng.integers(0, 4, count), np.array([len(str(10**n)) for n in rng.integers(1, 9, count)])
    items = pl.DataFrame(
        {
            "benchmark": "b",
            "choices": [["x" * (3 + (k == at)) for k in range(4)] for at in rng.permuted(place)],
            "answer_index": place,
            "n_span_tokens": size,
            "group": pl.Series([None] * count, dtype=pl.String),
            "covariates": "{}",
        }
    )
    right = (rng.random(count) < np.where(place == 0, 0.8, 0.4)).astype(float)
    form = item_covariates(items, ("answer_position", "answer_length", "options"))
    run = SimpleNamespace(items=items, form=form, manifest={"evidence": EvidenceConfig().model_dump()})
    outcome = SimpleNamespace(limits=(0.0, 1.0))
    (found,) = _of_form(run, outcome, units(right, size.astype(float)), ["length"])
    assert (found.code, found.numbers["covariate"], found.numbers["category"]) == (
        "trend",
        "answer_position",
        "option 1",
    )
    assert found.numbers["difference"] == pytest.approx(right[place == 0].mean() - right.mean(), abs=0.03)
