"""Items that are no independent evidence count once: copies, questions on one passage, near-repeats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

import competency_gaps as cg
from competency_gaps.matching.division import one_of_each
from competency_gaps.matching.examples import examples_config, gather_examples
from competency_gaps.matching.kept import Source
from competency_gaps.matching.markers import find_markers
from competency_gaps.matching.tags import Tags, tagged_items
from competency_gaps.matching.taxonomy import read_taxonomy

CONCEPTS = 600


class Copied:
    """A run whose items are copies, or noisy copies, of texts; nothing else of a run is asked for."""

    def __init__(self, rng, texts, copies, noise=0.0):
        active = rng.random((texts, CONCEPTS)) < rng.uniform(0.01, 0.3, CONCEPTS)
        values = np.repeat(np.where(active, rng.exponential(size=active.shape), 0), copies, axis=0)
        values *= (rng.random(values.shape) >= noise) * np.exp(noise * rng.normal(size=values.shape))
        self._values, count = sp.csr_array(values), texts * copies
        self.text = np.repeat(np.arange(texts), copies)
        self.items = pl.DataFrame(
            {
                "benchmark": ["b"] * count,
                "cluster": pl.Series(self.text, dtype=pl.Int32),
                "excluded": pl.Series([None] * count, dtype=pl.Struct({"code": pl.String})),
                "n_span_tokens": np.repeat(rng.integers(10, 200, texts), copies),
            }
        )

    def cas(self, name):
        return self._values

    def matched(self, member, seed):
        """Whether each tag is matched."""
        names = [f"tag {number}" for number in range(len(member))]
        tags = Tags(names, np.arange(len(self.text)), member, Source("tags", "tags", "tags"))
        _, read = tagged_items(self, tags, seed)
        return find_markers(read.examples, np.ones(CONCEPTS, bool), seed=seed)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_tags_of_repeated_items_are_not_matched(noise):
    """20 tags of eight texts each, every text five times, with nothing planted: counted singly nearly all matched."""
    worlds_with_match = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        run = Copied(rng, texts=160, copies=5, noise=noise)
        member = rng.permutation(160)[run.text] // 8 == np.arange(20)[:, None]
        worlds_with_match += run.matched(member, seed).matched.any()
    assert worlds_with_match <= 2  # 5% of 12 are 0.6; more than 2 have a chance of 2%


def test_tags_that_differ_within_clusters_are_not_matched():
    """A third of the items are in clusters of nine, the others alone: the tags know nothing of either."""
    worlds_with_match = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        run = Copied(rng, texts=80, copies=9, noise=0.2)
        alone = run.text >= 40
        run.items = run.items.with_columns(cluster=pl.Series(np.where(alone, 1000 + np.arange(720), run.text)))
        # Those alone are texts of their own: their activations are shuffled among them, column by column.
        values = run.cas("b").toarray()
        values[alone] = rng.permuted(values[alone], axis=0)
        run._values = sp.csr_array(values)
        worlds_with_match += run.matched(rng.random((20, 720)) < 0.15, seed).matched.any()
    assert worlds_with_match <= 2


def test_repeated_items_that_share_a_concept_match_it():
    rng = np.random.default_rng(0)
    run = Copied(rng, texts=300, copies=3)
    member = run.text // 15 == np.arange(20)[:, None]
    values = run.cas("b").toarray()
    values[:, :20] = np.where(member.T, 2 + rng.exponential(size=(900, 20)), values[:, :20] * 0.5)
    run._values = sp.csr_array(values)
    markers = run.matched(member, 0)
    assert (markers.confirmed & (markers.concept == markers.entry)).sum() >= 19


def test_of_each_cluster_the_seed_draws_one():
    cluster = np.array([4, 4, 1, 9, 1, 4])
    drawn = [one_of_each(cluster, seed) for seed in range(30)]
    assert all(sorted(cluster[rows]) == [1, 4, 9] and (np.diff(rows) > 0).all() for rows in drawn)
    assert set(np.concatenate(drawn).tolist()) == set(range(6))


def listed(path: Path, copies: int) -> Path:
    """Entries whose prompts are of few parents: each in several orders of its words, with other white space."""
    rng = np.random.default_rng(0)
    words = ["".join(chr(97 + i) for i in rng.integers(0, 26, 6)) for _ in range(120)]
    rows = []
    for entry in range(4):
        parents = [rng.choice(words, 9, replace=False) for _ in range(12 // copies)]
        prompts = [" ".join(rng.permutation(parent)) for parent in parents for _ in range(copies)]
        rows.append({"id": f"e{entry}", "description": f"entry {entry}", "examples": prompts})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_noisy_copies_of_a_prompt_count_once(tiny_run, tmp_path):
    """Twelve prompts of three parents are three examples, too few to be compared; of twelve they are twelve."""
    for copies, examples in ((4, 3), (1, 12)):
        entries = read_taxonomy(listed(tmp_path / f"{copies}.jsonl", copies)).entries
        folder = tmp_path / f"read-{copies}"
        read = gather_examples(cg.run(examples_config(tiny_run, entries, folder), folder / "run"), entries)
        assert read.count.tolist() == [examples] * 4 and read.examples.member.shape == (4, 4 * examples)
        assert not read.left_out.height
        markers = find_markers(read.examples, tiny_run.concepts.sort("concept")["ranked"].to_numpy())
        assert markers.compared.tolist() == [examples >= 6] * 4
