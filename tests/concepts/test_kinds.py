"""Kinds of concepts: rules and counts."""

from __future__ import annotations

import numpy as np
import polars as pl

from competency_gaps.concepts.kinds import LatentFacts, kind_counts, kinds_of, ranked
from competency_gaps.items.config import EvidenceConfig, MetricsConfig

NOTHING = float("nan")


def kind(**changes):
    usual = {"density": 0.01, "template_share": 0.0, "token_share": 0.1, "lexical_share": 0.1, "pair_share": 0.2}
    usual |= {"word_share": NOTHING, "coherence": 0.2}
    facts = usual | {"format_share": 0.2, "first_share": 0.0} | changes
    arrays = {name: np.array([value]) for name, value in facts.items()}
    return kinds_of(LatentFacts(**arrays, token=[None]), MetricsConfig())[0]


def test_kinds_follow_their_thresholds():
    assert kind() == kind(coherence=NOTHING) == "contextual"
    assert kind(coherence=0.01) == "mixed" and kind(coherence=0.01, lexical_share=0.6) == "token"
    assert kind(lexical_share=0.6) == kind(pair_share=0.8) == kind(token_share=0.95) == "token"
    assert kind(lexical_share=0.6, format_share=0.6) == "format"
    assert kind(format_share=0.6, first_share=0.6) == "position"
    assert kind(first_share=0.6, template_share=0.6) == "template"
    assert kind(template_share=0.6, density=0.2) == "dense"


def test_concepts_of_averages_are_judged_by_their_stretches():
    averaged = {"lexical_share": NOTHING, "pair_share": NOTHING}
    assert kind(**averaged, word_share=0.5) == "contextual" and kind(**averaged, word_share=0.8) == "token"
    assert kind(**averaged, word_share=0.8, format_share=0.6) == "format"
    assert kind(**averaged, word_share=0.5, format_share=0.4) == "format" and kind(format_share=0.4) == "contextual"


def test_without_a_reference_only_the_run_tells_a_kind():
    names = ("lexical_share", "pair_share", "word_share", "format_share", "first_share", "token_share", "coherence")
    unknown = dict.fromkeys(names, NOTHING)
    assert kind(**unknown) is None
    assert kind(**unknown | {"token_share": 0.95}) == "token" and kind(**unknown | {"density": 0.5}) == "dense"


def test_ranked_are_contextual_and_unknown_concepts_or_all():
    table = pl.DataFrame({"alive": [True, True, True, False], "kind": ["contextual", None, "token", None]})
    assert ranked(table, EvidenceConfig()).to_list() == [True, True, False, False]
    assert ranked(table, EvidenceConfig(kinds="all")).to_list() == [True, True, True, False]
    assert kind_counts(table) == {"contextual": 1, "token": 1, "unknown": 1}
