"""What an attack tool's items say: pass rates per probe family, probe and tag, and the concepts that are weak there.

A score of 1 is safe, so that a weak concept is one under which the model holds less often than its family's attacks do
on average.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import suite_evidence
from competency_gaps.files import write_atomic, write_json
from competency_gaps.metrics.performance import chi_model
from competency_gaps.metrics.sums import Sums
from competency_gaps.probes.rates import rate
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.settings import evidence_config

RATES, CONCEPTS = "vulnerabilities", "vulnerability_concepts"
LISTED = 10
"""Concepts without a verdict that are listed for each tag, by gap."""
LEAST = 3.0
"""Effective items below which a concept is not listed at all."""

_RATES = {
    "level": pl.String,
    "name": pl.String,
    "attempts": pl.Int64,
    "unscored": pl.Int64,
    "pass_rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "weak_concepts": pl.Int64,
}
_CONCEPTS = {
    "level": pl.String,
    "name": pl.String,
    "concept": pl.Int32,
    "label": pl.String,
    "chi_model": pl.Float64,
    "gap": pl.Float64,
    "gap_low": pl.Float64,
    "gap_high": pl.Float64,
    "n_eff": pl.Float64,
    "p_value": pl.Float64,
    "q_value": pl.Float64,
    "status": pl.String,
    "leader": pl.Int32,
}


def vulnerabilities(run: RunFolder) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rates and weak concepts of a run over an attack tool's items.

    Returns
    -------
    rates : polars.DataFrame
        level (family, probe, tag), name, attempts, unscored, pass_rate (mean score of the scored attempts, null: none),
        low and high (its 95% interval, :func:`~competency_gaps.probes.rates.rate`), weak_concepts (concepts that are
        weak among these items).
    concepts : polars.DataFrame
        Per family and tag its weak concepts, and the ``LISTED`` others of the lowest gap: chi_model restricted to its
        scored items, gap (against the families' averages among them), its interval, n_eff, p_value and q_value (over
        the concepts of this row's name), status, leader (whom a weak concept shares its items with).
    """
    items = run.items
    scores = items.select(pl.when(pl.col("excluded").is_null()).then(pl.col("score")))["score"]
    values = scores.fill_null(float("nan")).to_numpy()
    cas = sp.vstack([run.cas(name) for name in items["benchmark"].unique(maintain_order=True)], format="csr")
    read = items["excluded"].is_null().to_numpy()
    level = evidence_config(run)
    eligible = run.concepts["ranked"].to_numpy()
    rates: list[dict[str, Any]] = []
    concepts: list[dict[str, Any]] = []
    for kind, name, rows in _groups(items):
        passed = rate(items["score"].fill_null(float("nan")).to_numpy()[rows], level.level)
        row = {"level": kind, "name": name, "attempts": len(rows), "unscored": passed.unscored}
        row |= {"pass_rate": passed.value, "low": passed.low, "high": passed.high, "weak_concepts": None}
        kept = rows[read[rows]]
        if kind != "probe" and not np.isnan(values[kept]).all():
            listed = _concepts(cas[kept], values[kept], items["benchmark"].to_numpy()[kept], level, eligible, run)
            row["weak_concepts"] = sum(entry["status"] == "weak" for entry in listed)
            concepts += [{"level": kind, "name": name, **entry} for entry in listed]
        rates.append(row)
    table = pl.DataFrame(rates, schema=_RATES).with_columns(pl.col(pl.Float64).fill_nan(None))
    return table, pl.DataFrame(concepts, schema=_CONCEPTS).with_columns(pl.col(pl.Float64).fill_nan(None))


def _groups(items: pl.DataFrame) -> Iterator[tuple[str, str, np.ndarray]]:
    """Level, name and rows: families and probes in the run's order, then tags by name."""
    families: dict[str, list[int]] = {}
    probes: dict[str, list[int]] = {}
    tags: dict[str, list[int]] = {}
    columns = items.select("benchmark", "group", "identity").iter_rows()
    for row, (benchmark, group, identity) in enumerate(columns):
        families.setdefault(benchmark, []).append(row)
        probes.setdefault(f"{benchmark}.{group}", []).append(row)
        for tag in (json.loads(identity) if identity else {}).get("tags") or ():
            tags.setdefault(str(tag), []).append(row)
    for kind, named in (("family", families), ("probe", probes), ("tag", dict(sorted(tags.items())))):
        for name, rows in named.items():
            yield kind, name, np.asarray(rows)


def _concepts(
    cas: sp.csr_array,
    scores: np.ndarray,
    families: np.ndarray,
    config: EvidenceConfig,
    eligible: np.ndarray,
    run: RunFolder,
) -> list[dict[str, Any]]:
    evidence = suite_evidence(cas, scores, families, config=config, eligible=eligible)
    weak = np.flatnonzero(evidence.status == "weak")
    with np.errstate(invalid="ignore"):
        others = np.flatnonzero(eligible & (evidence.n_eff >= LEAST) & (evidence.gap < 0) & (evidence.status != "weak"))
    others = others[np.argsort(evidence.gap[others], kind="stable")][:LISTED]
    chosen = [*weak[np.argsort(evidence.p_value[weak], kind="stable")], *others]
    # Items of several families: one weighted mean over all of them, as the items of a tag are one heap.
    chi = chi_model(Sums.of(cas, scores))
    labels = run.concepts["label"]
    return [
        {
            "concept": int(c),
            "label": labels[int(c)],
            "chi_model": float(chi[c]),
            "gap": float(evidence.gap[c]),
            "gap_low": float(evidence.gap_low[c]),
            "gap_high": float(evidence.gap_high[c]),
            "n_eff": float(evidence.n_eff[c]),
            "p_value": float(evidence.p_value[c]),
            "q_value": float(evidence.q_value[c]),
            "status": str(evidence.status[c]),
            "leader": int(evidence.leader[c]) if evidence.leader[c] >= 0 else None,
        }
        for c in chosen
    ]


def write_vulnerabilities(run: RunFolder, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write both tables into the run folder, and both with ``facts`` as one JSON document, which is given back."""
    rates, concepts = vulnerabilities(run)
    write_atomic(run.path / f"{RATES}.parquet", rates.write_parquet)
    write_atomic(run.path / f"{CONCEPTS}.parquet", concepts.write_parquet)
    document = {**facts, "rates": rates.to_dicts(), "concepts": concepts.to_dicts()}
    write_json(run.path / f"{RATES}.json", document)
    return document
