"""The dictionary that comes with the embedded SAE: about this SAE, whole, and as its documentation says."""

from __future__ import annotations

import numpy as np
import polars as pl

from competency_gaps.concepts.folder import check_same_sae, open_dictionary
from competency_gaps.concepts.kinds import LatentFacts, kinds_of
from competency_gaps.embedded import embedded_sae
from competency_gaps.items.config import MetricsConfig, SAEConfig
from competency_gaps.sae.load import load_sae
from competency_gaps.sae.reference import FILE, read_reference

NAME = "embedded:smollm2-135m-instruct-l15-8k"


def test_it_is_about_this_sae():
    dictionary = open_dictionary(embedded_sae(NAME))
    check_same_sae(dictionary.sae, load_sae(SAEConfig(folder=NAME), "cpu").identity)


def test_alive_concepts_have_labels_or_abstentions_most_ranked_ones_labels():
    folder = embedded_sae(NAME)
    dictionary = open_dictionary(folder)
    reference = read_reference(folder / FILE, dictionary.width)
    shown = dictionary.shown()
    assert (shown.filter(pl.Series(reference.density > 0))["label_state"] != "never").all()
    contextual = kinds_of(LatentFacts.of_reference(reference), MetricsConfig()) == "contextual"
    ranked = shown.filter(pl.Series(contextual))
    assert ranked["label"].is_not_null().mean() > 0.7 and (ranked["label_kind"] == "explained").mean() > 0.5


def test_its_reference_tells_the_kind_of_nearly_every_concept():
    reference = read_reference(embedded_sae(NAME) / FILE, 8192)
    kinds = kinds_of(LatentFacts.of_reference(reference), MetricsConfig())
    assert sum(kind is None for kind in kinds) < 40 and 1800 < (kinds == "contextual").sum() < 1900
    assert np.isnan(reference.lexical_share).all(), "it is an SAE of averages"


def test_read_labels_are_scored_and_say_who_made_them():
    labels = open_dictionary(embedded_sae(NAME)).labels()
    read = labels.filter((pl.col("kind") == "explained") & pl.col("label").is_not_null())
    assert read.height >= 600 and read["score"].null_count() == 0 and read["explainer"].null_count() == 0
    assert read["score"].mean() > 0.6 and (read["score"] >= 0.6).mean() > 0.6
    assert set(labels["kind"]) == {"explained", "automatic"}


def test_a_poor_label_gives_way_to_words():
    dictionary = open_dictionary(embedded_sae(NAME))
    labels = dictionary.labels().filter(pl.col("label").is_not_null())
    poor = labels.filter((pl.col("kind") == "explained") & (pl.col("score") < 0.6))["concept"]
    shown = dictionary.shown().filter(pl.col("concept").is_in(poor.to_list()))
    words = shown["concept"].is_in(labels.filter(pl.col("kind") == "automatic")["concept"].to_list())
    assert 0 < words.sum() < len(poor) == shown.height
    assert ((shown["label_kind"] == "automatic").fill_null(False) == words).all()
