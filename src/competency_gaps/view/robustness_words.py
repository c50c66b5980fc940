"""Titles and sentences of the tests of robustness."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from typing import Any

from competency_gaps.util.errors import install_command

TITLES = {
    "subsampling": "subsampling",
    "ablation": "adversarial ablation",
    "list": "the list on half-samples",
    "split_halves": "split halves",
    "prediction": "prediction",
    "against": "against {against}",
}
_MOVES = (
    "without {dropped:.0%} of the items, a tested concept's score (chi_model) moves by {chi_model:.3f} on average "
    "(standard deviation over {draws} draws), its coverage (chi_bench; mean 1) by {chi_bench:.3f}."
)
_REMOVED = (
    ": the median score by concept (chi_model) changes by {best_change:+.4f} (random items: {best_random_low:+.4f} to "
    "{best_random_high:+.4f}) without the {best_items} items of the {best_concepts} best concepts, and by "
    "{worst_change:+.4f} (random: {worst_random_low:+.4f} to {worst_random_high:+.4f}) without those of the worst."
)
_HALVES = " on scores by concept: correlation {mean:.2f} ({low:.2f} to {high:.2f} in 95% of the splits, which overlap)."
_AUC = (
    " failures better than {known} alone: they rank an unseen failed item above a solved one with probability "
    "{mean:.3f} (AUC; {low:.3f} to {high:.3f} in 95% of the splits, which overlap), against {baseline:.3f} without: a "
    "gain of {gain:+.3f} ({gain_low:+.3f} to {gain_high:+.3f})."
)
_SHARED = (
    ": across {matched:,} concepts matched {by} (of {concepts:,} tested), scores by concept correlate at "
    "{chi_model_correlation:.2f} and associations at {association_correlation:.2f}; {failure_in_both} of the {failure} "
    "that go with failure do so in both ({items:,} shared items)."
)
SENTENCES = {
    "subsampling.few": "Too few concepts are tested.",
    "subsampling.steady": "Figures are stable: " + _MOVES,
    "subsampling.unsteady": "Figures depend on the choice of items: " + _MOVES,
    "ablation.few": "Too few concepts are tested to pick the best and the worst.",
    "ablation.both": "Scores depend on the items that they should" + _REMOVED,
    "ablation.best": "The best concepts depend on their items, the worst no more than by chance" + _REMOVED,
    "ablation.worst": "The worst concepts depend on their items, the best no more than by chance" + _REMOVED,
    "ablation.neither": "Removing the items of the best and worst concepts changes no more than chance" + _REMOVED,
    "list.few": "The answer lists no slice.",
    "list.holds": "{again} of {findings} listed slices are chosen again by at least half of {halves} half-samples.",
    "list.mostly": "Only {again} of {findings} listed slices are chosen again by at least half of {halves} "
    "half-samples, but {kept} keep the sign of their gap on the items left out.",
    "list.fails": "Only {kept} of {findings} listed slices are chosen again by a half-sample and keep the sign of "
    "their gap on the items left out.",
    "split_halves.few": "Too few concepts are tested on both halves to compare them.",
    "split_halves.agree": "Two halves of the items agree" + _HALVES,
    "split_halves.disagree": "Two halves of the items barely agree" + _HALVES,
    "prediction.few": "Failures could not be predicted: too few scored items of each kind.",
    "prediction.skipped": "Whether concepts predict failures was not tested: scikit-learn is not installed ("
    + install_command("robustness")
    + ").",
    "prediction.better": "Concepts predict" + _AUC,
    "prediction.perhaps": "Concepts may predict" + _AUC,
    "prediction.no_better": "Concepts do not predict" + _AUC,
    "against.few": "Only {matched:,} concepts can be compared on {items:,} shared items: too few to judge.",
    "against.agree": "The two runs agree" + _SHARED,
    "against.disagree": "The two runs barely agree" + _SHARED,
}
"""``CODE.OUTCOME`` -> the sentence, with the verdict's numbers by name."""


def in_words(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verdict with its title (``test``) and ``sentence``.

    Parameters
    ----------
    verdict
        Fields of :class:`~competency_gaps.findings.robustness.RobustnessVerdict`.
    """
    code, numbers = verdict["code"], verdict["numbers"]
    by = "by their number" if numbers.get("same_sae") else "by their activation over the items"
    known = "the peers' scores" if numbers.get("from_peers") else "the benchmark's mean"
    templates = {"test": TITLES[code], "sentence": SENTENCES[f"{code}.{verdict['outcome']}"]}
    values = {"by": by, "known": known, **numbers}
    return {**verdict, **{name: _Words().vformat(text, (), values) for name, text in templates.items()}}


class _Words(string.Formatter):
    """Writes N/A for what is undefined."""

    def format_field(self, value: Any, format_spec: str) -> str:
        undefined = value is None or (isinstance(value, float) and math.isnan(value))
        return "N/A" if undefined else str(format(value, format_spec))
