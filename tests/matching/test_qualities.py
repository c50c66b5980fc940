"""The script that tells qualities of prompts by concepts: what it compares, on made-up values."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

VALIDATION = Path(__file__).parents[2] / "validation"


@pytest.fixture(scope="module")
def qualities():
    sys.path.insert(0, str(VALIDATION))
    try:
        import qualities

        yield qualities
    finally:
        sys.path.remove(str(VALIDATION))


def run_of(cas, ranked, sae="a" * 64):
    names = pl.DataFrame({"benchmark": ["b"]})
    count = len(cas)
    items = pl.DataFrame({"benchmark": ["b"] * count, "excluded": [None] * count, "n_span_tokens": [9] * count})
    concepts = pl.DataFrame({"ranked": ranked})
    told = {"benchmarks": names, "items": items, "concepts": concepts, "manifest": {"sae": {"weights_sha256": sae}}}
    return SimpleNamespace(**told, path=sae[0], cas=lambda _: sp.csr_array(cas))


def test_qualities_that_too_few_have_are_named(qualities):
    has = np.arange(499) >= 7
    assert qualities.too_few(has) == "N/A: 7 of 499 lack it"
    assert qualities.too_few(~has) == "N/A: 7 of 499 have it"
    assert qualities.too_few(np.arange(499) >= 10) is None


def test_suites_are_asked_with_the_tagged_runs_concepts(qualities, capsys):
    """Only concept 2 tells the quality. The suite's own ranked concepts are others, and of its items half have it."""
    rng = np.random.default_rng(0)
    has = np.arange(60) % 2 == 0
    cas = rng.random((60, 4))
    cas[:, 2] = np.where(has, 5, 0.1) + rng.random(60)
    tagged, suite = run_of(cas, [False, True, True, True]), run_of(cas[has], [True, True, False, True])
    ranked = np.array([1, 2, 3])
    values = qualities.concept_values(tagged, ranked)
    qualities.suite(suite, ranked, values, np.log(np.full((60, 1), 9.0)), {"quality": has})
    told = capsys.readouterr().out.strip().splitlines()[-1]
    assert told.startswith("| b | 100% |") and float(told.split("|")[3]) > 0.9
    qualities.same_sae(tagged, suite)
    with pytest.raises(SystemExit, match="has another SAE"):
        qualities.same_sae(tagged, run_of(cas, [True] * 4, sae="b" * 64))
