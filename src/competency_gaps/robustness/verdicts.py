"""Verdicts of the tests of robustness: a sentence each, with its numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from competency_gaps.robustness.ablation import Ablation, Removal
from competency_gaps.robustness.agreement import Agreement
from competency_gaps.robustness.heldout import HeldOut, Interval
from competency_gaps.robustness.subsample import Subsampling

STABLE_LIST = 0.7
"""Least Jaccard index of a stable list: about eight of ten concepts stay."""
BEYOND_CHANCE = 0.1
"""Least excess of the Jaccard index over that with permuted outcomes."""
FEWEST = 10
"""Fewest splits with weak (strong) concepts for a verdict on them."""
AGREES = 0.5
"""Least correlation at which two halves or runs agree."""

Tone = Literal["good", "bad", "open"]
Code = Literal["subsampling", "ablation", "held_out_weak", "held_out_strong", "split_halves", "prediction", "against"]
HELD_OUT: dict[str, Code] = {"weak": "held_out_weak", "strong": "held_out_strong"}


@dataclass(frozen=True)
class RobustnessVerdict:
    """The verdict of one test."""

    code: Code
    """The test."""
    test: str
    """Its title."""
    sentence: str
    """The verdict in plain language, with its numbers."""
    tone: Tone
    """``good``: passed; ``bad``: failed; ``open``: undecided."""


def subsampling_verdict(draws: Subsampling) -> RobustnessVerdict:
    """Judge the stability of the weak list."""
    moves = (
        f"chi_model moves by {draws.chi_model_tested.mean:.3f} on average (standard deviation; tested concepts), "
        f"chi_bench by {draws.chi_bench.mean:.3f}."
    )
    if not draws.top:
        return RobustnessVerdict(
            "subsampling", "subsampling", f"Too few concepts are tested to speak of a list. {moves}", "open"
        )
    stable = draws.jaccard >= STABLE_LIST and draws.jaccard >= draws.jaccard_by_chance + BEYOND_CHANCE
    sentence = (
        f"The list of the {draws.top} lowest gaps is {'stable' if stable else 'not stable'}: without "
        f"{draws.dropped:.0%} of the items its Jaccard overlap with the whole list is {draws.jaccard:.2f}; with "
        f"permuted scores it would be {draws.jaccard_by_chance:.2f}. {moves}"
    )
    return RobustnessVerdict("subsampling", "subsampling", sentence, "good" if stable else "bad")


def ablation_verdict(removed: Ablation) -> RobustnessVerdict:
    """Judge whether the median chi_model depends on the items aligned with concepts."""
    if not removed.best.concepts:
        return RobustnessVerdict(
            "ablation", "adversarial ablation", "Too few concepts are tested to take the best and the worst.", "open"
        )
    falls = removed.best.outside and removed.best.change < 0
    rises = removed.worst.outside and removed.worst.change > 0
    claim = {
        (True, True): "chi_model rests on the items that it names",
        (True, False): "The best concepts rest on their items, the worst ones no more than by chance",
        (False, True): "The worst concepts rest on their items, the best ones no more than by chance",
        (False, False): "Removing the items most aligned with the best and worst concepts changes no more than chance",
    }[falls, rises]
    sentence = (
        f"{claim}: the median chi_model changes by {_removal(removed.best)} without the {removed.best.items} items of "
        f"the {removed.best.concepts} best concepts, and by {_removal(removed.worst)} without those of the worst."
    )
    return RobustnessVerdict("ablation", "adversarial ablation", sentence, "good" if falls and rises else "open")


def _removal(removal: Removal) -> str:
    return f"{removal.change:+.4f} (random items {removal.random_low:+.4f} to {removal.random_high:+.4f})"


def held_out_verdicts(result: HeldOut) -> list[RobustnessVerdict]:
    """Judge whether gaps hold on unseen items, and whether concepts predict failures."""
    verdicts = []
    for word, effect, chance, number in (
        ("weak", result.weak, result.weak_random, result.weak_found),
        ("strong", result.strong, result.strong_random, result.strong_found),
    ):
        if effect.splits < FEWEST:
            text = (
                f"Too few {word} concepts are found on half of the items to say whether they hold on the others: "
                f"{effect.splits} of {number.splits} splits have any."
            )
            verdicts.append(RobustnessVerdict(HELD_OUT[word], f"held-out items, {word}", text, "open"))
            continue
        holds = effect.high < 0 if word == "weak" else effect.low > 0
        fails = effect.mean >= 0 if word == "weak" else effect.mean <= 0
        claim = f"are{'' if holds else ' not' if fails else ' probably'} {word} on unseen items too"
        text = (
            f"The {word} concepts {claim}: items that they dominate score {_signed(effect)} against the rest, net of "
            f"their benchmarks' means; random concepts of the same support {_signed(chance)} ({number.mean:.0f} {word} "
            f"concepts per half, {effect.splits} splits)."
        )
        verdicts.append(
            RobustnessVerdict(
                HELD_OUT[word], f"held-out items, {word}", text, "good" if holds else "bad" if fails else "open"
            )
        )
    verdicts.append(_halves(result))
    verdicts.append(_prediction(result))
    return verdicts


def _signed(interval: Interval) -> str:
    return "N/A" if not interval.splits else f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _halves(result: HeldOut) -> RobustnessVerdict:
    gap, model = result.gap_correlation, result.chi_model_correlation
    if not gap.splits:
        return RobustnessVerdict(
            "split_halves", "split halves", "Too few concepts are tested on both halves to compare them.", "open"
        )
    agrees = gap.mean >= AGREES
    text = (
        f"Two halves of the items {'agree' if agrees else 'hardly agree'} on the concepts' gaps: correlation "
        f"{gap.mean:.2f} [{gap.low:.2f}, {gap.high:.2f}]; of chi_model {model.mean:.2f}."
    )
    return RobustnessVerdict("split_halves", "split halves", text, "good" if agrees else "bad")


def _prediction(result: HeldOut) -> RobustnessVerdict:
    auc, base = result.auc, result.auc_baseline
    if not auc.splits:
        return RobustnessVerdict(
            "prediction", "prediction", "Failures could not be predicted: too few scored items of each kind.", "open"
        )
    better = auc.low > base.high
    claim = "do not predict failures better than the benchmark"
    if auc.mean > base.mean:
        claim = f"{'predict' if better else 'may predict'} failures better than the benchmark"
    text = (
        f"Concepts {claim}: AUC {auc.mean:.3f} [{auc.low:.3f}, {auc.high:.3f}] on unseen items, against "
        f"{base.mean:.3f} from the benchmark's mean alone."
    )
    return RobustnessVerdict(
        "prediction", "prediction", text, "good" if better else "bad" if auc.mean <= base.mean else "open"
    )


def agreement_verdict(result: Agreement) -> RobustnessVerdict:
    """Judge whether another run agrees."""
    if math.isnan(result.gap_correlation):
        text = f"Only {result.matched:,} concepts can be compared over {result.items:,} shared items: too few to judge."
        return RobustnessVerdict("against", f"against {result.against}", text, "open")
    agrees = result.gap_correlation >= AGREES
    kept = (
        "this run has no significant gap"
        if math.isnan(result.same_sign)
        else f"{result.same_sign:.0%} of the significant gaps keep their sign"
    )
    by = "by their number" if result.same_sae else "by their activation over the items"
    text = (
        f"The two runs {'agree' if agrees else 'hardly agree'}: over {result.matched:,} concepts matched {by} (of "
        f"{result.concepts:,} tested), gaps correlate at {result.gap_correlation:.2f}, {result.weak_in_both} of "
        f"{result.weak} weak concepts are weak in both, and {kept} ({result.items:,} shared items)."
    )
    return RobustnessVerdict("against", f"against {result.against}", text, "good" if agrees else "bad")
