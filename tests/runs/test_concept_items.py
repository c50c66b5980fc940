"""Items of a concept: one of each cluster, with the number of repeats."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest

import competency_gaps
from core_helpers import objects, with_benchmarks


@pytest.fixture(scope="module")
def repeated(tiny_config, tmp_path_factory):
    """A run with one question under five ids, and others that come once."""
    prompts = ["How many days?", "how many  DAYS?", "How many days?", "A fox jumps.", "How many days?", "Say dog:"]
    rows = [{"id": f"i{place}", "prompt": prompt, "score": place % 2} for place, prompt in enumerate(prompts)]
    config = with_benchmarks(tiny_config, [objects("own", rows)])
    return competency_gaps.run(config, tmp_path_factory.mktemp("repeated") / "run")


def often(run):
    """The concepts that are active in most items: those of which items repeat each other."""
    return run.concepts.sort("support", "concept", descending=[True, False])["concept"].head(10)


@pytest.mark.parametrize("order", ["strongest", "best", "worst"])
def test_a_cluster_is_one_example_with_its_count(repeated, order):
    clusters = repeated.items["cluster"].to_list()
    assert Counter(clusters).most_common(1)[0][1] == 4
    seen = 0
    for concept in often(repeated):
        active = repeated.by_concept.column(concept).item.tolist()
        found = repeated.concept_items(concept, order=order, limit=50)
        expected = Counter(clusters[row] for row in active)
        assert dict(found.select("cluster", "repeats").iter_rows()) == expected
        assert found.height == len(expected)
        seen += any(count > 1 for count in expected.values())
        key = {"strongest": "cas", "best": "score", "worst": "score"}[order]
        values = found[key].to_list()
        assert values == sorted(values, reverse=order != "worst")
        # The example of a cluster is its first in that order.
        best = max if order != "worst" else min
        for cluster, value in found.select("cluster", key).iter_rows():
            own = [row for row in active if clusters[row] == cluster]
            if key == "score":
                assert value == best(repeated.items["score"][row] for row in own)
    assert seen


def test_items_of_a_given_cluster_are_not_repeats(repeated):
    given = competency_gaps.open_run(repeated.path)
    given.__dict__["items"] = repeated.items.with_columns(
        cluster_kind=pl.when(pl.col("cluster_kind").is_not_null()).then(pl.lit("given"))
    )
    several = 0
    for concept in often(repeated):
        found, same = (run.concept_items(concept, limit=50) for run in (given, repeated))
        assert found.drop("repeats").equals(same.drop("repeats"))
        assert set(found["repeats"]) <= {1}
        several += (same["repeats"] > 1).any()
    assert several
