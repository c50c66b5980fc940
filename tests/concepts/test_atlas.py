"""A map of planted subjects, in which a form and repeats must weigh nothing."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import adjusted_rand_score

from competency_gaps.concepts import atlas
from competency_gaps.concepts.atlas import ORDINARY, examples_of, make_atlas, members_of, places_of, space_of

SUBJECTS, PARTS, EACH = 4, 2, 40


class Held:
    def __init__(self, cas):
        self.rows, self._cas = cas.shape[1], cas

    def cas(self, concepts, items):
        return self._cas[np.asarray(concepts)]


@pytest.fixture
def planted(monkeypatch):
    """Subjects of two parts each; forms that make more concepts active than these; and 300 repeats of one item."""
    for name, value in {
        "LEVEL_SIZES": (4, 8),
        "LEVELS": 2,
        "MIN_ACTIVE_ITEMS": 5,
        "SINGULAR_VECTORS": 12,
        "VECTORS": 40,
        "MAX_ITEMS": 30,
        "REPEAT": 0.999,
    }.items():
        monkeypatch.setattr(atlas, name, value)
    rng = np.random.default_rng(0)
    count = SUBJECTS * PARTS * EACH
    part = np.append(np.arange(count) % (SUBJECTS * PARTS), np.zeros(300, int))
    subject, form = part // PARTS, np.arange(count + 300) // (SUBJECTS * PARTS) % 4
    cas = rng.random((92, len(part))) * (rng.random((92, len(part))) < 0.05)
    for item in range(len(part)):
        cas[subject[item] * 5 : subject[item] * 5 + 5, item] += rng.random(5)  # concepts 0 to 19: subjects
        cas[20 + part[item] * 3 : 23 + part[item] * 3, item] += rng.random(3)  # 20 to 43: parts
        cas[44 + form[item] * 12 : 56 + form[item] * 12, item] += rng.random(12)  # 44 to 91: forms
    basis = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    meant = basis[subject] + 0.7 * basis[4 + part] + rng.normal(0, 0.15, (len(part), 16))
    meant[count:] = meant[0]
    meant /= np.linalg.norm(meant, axis=1, keepdims=True)
    benchmarks = ["quiz"] * 80 + [ORDINARY] * (count - 80) + ["template"] * 300
    return sp.csr_array(cas.astype(np.float32)), meant.astype(np.float32), benchmarks, subject, part


def test_planted_subjects_are_regions_whatever_the_form_and_however_often_one_is_repeated(planted):
    cas, meant, benchmarks, subject, part = planted
    made = make_atlas(cas, meant, benchmarks)
    space = space_of(made, Held(cas), np.arange(cas.shape[1]))
    places = places_of(made, space)
    coarse = made.parent[places.region]
    assert adjusted_rand_score(coarse[:320], subject[:320]) > 0.9
    assert adjusted_rand_score(places.region[:320], part[:320]) > 0.6
    hung = made.parent[made.concept_region[:20]].reshape(4, 5)
    assert (hung == hung[:, :1]).all() and len(set(hung[:, 0])) == 4
    assert [set(hung[s]) for s in range(4)] == [{int(np.bincount(coarse[subject == s]).argmax())} for s in range(4)]
    items = dict(made.regions.select("region", "items").rows())
    # 79 items and a copy of the quiz count for 30; 240 of ordinary text; 300 copies, with the first, for one.
    assert sum(items[region] for region in range(4)) == pytest.approx(30 + 240 + 300 / 301, rel=1e-5)
    assert made.regions["level"].to_list() == [1] * 4 + [2] * 8
    inside = members_of(made.parent, places.region)
    assert made.counts.filter(benchmark="template")["items"].sum() == 300 and inside[:4].sum() == cas.shape[1]
    assert places.unlike.mean() == pytest.approx(0.01, abs=0.005)
    for region, (typical, edge) in enumerate(examples_of(made, space)):
        assert inside[region, [*typical, *edge]].all() and not set(typical) & set(edge)
        alike = space[typical] @ space[typical].T - np.eye(len(typical))
        assert alike.max() < atlas.MAX_SIMILARITY
