"""What the tests mean, in a sentence each, with the number behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from competency_gaps.robustness.ablation import Ablation, Removal
from competency_gaps.robustness.agreement import Agreement
from competency_gaps.robustness.heldout import HeldOut, Interval
from competency_gaps.robustness.subsample import Subsampling

STABLE_LIST = 0.7
"""Jaccard from which a list counts as stable: of ten concepts about eight stay."""
BEYOND_CHANCE = 0.1
"""How much more of the list must stay than where there is nothing to find."""
FEWEST = 10
"""Splits in which there is something to carry over, at least, for a verdict on it."""
AGREES = 0.5
"""Correlation from which two halves or runs count as saying the same."""

Tone = Literal["good", "bad", "open"]
Code = Literal["subsampling", "ablation", "held_out_weak", "held_out_strong", "split_halves", "prediction", "against"]
HELD_OUT: dict[str, Code] = {"weak": "held_out_weak", "strong": "held_out_strong"}


@dataclass(frozen=True)
class Verdict:
    """One test's outcome."""

    code: Code
    """The test; whatever depends on which one it is goes by this."""
    test: str
    """Its title."""
    sentence: str
    """The outcome in plain language, with its number."""
    tone: Tone
    """``good``: it holds; ``bad``: it does not; ``open``: this run cannot tell."""


def subsampling_verdict(result: Subsampling) -> Verdict:
    """Judge the stability of the weak list."""
    moves = (
        f"chi_model moves by {result.chi_model_tested.mean:.3f} on average (standard deviation; tested concepts), "
        f"chi_bench by {result.chi_bench.mean:.3f}."
    )
    if not result.top:
        return Verdict("subsampling", "subsampling", f"Too few concepts are tested to speak of a list. {moves}", "open")
    stable = result.jaccard >= STABLE_LIST and result.jaccard >= result.jaccard_by_chance + BEYOND_CHANCE
    sentence = (
        f"The list of the {result.top} lowest gaps is {'stable' if stable else 'not stable'}: without "
        f"{result.dropped:.0%} of the items it keeps a Jaccard overlap of {result.jaccard:.2f}; with scores dealt out "
        f"anew, where there is nothing to find, {result.jaccard_by_chance:.2f}. {moves}"
    )
    return Verdict("subsampling", "subsampling", sentence, "good" if stable else "bad")


def ablation_verdict(result: Ablation) -> Verdict:
    """Judge whether the median follows the items."""
    if not result.best.concepts:
        return Verdict(
            "ablation", "adversarial ablation", "Too few concepts are tested to take the best and the worst.", "open"
        )
    falls = result.best.outside and result.best.change < 0
    rises = result.worst.outside and result.worst.change > 0
    claim = {
        (True, True): "chi_model rests on the items that it names",
        (True, False): "The best concepts rest on their items, the worst cannot be told from chance",
        (False, True): "The worst concepts rest on their items, the best cannot be told from chance",
        (False, False): "Removing the items most aligned with the best and worst concepts changes no more than chance",
    }[falls, rises]
    sentence = (
        f"{claim}: the median chi_model changes by {_removal(result.best)} without the {result.best.items} items of the "
        f"{result.best.concepts} best concepts, and by {_removal(result.worst)} without those of the worst."
    )
    return Verdict("ablation", "adversarial ablation", sentence, "good" if falls and rises else "open")


def _removal(removal: Removal) -> str:
    return f"{removal.change:+.4f} (random items {removal.random_low:+.4f} to {removal.random_high:+.4f})"


def held_out_verdicts(result: HeldOut) -> list[Verdict]:
    """Judge whether gaps carry over to unseen items, and whether concepts predict failure."""
    verdicts = []
    for word, effect, chance, number in (
        ("weak", result.weak, result.weak_random, result.weak_found),
        ("strong", result.strong, result.strong_random, result.strong_found),
    ):
        if effect.splits < FEWEST:
            text = (
                f"Too few {word} concepts are found on half of the items to say whether they carry over: any at all in "
                f"{effect.splits} of {number.splits} splits."
            )
            verdicts.append(Verdict(HELD_OUT[word], f"held-out items, {word}", text, "open"))
            continue
        holds = effect.high < 0 if word == "weak" else effect.low > 0
        fails = effect.mean >= 0 if word == "weak" else effect.mean <= 0
        claim = "carry over" if holds else "do not carry over" if fails else "seem to carry over, but not surely,"
        text = (
            f"The {word} concepts {claim} to unseen items: items that they dominate score {_signed(effect)} against the "
            f"rest, less their benchmarks' means; random concepts of the same support {_signed(chance)} "
            f"({number.mean:.0f} {word} concepts a half, {effect.splits} splits)."
        )
        verdicts.append(
            Verdict(HELD_OUT[word], f"held-out items, {word}", text, "good" if holds else "bad" if fails else "open")
        )
    verdicts.append(_halves(result))
    verdicts.append(_prediction(result))
    return verdicts


def _signed(interval: Interval) -> str:
    return "N/A" if not interval.splits else f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _halves(result: HeldOut) -> Verdict:
    gap, model = result.gap_correlation, result.chi_model_correlation
    if not gap.splits:
        return Verdict(
            "split_halves", "split halves", "Too few concepts are tested on both halves to compare them.", "open"
        )
    agrees = gap.mean >= AGREES
    text = (
        f"Two halves of the items {'agree' if agrees else 'hardly agree'} on the concepts' gaps: correlation "
        f"{gap.mean:.2f} [{gap.low:.2f}, {gap.high:.2f}]; of chi_model {model.mean:.2f}."
    )
    return Verdict("split_halves", "split halves", text, "good" if agrees else "bad")


def _prediction(result: HeldOut) -> Verdict:
    auc, base = result.auc, result.auc_baseline
    if not auc.splits:
        return Verdict(
            "prediction", "prediction", "Failures could not be predicted: too few scored items of each kind.", "open"
        )
    better = auc.low > base.high
    claim = "add nothing to the benchmark"
    if auc.mean > base.mean:
        claim = "tell more about failure than the benchmark does" if better else "may tell a little more, not surely"
    text = (
        f"Concepts {claim}: AUC {auc.mean:.3f} [{auc.low:.3f}, {auc.high:.3f}] on unseen items, against {base.mean:.3f} "
        f"from the benchmark's mean alone."
    )
    return Verdict("prediction", "prediction", text, "good" if better else "bad" if auc.mean <= base.mean else "open")


def agreement_verdict(result: Agreement) -> Verdict:
    """Judge whether another run says the same."""
    if math.isnan(result.gap_correlation):
        text = f"Only {result.matched:,} concepts can be compared over {result.items:,} shared items: too few to judge."
        return Verdict("against", f"against {result.against}", text, "open")
    agrees = result.gap_correlation >= AGREES
    kept = (
        "no gap is real here"
        if math.isnan(result.same_sign)
        else f"{result.same_sign:.0%} of the real gaps keep their sign"
    )
    by = "by their number" if result.same_sae else "by their activation over the items"
    text = (
        f"The two runs {'agree' if agrees else 'hardly agree'}: over {result.matched:,} concepts matched {by} (of "
        f"{result.concepts:,} tested), gaps correlate at {result.gap_correlation:.2f}, {result.weak_in_both} of "
        f"{result.weak} weak concepts are weak in both, and {kept} ({result.items:,} shared items)."
    )
    return Verdict("against", f"against {result.against}", text, "good" if agrees else "bad")
