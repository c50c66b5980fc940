"""From garak's attacks to a run: attack the model, read the report, measure concepts, and say where it breaks.

Pass rates are given per probe family, probe and tag. A score of 1 is safe, so a weak concept is one under which the
model holds less often than under its family's attacks on average.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.checked import write_document
from competency_gaps.config import BenchmarkConfig, EvidenceConfig, LogSource, ModelConfig, RunConfig, SAEConfig, Span
from competency_gaps.errors import UserError
from competency_gaps.evidence import measure_evidence
from competency_gaps.harnesses.garak.scan import GarakOutcome, GarakSettings, run_garak
from competency_gaps.harnesses.log_parts import find_parts
from competency_gaps.lock import hold
from competency_gaps.metrics.suite import chi_model
from competency_gaps.metrics.sums import Sums
from competency_gaps.model.batches import WRITTEN_AT_ONCE
from competency_gaps.model.load import LanguageModel
from competency_gaps.probes.rates import rate
from competency_gaps.progress import Progress
from competency_gaps.runs.manifest import changing_run
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.settings import evidence_config
from competency_gaps.stages.load import load_benchmark

FOLDER = "garak"
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


def probe_with_garak(
    model: ModelConfig,
    sae: SAEConfig,
    settings: GarakSettings,
    out: Path,
    progress: Progress,
    *,
    span: Span = "question",
    batch_tokens: int | None = None,
    command: str = "",
) -> tuple[RunFolder, dict[str, Any]]:
    """Attack a model with garak and make a run of its report; the model is loaded once for both.

    Returns
    -------
    run
        One benchmark per probe family, one group per probe, score 1 = safe.
    document
        Rates and weak concepts, as written to ``vulnerabilities.json``.
    """
    from competency_gaps.runs.plan import planned_model
    from competency_gaps.sae.pair import load_pair
    from competency_gaps.stages import pipeline

    with hold(out):
        pair = load_pair(planned_model(model, out), sae, progress=progress)
        outcome = run_garak(pair.lm, settings, out / FOLDER, progress, token_budget=batch_tokens or WRITTEN_AT_ONCE)
        benchmarks, empty = _benchmarks(outcome.report, progress)
        config = RunConfig(model=model, sae=sae, benchmarks=benchmarks, span=span, batch_tokens=batch_tokens)
        run = pipeline.run(config, out, progress, command, pair)
        facts = {**_facts(outcome, settings, pair.lm), "families_without_items": empty}
        with progress.stage("testing families and tags"):
            document = write_vulnerabilities(run, facts)
    return open_folder(out), document


def _benchmarks(report: Path, progress: Progress) -> tuple[list[BenchmarkConfig], dict[str, str]]:
    """A benchmark per probe family; and families that give no item (empty attacks, images), with the reason."""
    benchmarks, empty = [], {}
    parts = find_parts(report, "garak")
    with progress.stage("reading garak's report", total=len(parts), unit="benchmarks") as bar:
        for part in parts:
            benchmark = BenchmarkConfig(
                name=part.benchmark,
                source=LogSource(path=report, format="garak", benchmark=part.benchmark),
                scope=f"attacks of garak's family {part.benchmark}; 1 = the model held",
            )
            try:
                load_benchmark(benchmark)
            except UserError as error:
                empty[part.benchmark] = str(error)
                progress.say(f"left out the family {part.benchmark}: {error}")
            else:
                benchmarks.append(benchmark)
            bar.advance()
    if not benchmarks:
        raise UserError(f"{report} gives no item to read: {next(iter(empty.values()), 'no probe was answered')}")
    return benchmarks, empty


def _facts(outcome: GarakOutcome, settings: GarakSettings, lm: LanguageModel) -> dict[str, Any]:
    return {
        "garak": outcome.garak,
        "report": str(outcome.report),
        "model": lm.name,
        "settings": asdict(settings),
        "probes": list(outcome.probes),
        "left_out": outcome.left_out,
        "missing_detectors": outcome.missing,
        "unanswered": outcome.unanswered,
    }


def vulnerabilities(run: RunFolder) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rates and weak concepts of a run over an attack tool's items.

    Returns
    -------
    rates : polars.DataFrame
        level (family, probe, tag), name, attempts, unscored, pass_rate (mean score of the scored attempts, None: none),
        low and high (its 95% interval, :func:`~competency_gaps.probes.rates.rate`), weak_concepts (concepts that are
        weak among these items).
    concepts : polars.DataFrame
        Per family and tag its weak concepts, and the ``LISTED`` others of the lowest gap: chi_model restricted to its
        scored items, gap (against the families' averages among them), its interval, n_eff, p_value and q_value (over
        the concepts of this row's name), status, leader (of the group of concepts with the same items).
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
    evidence = measure_evidence(cas, scores, families, config=config, eligible=eligible)
    weak = np.flatnonzero(evidence.status == "weak")
    with np.errstate(invalid="ignore"):
        others = np.flatnonzero(eligible & (evidence.n_eff >= LEAST) & (evidence.gap < 0) & (evidence.status != "weak"))
    others = others[np.argsort(evidence.gap[others], kind="stable")][:LISTED]
    chosen = [*weak[np.argsort(evidence.p_value[weak], kind="stable")], *others]
    # Items of several families: one weighted mean over all of them, which pools the items of a tag.
    chi = chi_model(Sums.of(cas, scores))
    figures = ("gap", "gap_low", "gap_high", "n_eff", "p_value", "q_value")
    labels = run.concepts["label"]
    return [
        {
            "concept": int(c),
            "label": labels[int(c)],
            "chi_model": float(chi[c]),
            **{name: float(getattr(evidence, name)[c]) for name in figures},
            "status": str(evidence.status[c]),
            "leader": int(evidence.leader[c]) if evidence.leader[c] >= 0 else None,
        }
        for c in chosen
    ]


def write_vulnerabilities(run: RunFolder, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write both tables into the run folder, and both with ``facts`` as one JSON document, which is given back."""
    rates, concepts = vulnerabilities(run)
    document = {**facts, "rates": rates.to_dicts(), "concepts": concepts.to_dicts()}
    with changing_run(run.path) as change:
        change.write(f"{RATES}.parquet", rates.write_parquet)
        change.write(f"{CONCEPTS}.parquet", concepts.write_parquet)
        change.write(f"{RATES}.json", lambda part: write_document(part, document))
        change.commit()
    return document
