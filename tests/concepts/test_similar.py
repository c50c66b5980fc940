"""Nearest decoder directions equal a pass over all pairs in float64; a dictionary reads them back."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from competency_gaps.concepts import directions
from competency_gaps.concepts.collect import write_directions
from competency_gaps.concepts.folder import open_dictionary, write_dictionary
from competency_gaps.embedded import embedded_sae
from competency_gaps.items.config import SAEConfig
from competency_gaps.model.hooks import resolve_hook
from competency_gaps.sae.load import LoadedPair, load_sae
from competency_gaps.util.progress import Progress
from core_helpers import loaded
from sae_helpers import build

EMBEDDED = "embedded:smollm2-135m-instruct-l15-8k"


def brute(decoder: np.ndarray, concept: int) -> list[tuple[int, float]]:
    """All other concepts by cosine, pair by pair."""
    found = []
    for other, direction in enumerate(decoder):
        size = np.linalg.norm(decoder[concept]) * np.linalg.norm(direction)
        if other != concept and size > 0:
            found.append((other, float(decoder[concept] @ direction / size)))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def changed(folder, change):
    """A random SAE of 64 concepts with another decoder."""
    sae = load_sae(SAEConfig(folder=build("standard", folder)), "cpu")
    with torch.no_grad():
        change(sae.sae.W_dec)
    return sae


@pytest.mark.parametrize("elements", [1, 64 * 7, 16_000_000], ids=["row by row", "blocks", "at once"])
def test_neighbours_are_those_of_all_pairs(tmp_path, monkeypatch, elements):
    monkeypatch.setattr(directions, "COSINES_AT_ONCE", elements)
    # Norms differ widely: nearest by angle is not nearest by product.
    sae = changed(tmp_path / "sae", lambda d: d.mul_(torch.logspace(-4, 3, 64)[:, None]))
    table = directions.similar_concepts(sae, count=6)
    decoder = sae.sae.W_dec.detach().numpy().astype(np.float64)
    assert table["concept"].to_list() == list(range(64))
    assert table.dtypes == [pl.Int32, pl.List(pl.Int32), pl.List(pl.Float32)]
    for concept, near, cosine in table.iter_rows():
        wanted = brute(decoder, concept)[:6]
        assert near == [other for other, _ in wanted]
        assert cosine == pytest.approx([value for _, value in wanted], abs=1e-6)


def test_a_zero_direction_has_no_neighbour_and_is_none(tmp_path):
    sae = changed(tmp_path / "sae", lambda d: d.index_fill_(0, torch.tensor([5, 63]), 0))
    table = directions.similar_concepts(sae, count=100)  # all there are, negative cosines too
    assert table.filter(pl.col("similar").list.len() == 0)["concept"].to_list() == [5, 63]
    assert table.filter(pl.col("cosine").list.len() == 0)["concept"].to_list() == [5, 63]
    named = set(table["similar"].explode().drop_nulls())
    assert not named & {5, 63} and set(table["similar"].list.len()) == {0, 61}
    assert table["cosine"].explode().is_finite().all()


def test_directions_are_written_as_a_dictionary_reads_them(model_folder, tmp_path):
    lm = loaded(model_folder("llama"))
    sae = load_sae(SAEConfig(folder=build("standard", tmp_path / "sae")), "cpu")
    pair, folder = LoadedPair(lm, sae, resolve_hook(lm.model, sae.hook_name), None), tmp_path / "dictionary"
    write_dictionary(folder, sae.identity)
    assert open_dictionary(folder).similar is None and open_dictionary(folder).logits is None
    assert write_directions(pair, folder, Progress(quiet=True)) == (64, 64)
    opened = open_dictionary(folder)
    assert opened.similar.equals(directions.similar_concepts(sae))
    assert opened.logits["promoted"][7].to_list() == opened.promoted[7] and len(opened.promoted[7]) == 10
    assert opened.logits["suppressed"][7].to_list() != opened.promoted[7]


def test_the_embedded_tables_are_of_the_embedded_sae():
    sae, dictionary = load_sae(SAEConfig(folder=EMBEDDED), "cpu"), open_dictionary(embedded_sae(EMBEDDED))
    decoder = sae.sae.W_dec.detach().numpy().astype(np.float64)
    unit = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
    assert dictionary.logits.height == dictionary.similar.height == 8192
    for concept, near, cosine in dictionary.similar.gather_every(97).iter_rows():
        cosines = unit @ unit[concept]
        assert concept not in near and len(near) == 10
        assert cosine == pytest.approx(cosines[near].tolist(), abs=1e-5)
        assert (np.delete(cosines, [concept, *near]) <= cosine[-1] + 1e-5).all()
    assert dictionary.logits["promoted"].list.len().unique().to_list() == [10]
