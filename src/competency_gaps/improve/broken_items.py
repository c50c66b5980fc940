"""Items whose key, text or parsing is probably wrong, by what many models answered [ours].

One score holds all signs: the log odds that an item is broken rather than sound, given its scores. A sound item is
solved with a chance that rises with the model's ability, ``sigmoid(a (theta - b))`` (Birnbaum, in Lord and Novick,
Statistical Theories of Mental Test Scores, 1968, chapter 17), where its difficulty ``b`` is about what the items of its
slices have. A broken item is solved by luck, whatever the ability, or by weak models rather than strong ones. So an
item that nobody solves looks broken if similar ones are easy, one that weak models solve and strong ones miss looks
broken (a negative discrimination, shrunk by the likelihood itself), and one that only strong models solve does not.
Now and then a sound item is solved whatever the ability, so that an item that some models solve never looks as broken
as one that nobody solves, however many there are. Models that agree on one other answer add to the odds, and so does
another key of the same question.

The weights were set on items with swapped keys and on items that readers had judged, ``validation/broken_items.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.sparse.linalg import lsqr
from scipy.special import betaln, expit, logsumexp

from competency_gaps.concepts.document import read_columns
from competency_gaps.findings.model_scores import item_models
from competency_gaps.runs.covariates import repeats
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.schemas import Schema
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices.store import stored_families
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import plural

MIN_MODELS = 6
"""Minimum number of models with a score of an item for it to be judged: with fewer, less than six of the ten highest
ranked items were faulty where faults had been planted, and whether strong models miss what weak ones solve hardly
shows."""
MIN_SCORE_DIFFERENCE = 0.2
"""Minimum difference between two mean scores for a reason to mention it."""
_PRIOR_LOG_ODDS = np.log(0.01 / 0.99)
"""Prior log odds that an item is broken: low, because models of one family err alike, so scores say less than they
seem to, and no stated chance may be too high."""

_B, _A = (axis.ravel() for axis in np.meshgrid(np.linspace(-7, 7, 29), [0.6, 1.0, 1.7]))
"""Difficulties and slopes of sound items, in logits."""
_PRIOR_A = np.log(np.where(_A == 1, 0.5, 0.25))
_OPEN_QUESTION_BETA = 0.2, 15.0
"""Beta distribution of the chance with which models solve an item without options whose key is wrong: nearly never."""
_REVERSED_SHARE = 0.05
"""Share of broken items that weak models solve rather than strong ones: the key is a common error."""
_ODD_SHARE = 0.02
"""Share of sound items that are solved with any chance, whatever the ability: a trap, say."""
_MIN_SPREAD = 0.6
"""Minimum spread of difficulties within slices, in logits."""
_SCHEMA: Schema = {
    **dict.fromkeys(("benchmark", "item_id"), pl.String),
    **dict.fromkeys(("chance", "log_odds"), pl.Float64),
    "models": pl.Int64,
    **dict.fromkeys(("solved", "expected", "strong", "weak"), pl.Float64),
    **dict.fromkeys(("wrong", "alike"), pl.Int64),
    **dict.fromkeys(("other_key", "reason", "text"), pl.String),
}
_EM_ITERATIONS = 16
_RIDGE, _FOLDS = 100.0, 5


class Odds(NamedTuple):
    """Log odds that each item of one benchmark is broken, with the fitted model behind them. N items, M models."""

    log_odds: np.ndarray
    """float64 of shape (N,): log odds of broken against sound; the prior's where no model is scored."""
    expected: np.ndarray
    """float64 of shape (N,), in [0, 1]: the models' expected mean score on a sound item in the same slices."""
    ability: np.ndarray
    """float64 of shape (M,): ability of each model, in logits."""


def odds(scores: np.ndarray, options: np.ndarray | int = 0, slices: sp.csr_array | None = None) -> Odds:
    """Return the log odds that each item is broken, fitted with the models' abilities by expectation-maximisation.

    Parameters
    ----------
    scores : ndarray of float64 of shape (M, N)
        In [0, 1]; NaN = unscored.
    options : ndarray of int64 of shape (N,), or int
        Number of options; 0: an open question.
    slices : csr_array of shape (N, K) or None
        Weights of the items in slices, in [0, 1], from which difficulty is predicted; None: all items are alike.
    """
    known = ~np.isnan(scores)
    right = np.where(known, scores, 0.0)
    wrong = known - right
    level = right.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    ability = np.log((level + 0.01) / (1.01 - level))
    luck, odd = _lucky(right, wrong, options), _counted(right.sum(axis=0), wrong.sum(axis=0), 1, 1)
    centre, spread = np.zeros(scores.shape[1]), 1.5
    for turn in range(_EM_ITERATIONS):
        chance = np.clip(expit(_A * (ability[:, None] - _B)), 1e-4, 1 - 1e-4)
        prior = -0.5 * ((_B - centre[:, None]) / spread) ** 2 + _PRIOR_A
        prior -= logsumexp(prior, axis=1, keepdims=True)
        solves, misses = np.log(chance), np.log1p(-chance)
        joint = right.T @ solves + wrong.T @ misses + prior
        ruled = logsumexp(joint, axis=1)
        sound = np.logaddexp(np.log(1 - _ODD_SHARE) + ruled, np.log(_ODD_SHARE) + odd)
        turned = logsumexp(right.T @ misses + wrong.T @ solves + _PRIOR_A, axis=1) - np.log(len(_B) / 3)
        log_odds = (
            np.logaddexp(np.log(1 - _REVERSED_SHARE) + luck, np.log(_REVERSED_SHARE) + turned) - sound + _PRIOR_LOG_ODDS
        )
        posterior, trust = np.exp(joint - ruled[:, None]), expit(-log_odds)
        mean = posterior @ _B
        variance = posterior @ _B**2 - mean**2
        # Slices are used once abilities have about converged.
        if slices is None or turn < _EM_ITERATIONS // 3:
            centre = np.full(len(mean), np.average(mean, weights=trust))
        elif turn % 4 == 0:
            centre = _expected_difficulty(slices, mean, trust)
        spread = max(_MIN_SPREAD, float(np.sqrt(np.average((mean - centre) ** 2 + variance, weights=trust))))
        weight = posterior * trust[:, None]
        solved, missed = right @ weight, wrong @ weight
        slope = (_A * (solved * (1 - chance) - missed * chance)).sum(axis=1)
        bend = (_A**2 * (solved + missed) * chance * (1 - chance)).sum(axis=1)
        ability = ability + np.clip(slope / (bend + 1e-6), -0.5, 0.5)
    return Odds(log_odds, np.exp(prior) @ chance.mean(axis=0), ability)


def _lucky(right: np.ndarray, wrong: np.ndarray, options: np.ndarray | int) -> np.ndarray:
    """Return the log likelihood of each item's scores if it is solved by luck only (beta-binomial): shape (N,).

    A model that errs hits a wrong key among k options with a chance of 1 in k - 1.
    """
    hit = (wrong.sum() / max(right.sum() + wrong.sum(), 1)) / np.maximum(options - 1, 1)
    shape = (
        np.where(options > 1, 1.0, _OPEN_QUESTION_BETA[0]),
        np.where(options > 1, 1 / np.maximum(hit, 0.01) - 1, _OPEN_QUESTION_BETA[1]),
    )
    return _counted(right.sum(axis=0), wrong.sum(axis=0), *shape)


def _counted(yes: np.ndarray, no: np.ndarray, first: np.ndarray | float, second: np.ndarray | float) -> np.ndarray:
    """Return the log likelihood of outcomes whose chance has a beta distribution."""
    return np.asarray(betaln(yes + first, no + second) - betaln(first, second))


def _expected_difficulty(slices: sp.csr_array, difficulty: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return each item's difficulty as predicted from others in its slices, by ridge regression over folds: shape
    (N,).
    """
    fold = np.random.default_rng(0).integers(0, _FOLDS, len(difficulty))
    centre = np.empty(len(difficulty))
    for number in range(_FOLDS):
        train = fold != number
        root, middle = np.sqrt(weight[train]), np.average(difficulty[train], weights=weight[train])
        design = sp.diags_array(root) @ slices[train]
        fitted = lsqr(design, root * (difficulty[train] - middle), damp=np.sqrt(_RIDGE), iter_lim=200)[0]
        centre[~train] = middle + slices[~train] @ fitted
    return centre


def agreement(wrong: np.ndarray, alike: np.ndarray, right: np.ndarray, models: np.ndarray) -> np.ndarray:
    """Return the log odds, broken against sound, of ``alike`` of ``wrong`` models giving the same answer; 0 if unknown.

    Under a wrong key, models agree on the right answer as often as they solve other items; on a sound item, as often as
    wrong models do. Both rates vary between items by beta distributions, so a common mistake proves little.

    Parameters
    ----------
    wrong, alike : ndarray of int64 of shape (N,)
        From :func:`~competency_gaps.findings.model_scores.item_models`.
    right : ndarray of float64 of shape (N,)
        Sums of the models' scores.
    models : ndarray of int64 of shape (N,)
        Number of models that are scored.
    """
    others, same = np.maximum(wrong - 1, 0), np.maximum(alike - 1, 0)
    usual, solved = _beta(same, others), _beta(right, models)
    if usual is None or solved is None:
        return np.zeros(len(wrong))
    return _counted(same, others - same, *solved) - _counted(same, others - same, *usual)


def _beta(yes: np.ndarray, of: np.ndarray) -> tuple[float, float] | None:
    """Return the beta distribution of chances, fitted to the moments of beta-binomial counts; None with too few
    counts.
    """
    pairs = float((of * (of - 1.0)).clip(0).sum())
    if pairs == 0:
        return None
    mean = float(np.clip(yes.sum() / of.sum(), 0.01, 0.99))
    spread = float((yes * (yes - 1.0)).clip(0).sum()) / pairs - mean**2
    size = 1 / np.clip(spread / (mean * (1 - mean)), 0.01, 0.9) - 1
    return mean * size, (1 - mean) * size


def read_broken_items(path: Path) -> pl.DataFrame:
    """Return the table of :func:`broken_items` from a Parquet file; raises UserError if it is damaged."""
    unknown = ("chance", "solved", "strong", "weak", "other_key")
    return read_columns(path, _SCHEMA, "Make it again.", unknown)


def broken_items(run: RunFolder, *, progress: Progress | None = None) -> pl.DataFrame:
    """Return a run's items, ranked by the chance that they are broken; see :meth:`competency_gaps.Run.broken_items`."""
    progress = progress or Progress(quiet=True)
    base = run.run_itself()
    scores, items = model_scores(base), base.items
    counted = (~np.isnan(scores.values)).sum(axis=0)
    most = int(counted.max(initial=0))
    if most < MIN_MODELS:
        if not most:
            raise UserError("no item has a score: add scores first.")
        raise UserError(
            f"the scores of {plural(most, 'model')} cannot tell which items are broken: an item that so few miss "
            f"may just be hard. It takes {MIN_MODELS} models: add scores of others."
        )
    facts, slices = item_models(base).with_columns(other_key=_other_keys(items)), shared_slices(base)
    tables, benchmark = [], items["benchmark"].to_numpy()
    with progress.stage("looking for broken items"):
        for name in items["benchmark"].unique(maintain_order=True):
            rows = np.flatnonzero(benchmark == name)
            tables.append(_of_benchmark(items[rows], facts[rows], scores.values[:, rows], slices[rows]))
    return pl.concat(tables).sort("chance", descending=True, nulls_last=True)


def _of_benchmark(items: pl.DataFrame, facts: pl.DataFrame, values: np.ndarray, slices: sp.csr_array) -> pl.DataFrame:
    """Return the table of one benchmark's items."""
    scored = ~np.isnan(values).all(axis=1)
    values = values[scored] if scored.any() else values[:1]
    options = items["choices"].list.len().fill_null(0).to_numpy().astype(np.int64)
    weighed = odds(values, options, slices)
    wrong, alike = facts["wrong"].to_numpy(), facts["alike"].to_numpy()
    models, mean = facts["models"].to_numpy(), facts["mean"].fill_null(0.0).to_numpy()
    log_odds = weighed.log_odds + agreement(wrong, alike, models * mean, models)
    # Of two keys of one question one is wrong. A repeat in another benchmark may have the name of an item of this one.
    rivals, ids = (items["cluster"].cast(pl.String) + " " + name for name in (facts["other_key"], items["item_id"]))
    rival = rivals.replace_strict(ids, log_odds, default=_PRIOR_LOG_ODDS)
    log_odds -= np.where(facts["other_key"].is_null(), 0.0, rival)
    order, third = np.argsort(-weighed.ability, kind="stable"), max(1, len(values) // 3)
    table = pl.DataFrame(
        {
            "benchmark": items["benchmark"],
            "item_id": items["item_id"],
            "chance": pl.Series(np.where(models >= MIN_MODELS, expit(log_odds), np.nan)).fill_nan(None),
            "log_odds": log_odds,
            "models": facts["models"],
            "solved": facts["mean"],
            "expected": weighed.expected,
            **{"strong": _mean(values[order[:third]]), "weak": _mean(values[order[-third:]])},
            **{"wrong": wrong, "alike": alike, "other_key": facts["other_key"], "text": items["prompt"]},
        }
    )
    reasons = [_reason(ids) for ids in table.iter_rows(named=True)]
    return table.with_columns(reason=pl.Series(reasons, dtype=pl.String)).select(*_SCHEMA)


def _mean(values: np.ndarray) -> pl.Series:
    """Return the mean score of each item; null where no score is known."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0)
    return pl.Series(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)).fill_nan(None)


def _reason(item: Mapping[str, Any]) -> str:
    """Return in words why an item looks broken, the clearest reason first."""
    models, parts = item["models"], []
    if item["chance"] is None:
        return f"scores of {plural(models, 'model')}: too few to judge"
    if item["other_key"] is not None:
        parts.append(f"its key differs from that of its repeat {item['other_key']}")
    total = models * item["solved"]
    missed = models - round(total)
    if total == 0:
        parts.append(f"no model of {models} solves it")
    elif (
        item["weak"] is not None and item["strong"] is not None and item["weak"] - item["strong"] > MIN_SCORE_DIFFERENCE
    ):
        strong, weak = (100 * item[name] for name in ("strong", "weak"))
        parts.append(f"the strongest models score {strong:.0f}% on it, the weakest {weak:.0f}%")
    elif abs(total - round(total)) > 1e-9:  # not of right and wrong alone
        parts.append(f"{models} models score {100 * item['solved']:.0f}% on it")
    else:
        parts.append(f"{missed} of {models} models miss it")
    if item["alike"] > max(1, item["wrong"] / 2):
        parts.append(f"{item['alike']} of {item['wrong']} wrong answers are the same")
    if item["expected"] - item["solved"] > MIN_SCORE_DIFFERENCE:
        parts.append(f"but similar items score {100 * item['expected']:.0f}%")
    return ", ".join(parts)


def shared_slices(run: RunFolder) -> sp.csr_array:
    """Return each item's weights in slices, and its length: csr_array of float64 of shape (items, slices + 2)."""
    length = np.log1p(run.items["n_span_tokens"].fill_null(0).to_numpy().astype(float))
    length = (length - length.mean()) / max(float(length.std()), 1e-9)
    families = [family.weights.T for family in stored_families(run)]
    return sp.csr_array(sp.hstack([*families, sp.csr_array(np.stack([length, length**2], axis=1))]))


def _other_keys(items: pl.DataFrame) -> pl.Series:
    """Return, for each item, the id of an item that asks the same but has another key; null if there is none."""
    bare = pl.col("answer").str.to_lowercase().str.replace_all(r"[\s$€£%,]|\.0+$", "")
    first = [pl.col(name).first().over("cluster").alias(f"first_{name}") for name in ("key", "item_id")]
    asked = items.select("cluster", "item_id", key=bare).with_row_index("row").filter(pl.Series(repeats(items)))
    asked = asked.drop_nulls("key").with_columns(first)
    differs = pl.col("key") != pl.col("first_key")
    second = asked.filter(differs).group_by("cluster").agg(second=pl.col("item_id").first())
    asked = asked.join(second, on="cluster", how="left")
    other = asked.select("row", pl.when(differs).then("first_item_id").otherwise("second"))
    key_of = dict(other.iter_rows())
    return pl.Series([key_of.get(row) for row in range(items.height)], dtype=pl.String)
