"""Make findings from a finished run's tables: groups, pooled evidence, descriptions, halves, examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import Evidence, ItemSample, Units, units_of
from competency_gaps.findings.describe import Description, describe, scopes_of, shortlist
from competency_gaps.findings.examples import Pool, fold, own_part, side_by_side, template_of
from competency_gaps.findings.features import Attributes, Candidates, attributes_of, candidates, has_feature
from competency_gaps.findings.groups import (
    Group,
    Unseen,
    group_weights,
    groups_of,
    pooled_evidence,
    split_halves,
    unseen_gaps,
)
from competency_gaps.findings.words import FILE, MOST_ITEMS, empty_table, table_of, with_words
from competency_gaps.runs.covariates import repeats
from competency_gaps.runs.manifest import write_table
from competency_gaps.runs.sample import run_sample

if TYPE_CHECKING:
    from competency_gaps.runs.open import RunFolder

EXAMPLE_LIMIT = 100
"""Characters of a finding's example."""


@dataclass(frozen=True)
class _Data:
    """The data that all findings of a run are made from. N items, K units, G groups."""

    items: pl.DataFrame
    concepts: pl.DataFrame
    kind: str
    """Kind of the outcome: ``score``, ``peers`` or ``difference``."""
    sample: ItemSample
    units: Units
    groups: list[Group]
    weights: sp.csr_array
    """float64 of shape (G, N)."""
    unit_weights: np.ndarray
    """float64 of shape (G, K): mean over each unit's items."""
    attributes: dict[int, Attributes]
    """Attributes of the items that take part, by row of ``items``."""
    templates: dict[str, list[str]] = field(default_factory=dict)
    """By benchmark, what its prompts share; filled when an example first needs it."""
    having: dict[tuple[str, tuple[int, ...]], np.ndarray] = field(default_factory=dict)
    """By feature and scope (numbers ascending), which of the scope's items have it; filled when first asked for."""


def findings_of(run: RunFolder) -> pl.DataFrame:
    """Make the findings of a run.

    Parameters
    ----------
    run
        A run with all of its tables; labels and themes are not needed.

    Returns
    -------
    DataFrame
        As ``Run.findings``: the columns of :data:`~competency_gaps.runs.schemas.FINDINGS`. Without a row where no group
        of weak or strong concepts is a finding (:func:`~competency_gaps.findings.groups.groups_of`).
    """
    config = EvidenceConfig.model_validate(run.manifest["settings"]["evidence"])
    groups = groups_of(run.concepts, config.q)
    if not groups:
        return empty_table()
    data = _data(run, groups, config)
    tested = run.concepts["q_value"].is_not_null().to_numpy()
    halves = split_halves(data.units, int(tested.sum()), config.seed)
    pooled = pooled_evidence(data.sample, data.weights, config)
    unseen = unseen_gaps(data.sample, data.weights, groups, halves, config, tested)
    value = np.nan_to_num(np.abs(pooled.gap) * pooled.n_eff)
    described = _descriptions(data, halves, np.argsort(-value, kind="stable").tolist())
    rows = []
    for i, group in enumerate(groups):
        rows.append(
            {
                "verdict": group.verdict,
                "leader": group.leader,
                "label": data.concepts["label"][group.leader],
                "concepts": list(group.concepts),
                **_figures(pooled, i),
                **_own_items(data, i),
                **_described(data, described[i]),
                **_examples(data, i, described[i]),
                **_unseen(unseen[i], group, len(halves)),
            }
        )
    return table_of(rows)


def write_findings(run: RunFolder) -> None:
    """Make the findings of a run, and write ``findings.parquet`` into its folder."""
    write_table(run.path, FILE, findings_of(run).write_parquet, run.manifest)


def relabelled(run: RunFolder, labels: pl.Series) -> pl.DataFrame | None:
    """The findings that lie in a run's folder, with new labels of its concepts; None: there are none."""
    if not run.files.has("findings"):
        return None
    table = run.files.collect("findings", run.scan("findings"))
    return with_words(table.with_columns(label=labels.gather(table["leader"])))


def _data(run: RunFolder, groups: list[Group], config: EvidenceConfig) -> _Data:
    sample = run_sample(run, config.strata)
    units = units_of(sample)
    weights = group_weights(sample, [group.concepts for group in groups])
    kept = np.flatnonzero(units.unit >= 0)
    size = np.bincount(units.unit[kept], minlength=len(units.outcome))
    unit_weights = units.rows(weights, whole=True).toarray() / size
    attributes = dict(zip(kept.tolist(), attributes_of(run.items[kept]), strict=True))
    return _Data(run.items, run.concepts, run.kind, sample, units, groups, weights, unit_weights, attributes)


def _descriptions(data: _Data, halves: Sequence[np.ndarray], order: Sequence[int]) -> list[Description | None]:
    """The feature that describes each group's items, or None; groups earlier in ``order`` choose first."""
    kept: dict[tuple[int, ...], Candidates] = {}
    lists = []
    for i, weights in enumerate(data.unit_weights):
        scopes = scopes_of(weights, data.units.benchmark)
        for scope in scopes:
            # Scopes are in the order of this finding's weight; their candidates do not depend on it.
            if _unordered(scope) not in kept:
                kept[_unordered(scope)] = _candidates(data, scope)
        features = {scope: kept[_unordered(scope)] for scope in scopes}
        lists.append(shortlist(weights, data.units.benchmark, features, partial(_covered, data, i)))
    weak = [group.verdict == "weak" for group in data.groups]
    return describe(lists, weak, data.units.outcome, data.units.benchmark, data.units.block, halves, order)


def _covered(data: _Data, i: int, code: str, scope: tuple[int, ...]) -> float:
    """Part of a group's weight that its items with a feature carry within a scope; a cluster weighs as one item."""
    rows, units, has = _having(data, code, scope)
    size = np.bincount(data.units.unit[data.units.unit >= 0])
    own = data.weights[[i]].toarray()[0][rows] / size[units]
    return float(own[has].sum() / data.unit_weights[i].sum())


def _having(data: _Data, code: str, scope: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the items of a scope, their units, and whether each has a feature."""
    rows, units = _of_scope(data, scope)
    key = (code, _unordered(scope))
    if key not in data.having:
        data.having[key] = has_feature(code, [data.attributes[row] for row in rows.tolist()])
    return rows, units, data.having[key]


def _unordered(scope: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(scope))


def _candidates(data: _Data, scope: tuple[int, ...]) -> Candidates:
    rows, units = _of_scope(data, scope)
    _, place = np.unique(units, return_inverse=True)
    return candidates([data.attributes[row] for row in rows.tolist()], place, int(place.max(initial=-1)) + 1)


def _of_scope(data: _Data, scope: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the items whose units lie in some benchmarks, and these units."""
    unit = data.units.unit
    rows = np.flatnonzero((unit >= 0) & np.isin(data.units.benchmark, scope)[unit])
    return rows, unit[rows]


def _figures(pooled: Evidence, i: int) -> dict[str, float | None]:
    names = ("n_eff", "plain_gap", "gap", "gap_low", "gap_high", "p_value", "q_value", "detectable")
    values = {name: float(getattr(pooled, name)[i]) for name in names}
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def _own_items(data: _Data, i: int) -> dict[str, Any]:
    """Items, weights, scores and benchmarks of a group."""
    weights = data.weights[[i]].toarray()[0]
    rows = np.flatnonzero((weights > 0) & (data.units.unit >= 0))
    order = rows[np.argsort(-weights[rows], kind="stable")]
    own = data.unit_weights[i]
    scores = data.sample.scores[rows]
    names = data.items["benchmark"][rows].to_numpy()
    shares = {str(name): float(weights[rows[names == name]].sum()) for name in dict.fromkeys(names.tolist())}
    whole = sum(shares.values())
    return {
        "items": len(rows),
        "clusters": len(np.unique(data.units.unit[rows])),
        "item_rows": order[:MOST_ITEMS].tolist(),
        "weights": weights[order[:MOST_ITEMS]].tolist(),
        "unit": data.kind if data.kind != "score" or not np.isin(scores, (0.0, 1.0)).all() else "right",
        "mean_score": data.sample.natural(float(own @ data.units.outcome / own.sum())),
        "benchmarks": [
            {"benchmark": name, "items": int((names == name).sum()), "share": share / whole}
            for name, share in sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))
        ],
    }


def _described(data: _Data, description: Description | None) -> dict[str, Any]:
    """A description with its figures, which are over all items: the choice was on halves, and held on the others.

    A cluster counts once, with the mean score of its items; one that holds items with and without the feature counts
    on both sides. ``counted`` says what a cluster is here.
    """
    if description is None:
        return {}
    candidate = description.candidate
    rows, units, has = _having(data, candidate.code, candidate.scope)
    scores = data.sample.scores[rows]
    sides = []
    for side in (has, ~has):
        _, place = np.unique(units[side], return_inverse=True)
        means = np.bincount(place, scores[side]) / np.bincount(place)
        sides.append((len(means), data.sample.natural(float(means.mean()))))
    names = data.items["benchmark"].unique(maintain_order=True)
    alone = len(np.unique(units)) == len(rows)
    return {
        "feature": candidate.code,
        "counted": "items" if alone else "texts" if _all_texts(data.items[rows]) else "clusters",
        "feature_benchmarks": [names[number] for number in candidate.scope],
        "feature_items": sides[0][0],
        "feature_score": sides[0][1],
        "other_items": sides[1][0],
        "other_score": sides[1][1],
        "feature_p": description.p_value,
    }


def _all_texts(items: pl.DataFrame) -> bool:
    """Whether every cluster is one text, asked once or several times."""
    return bool((items["cluster_kind"].is_null() | pl.Series(repeats(items))).all())


def _examples(data: _Data, i: int, description: Description | None) -> dict[str, Any]:
    """Failing and passing items, and the differing part of the first of the finding's own."""
    weights = np.where(data.units.unit >= 0, data.weights[[i]].toarray()[0], 0.0)
    has = None
    if description is not None:
        rows, _, own = _having(data, description.candidate.code, description.candidate.scope)
        has = np.zeros(len(weights), bool)
        has[rows] = own
    cluster = data.items["cluster"].to_numpy()
    length = np.maximum(1, data.items["n_span_tokens"].fill_null(1).to_numpy())
    pool = Pool(data.sample.scores, data.sample.benchmark, cluster, length)
    weak = data.groups[i].verdict == "weak"
    failing, passing = side_by_side(pool, weights, has, weak=weak)
    first = failing if weak else passing
    return {"failing": failing, "passing": passing, "example": _differs(data, first[0]) if first else None}


def _differs(data: _Data, row: int) -> str:
    """The differing part of an item's prompt, shortened."""
    benchmark = data.items["benchmark"][row]
    if benchmark not in data.templates:
        same = data.items.filter(pl.col("benchmark") == benchmark)["prompt"].to_list()
        data.templates[benchmark] = template_of(same)
    text = own_part(fold(data.items["prompt"][row], data.templates[benchmark]))
    return text if len(text) <= EXAMPLE_LIMIT else text[:EXAMPLE_LIMIT].rstrip() + "…"


def _unseen(unseen: Unseen, group: Group, splits: int) -> dict[str, Any]:
    return {
        "unseen_gap": unseen.gap,
        "unseen_low": unseen.low,
        "unseen_high": unseen.high,
        "unseen_splits": unseen.splits,
        "splits": splits,
        "holds": unseen.holds(splits, weak=group.verdict == "weak"),
    }
