"""Run all tests of robustness on a run, judge them, and keep the results in its folder."""

from __future__ import annotations

import json
import math
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from competency_gaps.checked import damaged, write_document
from competency_gaps.errors import UserError
from competency_gaps.files import finite
from competency_gaps.progress import Progress
from competency_gaps.robustness.data import run_data
from competency_gaps.robustness.heldout import (
    SPLITS,
    Agreement,
    HeldOut,
    OverSplits,
    agreement,
    check_installed,
    held_out,
)
from competency_gaps.robustness.removal import Ablation, Subsampling, ablate, subsample
from competency_gaps.runs.manifest import adding_to_run
from competency_gaps.runs.open import RunFolder

STABLE_LIST = 0.7
"""Least Jaccard index of a stable list: about eight of ten concepts stay."""
BEYOND_CHANCE = 0.1
"""Least excess of the Jaccard index over that with permuted outcomes."""
FEWEST = 10
"""Fewest splits with weak (strong) concepts for a verdict on them."""
AGREES = 0.5
"""Least correlation at which two halves or runs agree."""

Tone = Literal["good", "bad", "open"]

TITLES = {
    "subsampling": "subsampling",
    "ablation": "adversarial ablation",
    "held_out_weak": "held-out items, weak",
    "held_out_strong": "held-out items, strong",
    "split_halves": "split halves",
    "prediction": "prediction",
    "against": "against {against}",
}
_MOVES = (
    " chi_model moves by {chi_model:.3f} on average (standard deviation; tested concepts), chi_bench by "
    "{chi_bench:.3f}."
)
_OVERLAP = (
    "without {dropped:.0%} of the items its Jaccard overlap with the whole list is {jaccard:.2f}; with permuted scores "
    "it would be {jaccard_by_chance:.2f}." + _MOVES
)
_REMOVED = (
    ": the median chi_model changes by {best_change:+.4f} (random items {best_random_low:+.4f} to "
    "{best_random_high:+.4f}) without the {best_items} items of the {best_concepts} best concepts, and by "
    "{worst_change:+.4f} (random items {worst_random_low:+.4f} to {worst_random_high:+.4f}) without those of the worst."
)
_UNSEEN = (
    " on unseen items too: items that they dominate score {mean:+.3f} against the rest, net of their benchmarks' means "
    "({low:+.3f} to {high:+.3f} in 95% of the splits, which overlap); random concepts of the same support "
    "{random_mean:+.3f} ({random_low:+.3f} to {random_high:+.3f}) "
)
_HALVES = (
    " on the concepts' gaps: correlation {mean:.2f} ({low:.2f} to {high:.2f} in 95% of the splits, which overlap); of "
    "chi_model {chi_model_correlation:.2f}."
)
_AUC = (
    " failures better than {known} alone: AUC {mean:.3f} ({low:.3f} to {high:.3f} in 95% of the splits, which overlap) "
    "on unseen items, against {baseline:.3f}: a difference of {gain:+.3f} ({gain_low:+.3f} to {gain_high:+.3f})."
)
_SHARED = (
    ": over {matched:,} concepts matched {by} (of {concepts:,} tested), gaps correlate at {gap_correlation:.2f}, "
    "{weak_in_both} of {weak} weak concepts are weak in both, and {signs} ({items:,} shared items)."
)
SENTENCES = {
    "subsampling.few": "Too few concepts are tested to speak of a list." + _MOVES,
    "subsampling.stable": "The list of the {top} lowest gaps is stable: " + _OVERLAP,
    "subsampling.unstable": "The list of the {top} lowest gaps is not stable: " + _OVERLAP,
    "ablation.few": "Too few concepts are tested to take the best and the worst.",
    "ablation.both": "chi_model rests on the items that it names" + _REMOVED,
    "ablation.best": "The best concepts rest on their items, the worst ones no more than by chance" + _REMOVED,
    "ablation.worst": "The worst concepts rest on their items, the best ones no more than by chance" + _REMOVED,
    "ablation.neither": "Removing the items most aligned with the best and worst concepts changes no more than chance"
    + _REMOVED,
    "split_halves.few": "Too few concepts are tested on both halves to compare them.",
    "split_halves.agree": "Two halves of the items agree" + _HALVES,
    "split_halves.disagree": "Two halves of the items hardly agree" + _HALVES,
    "prediction.few": "Failures could not be predicted: too few scored items of each kind.",
    "prediction.better": "Concepts predict" + _AUC,
    "prediction.perhaps": "Concepts may predict" + _AUC,
    "prediction.no_better": "Concepts do not predict" + _AUC,
    "against.few": "Only {matched:,} concepts can be compared over {items:,} shared items: too few to judge.",
    "against.agree": "The two runs agree" + _SHARED,
    "against.disagree": "The two runs hardly agree" + _SHARED,
}
for _word in ("weak", "strong"):
    _end = _UNSEEN + f"({{concepts:.0f}} {_word} concepts per half, {{splits}} splits)."
    SENTENCES |= {
        f"held_out_{_word}.few": f"Too few {_word} concepts are found on half of the items to say whether they hold on "
        "the others: {splits} of {all_splits} splits have any.",
        f"held_out_{_word}.hold": f"The {_word} concepts are {_word}" + _end,
        f"held_out_{_word}.perhaps": f"The {_word} concepts are probably {_word}" + _end,
        f"held_out_{_word}.fail": f"The {_word} concepts are not {_word}" + _end,
    }
"""``CODE.OUTCOME`` -> the sentence, with the verdict's numbers by name."""
_PASSED = ("stable", "both", "hold", "agree", "better")
_FAILED = ("unstable", "fail", "disagree", "no_better")


@dataclass(frozen=True)
class RobustnessVerdict:
    """The verdict of one test."""

    code: str
    """The test; a key of ``TITLES``."""
    outcome: str
    """What came out; ``code.outcome`` is a key of ``SENTENCES``."""
    tone: Tone
    """``good``: passed; ``bad``: failed; ``open``: undecided."""
    numbers: Mapping[str, Any]
    """What the sentence quotes, by name; ``against`` is the other run's folder."""


class _Words(string.Formatter):
    """Writes N/A for what is undefined, and says that the other run is not named where its folder is withheld."""

    def get_value(self, key: int | str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        return kwargs.get(str(key), "another run" if key == "against" else None)

    def format_field(self, value: Any, format_spec: str) -> str:
        undefined = value is None or (isinstance(value, float) and math.isnan(value))
        return "N/A" if undefined else str(format(value, format_spec))


def with_sentence(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a stored verdict its test's title (``test``) and its ``sentence``."""
    words, numbers = _Words(), verdict["numbers"]
    by = "by their number" if numbers.get("same_sae") else "by their activation over the items"
    kept = numbers.get("same_sign")
    signs = (
        "this run has no significant gap"
        if kept is None or math.isnan(kept)
        else f"{kept:.0%} of the significant gaps keep their sign"
    )
    known = "the peers' scores" if numbers.get("from_peers") else "the benchmark's mean"
    template = SENTENCES[f"{verdict['code']}.{verdict['outcome']}"]
    return {
        **verdict,
        "test": words.vformat(TITLES[verdict["code"]], (), numbers),
        "sentence": words.vformat(template, (), {**numbers, "by": by, "signs": signs, "known": known}),
    }


def _verdict(code: str, outcome: str, numbers: Mapping[str, Any]) -> RobustnessVerdict:
    tone: Tone = "good" if outcome in _PASSED else "bad" if outcome in _FAILED else "open"
    return RobustnessVerdict(code, outcome, tone, numbers)


def subsampling_verdict(draws: Subsampling) -> RobustnessVerdict:
    """Judge the stability of the weak list."""
    numbers = {
        **{name: getattr(draws, name) for name in ("top", "dropped", "jaccard", "jaccard_by_chance")},
        "chi_model": draws.chi_model_tested.mean,
        "chi_bench": draws.chi_bench.mean,
    }
    stable = draws.jaccard >= STABLE_LIST and draws.jaccard >= draws.jaccard_by_chance + BEYOND_CHANCE
    return _verdict("subsampling", "few" if not draws.top else "stable" if stable else "unstable", numbers)


def ablation_verdict(removed: Ablation) -> RobustnessVerdict:
    """Judge whether the median chi_model depends on the items aligned with concepts."""
    if not removed.best.concepts:
        return _verdict("ablation", "few", {})
    falls = removed.best.outside and removed.best.change < 0
    rises = removed.worst.outside and removed.worst.change > 0
    outcome = {(True, True): "both", (True, False): "best", (False, True): "worst", (False, False): "neither"}
    numbers = {f"{side}_{name}": value for side, own in asdict(removed).items() for name, value in own.items()}
    return _verdict("ablation", outcome[falls, rises], numbers)


def held_out_verdicts(result: HeldOut, *, from_peers: bool = False) -> list[RobustnessVerdict]:
    """Judge whether gaps hold on unseen items, and whether concepts predict failures.

    ``from_peers``: whether the baseline of the prediction knows what peers make of the items.
    """
    return [
        _on_unseen("held_out_weak", -1, result.weak, result.weak_random, result.weak_found),
        _on_unseen("held_out_strong", 1, result.strong, result.strong_random, result.strong_found),
        _halves(result),
        _prediction(result, from_peers=from_peers),
    ]


def _on_unseen(code: str, sign: int, effect: OverSplits, random: OverSplits, number: OverSplits) -> RobustnessVerdict:
    """Judge the weak (sign -1) or strong (1) concepts."""
    random_numbers = {"random_mean": random.mean, "random_low": random.low, "random_high": random.high}
    numbers = {**asdict(effect), **random_numbers, "concepts": number.mean, "all_splits": number.splits}
    holds = min(sign * effect.low, sign * effect.high) > 0
    outcome = "hold" if holds else "fail" if sign * effect.mean <= 0 else "perhaps"
    return _verdict(code, "few" if effect.splits < FEWEST else outcome, numbers)


def _halves(result: HeldOut) -> RobustnessVerdict:
    gap = result.gap_correlation
    numbers = {**asdict(gap), "chi_model_correlation": result.chi_model_correlation.mean}
    return _verdict("split_halves", _agreement(gap.mean), numbers)


def _prediction(result: HeldOut, *, from_peers: bool) -> RobustnessVerdict:
    gain = result.auc_gain
    outcome = "better" if gain.low > 0 else "no_better" if gain.mean <= 0 else "perhaps"
    gains = {"gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high}
    numbers = {**asdict(result.auc), "baseline": result.auc_baseline.mean, **gains, "from_peers": from_peers}
    return _verdict("prediction", outcome if gain.splits else "few", numbers)


def agreement_verdict(result: Agreement) -> RobustnessVerdict:
    """Judge whether another run agrees."""
    names = ("against", "same_sae", "matched", "concepts", "items", "gap_correlation", "weak", "weak_in_both")
    numbers = {name: getattr(result, name) for name in (*names, "same_sign")}
    return _verdict("against", _agreement(result.gap_correlation), numbers)


def _agreement(correlation: float) -> str:
    return "few" if math.isnan(correlation) else "agree" if correlation >= AGREES else "disagree"


FILE = "robustness.json"
_AGAIN = "Run 'cgaps check' again, or remove the file."


def assess(run: RunFolder, progress: Progress, *, against: RunFolder | None = None, seed: int = 0) -> dict[str, Any]:
    """Run every test and write the results into the run folder.

    Returns
    -------
    dict
        ``verdicts`` (as :func:`read_assessment` gives them), and the figures of each test.

    Raises
    ------
    UserError
        If the run has no scored item or no tested concept, or shares no item with ``against``.
    MissingExtraError
        If scikit-learn is missing.
    """
    check_installed()
    with progress.stage("reading the run"):
        data = run_data(run)
    if not data.tested.any():
        raise UserError(
            f"{str(run.path)!r} has no tested concept (n_eff of at least {data.config.min_n_eff:g} and scores that "
            f"vary), so there is nothing whose robustness could be tested."
        )
    both = None
    if against is not None:  # first: it refuses runs of other items before the minutes of the rest
        with progress.stage("comparing with the other run"):
            both = agreement(run, against, data, run_data(against))
    verdicts: list[RobustnessVerdict] = []
    with progress.stage("subsampling"):
        draws = subsample(data, seed=seed)
    verdicts.append(subsampling_verdict(draws))
    with progress.stage("removing items"):
        removed = ablate(data, seed=seed)
    verdicts.append(ablation_verdict(removed))
    with progress.stage("testing on held-out items", total=SPLITS, unit="splits") as bar:
        unseen = held_out(data, seed=seed, advance=bar.advance)
    verdicts += held_out_verdicts(unseen, from_peers=data.expected is not None)
    figures: dict[str, Any] = {"subsampling": asdict(draws), "ablation": asdict(removed), "held_out": asdict(unseen)}
    if both is not None:
        verdicts.append(agreement_verdict(both))
        figures["against"] = asdict(both)
    content = finite({"seed": seed, "verdicts": [asdict(verdict) for verdict in verdicts], **figures})
    with adding_to_run(run.path, run.manifest):
        write_document(run.path / FILE, content)
    return _with_sentences(content)


class Documents(Protocol):
    """A run, as far as its manifest and what commands added to its folder are read."""

    @property
    def path(self) -> Path:
        """Folder of the run."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Settings and counts of the run."""

    def document(self, file: Path) -> bytes:
        """Read a document of the run folder."""


def read_assessment(run: Documents) -> dict[str, Any] | None:
    """Read the results of :func:`assess`; None if it was not run.

    ``verdicts`` have the fields of :class:`~competency_gaps.robustness.assess.RobustnessVerdict`, and ``test`` (its
    title) and ``sentence``.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    path = run.path / FILE
    if not path.is_file():
        return None
    try:
        return _with_sentences(json.loads(run.document(path)))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise damaged(path, error, _AGAIN) from error


def _with_sentences(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "verdicts": [with_sentence(verdict) for verdict in content["verdicts"]]}
