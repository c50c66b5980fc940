"""Run all tests of robustness on a run, judge them, and store the results in its folder."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any, Literal

from competency_gaps.findings.draws import Removal, ablate, agreement, halves, run_data, subsample
from competency_gaps.findings.finding import Answer
from competency_gaps.findings.kept import answer, outcome_arguments
from competency_gaps.runs.manifest import ASSESSMENT, adding_to_run
from competency_gaps.runs.open import RunFolder
from competency_gaps.util.checked import write_document
from competency_gaps.util.errors import UserError, install_command
from competency_gaps.util.files import finite
from competency_gaps.util.progress import Progress

STEADY = 0.05
"""Maximum mean standard deviation of chi_model of a steady run; published ones are 0.01 to 0.025."""
AGREES = 0.5
"""Minimum correlation at which two halves or runs agree."""

Tone = Literal["good", "bad", "open"]

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
_PASSED = ("steady", "both", "holds", "agree", "better")
_FAILED = ("fails", "disagree", "no_better")


@dataclass(frozen=True)
class RobustnessVerdict:
    """The verdict of one test."""

    code: str
    """The test; a key of ``TITLES``."""
    outcome: str
    """What came out; ``code.outcome`` is a key of ``SENTENCES``."""
    numbers: Mapping[str, Any]
    """What the sentence quotes, by name; ``against`` is the other run's folder."""
    tone: Tone
    """``good``: passed; ``bad``: failed; ``open``: undecided."""
    test: str
    """Its title."""
    sentence: str


def verdict(code: str, outcome: str, numbers: Mapping[str, Any]) -> RobustnessVerdict:
    """Return a verdict with its sentence, title and tone."""
    by = "by their number" if numbers.get("same_sae") else "by their activation over the items"
    known = "the peers' scores" if numbers.get("from_peers") else "the benchmark's mean"
    words, values = _Words(), {"by": by, "known": known, **numbers}
    tone: Tone = "good" if outcome in _PASSED else "bad" if outcome in _FAILED else "open"
    test = words.vformat(TITLES[code], (), values)
    return RobustnessVerdict(
        code, outcome, numbers, tone, test, words.vformat(SENTENCES[f"{code}.{outcome}"], (), values)
    )


class _Words(string.Formatter):
    """Formats undefined numbers as N/A."""

    def format_field(self, value: Any, format_spec: str) -> str:
        undefined = value is None or (isinstance(value, float) and math.isnan(value))
        return "N/A" if undefined else str(format(value, format_spec))


def subsampling_verdict(draws: Mapping[str, Any]) -> RobustnessVerdict:
    """Return the verdict on how much figures vary between draws."""
    moves, bench = draws["chi_model_tested"]["mean"], draws["chi_bench"]["mean"]
    outcome = "few" if math.isnan(moves) else "steady" if moves <= STEADY else "unsteady"
    numbers = {"dropped": draws["dropped"], "draws": draws["draws"], "chi_model": moves, "chi_bench": bench}
    return verdict("subsampling", outcome, numbers)


def ablation_verdict(removed: Mapping[str, Removal]) -> RobustnessVerdict:
    """Return the verdict on whether the median chi_model depends on the items aligned with concepts."""
    best, worst = removed["best"], removed["worst"]
    if not best.concepts:
        return verdict("ablation", "few", {})
    falls, rises = best.outside and best.change < 0, worst.outside and worst.change > 0
    outcome = {(True, True): "both", (True, False): "best", (False, True): "worst", (False, False): "neither"}
    numbers = {f"{side}_{name}": value for side, removal in removed.items() for name, value in asdict(removal).items()}
    return verdict("ablation", outcome[falls, rises], numbers)


def list_verdict(answer: Answer) -> RobustnessVerdict:
    """Return the verdict on how many slices of an answer are chosen again on half-samples of the items."""
    listed = answer.findings
    numbers = {
        "findings": len(listed),
        "halves": listed[0].halves if listed else 0,
        "again": sum(2 * one.in_halves >= one.halves for one in listed),
        "kept": sum(one.heldout_gap is not None and one.heldout_gap * one.gap >= 0 for one in listed),
    }
    if not listed:
        return verdict("list", "few", numbers)
    outcome = (
        "fails" if 2 * numbers["kept"] < len(listed) else "holds" if 2 * numbers["again"] >= len(listed) else "mostly"
    )
    return verdict("list", outcome, numbers)


def halves_verdicts(result: Mapping[str, Mapping[str, float]], *, from_peers: bool = False) -> list[RobustnessVerdict]:
    """Return the verdicts on whether halves agree, and whether concepts predict failures.

    ``from_peers``: whether the baseline of the prediction uses the score expected from peers.
    """
    agree, gain = result["chi_model_correlation"], result["auc_gain"]
    outcome = "better" if gain["low"] > 0 else "no_better" if gain["mean"] <= 0 else "perhaps"
    gains = {"gain": gain["mean"], "gain_low": gain["low"], "gain_high": gain["high"]}
    numbers = {**result["auc"], "baseline": result["auc_baseline"]["mean"], **gains, "from_peers": from_peers}
    return [
        verdict("split_halves", _agreement(agree["mean"]), agree),
        verdict("prediction", outcome if gain["splits"] else "few", numbers),
    ]


def _agreement(correlation: float) -> str:
    return "few" if math.isnan(correlation) else "agree" if correlation >= AGREES else "disagree"


def assess(run: RunFolder, progress: Progress, *, against: RunFolder | None = None, seed: int = 0) -> dict[str, Any]:
    """Run every test and return the results, which are also written into the run's folder unless it is a view.

    Returns
    -------
    dict
        ``verdicts`` (with the fields of :class:`RobustnessVerdict`), and the figures of each test.

    Raises
    ------
    UserError
        If the run has no scored item or no tested concept, or shares no item with ``against``.
    """
    predicts = find_spec("sklearn") is not None
    with progress.stage("reading the run"):
        data = run_data(run)
    if not data.tested.any():
        raise UserError(
            f"{str(run.path)!r} has no tested concept (enough items with it, and scores that vary), so there is "
            f"nothing whose robustness could be tested."
        )
    both = None
    if against is not None:  # first: it refuses runs of other items before the minutes of the rest
        with progress.stage("comparing with the other run"):
            both = agreement(run, against, data, run_data(against))
    with progress.stage("subsampling"):
        draws = subsample(data, seed=seed)
    with progress.stage("removing items"):
        removed = ablate(data, seed=seed)
    with progress.stage("the list on half-samples"):
        listed = list_verdict(answer(run, **outcome_arguments(run)))
    with progress.stage("testing on held-out items"):
        unseen = halves(data, fits=None if predicts else 0, seed=seed)
    verdicts = [subsampling_verdict(draws), ablation_verdict(removed), listed]
    verdicts += halves_verdicts(unseen, from_peers=data.expected is not None)
    if not predicts:
        verdicts[-1] = verdict("prediction", "skipped", {})
    figures: dict[str, Any] = {
        "subsampling": draws,
        "ablation": {side: asdict(part) for side, part in removed.items()},
        "halves": unseen,
    }
    if both is not None:
        verdicts.append(verdict("against", _agreement(both["chi_model_correlation"]), both))
        figures["against"] = both
    content = finite({"seed": seed, "verdicts": [asdict(part) for part in verdicts], **figures})
    if not run.tables:
        with adding_to_run(run.path, run.manifest):
            write_document(run.path / ASSESSMENT, content)
    return content
