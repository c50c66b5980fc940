"""A run made of drawn activations and scores, with every quantity computed as the method defines it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from report_helpers import (
    FORMS,
    NAMES,
    THINGS,
    WORDS,
    drawn_activations,
    drawn_items,
    evidence_columns,
    made_findings,
    made_manifest,
)

from competency_gaps.runs.schemas import OVERLAP


@dataclass
class FakeRun:
    """Holds the tables and picks items from a dense activation matrix."""

    path: Path
    manifest: dict[str, Any]
    items: pl.DataFrame
    benchmarks: pl.DataFrame
    concepts: pl.DataFrame
    concept_benchmarks: pl.DataFrame
    overlap: pl.DataFrame
    findings: pl.DataFrame
    cas: np.ndarray = field(repr=False)
    themes: pl.DataFrame | None = None
    theme_results: pl.DataFrame | None = None

    kind = "score"
    limits = (0.0, 1.0)

    @property
    def base(self):
        return self.path

    @property
    def scored_model(self):
        return self.manifest["scored_model"]

    @property
    def outcomes(self):
        kept = pl.when(pl.col("excluded").is_null()).then(pl.col("score")).fill_null(float("nan"))
        return self.items.select(kept.alias("outcome"))["outcome"].to_numpy()

    def document(self, file):
        return file.read_bytes()

    def concept_items(self, concept, *, benchmark=None, order="strongest", limit=3):
        """Weigh scores by activation, as the real run does."""
        weight = self.cas[:, concept]
        tau = weight[weight > 0].mean() if (weight > 0).any() else 1.0
        frame = self.items.with_columns(
            cas=pl.Series(weight), ncas=pl.Series(2 / (1 + np.exp(-weight / tau)) - 1)
        ).filter((pl.col("cas") > 0) & pl.col("excluded").is_null())
        if benchmark is not None:
            frame = frame.filter(pl.col("benchmark") == benchmark)
        if order != "strongest":
            frame = frame.filter(pl.col("score").is_not_null())
        keys = {"best": ["score", "cas"], "worst": ["score", "cas"], "strongest": ["cas"]}[order]
        frame = frame.sort(keys, descending=[order != "worst", True][: len(keys)])
        frame = frame.with_columns(repeats=pl.len().over("cluster"))
        frame = frame.unique("cluster", keep="first", maintain_order=True).head(limit)
        rows = []
        for row in frame.iter_rows(named=True):
            own = row["text"].find(row["prompt"]) if row["text"] else None
            words = list(re.finditer(r"\w+", row["prompt"])) if row["text"] else []
            peak = words[(concept + int(row["item_id"][-4:])) % len(words)].span() if words else (None, None)
            first, last = (own + peak[0], own + peak[1]) if words else peak
            rows.append(
                {
                    **row,
                    "own_start": own,
                    "own_end": None if own is None else own + len(row["prompt"]),
                    "peak_start": first,
                    "peak_end": last,
                }
            )
        wanted = [
            "benchmark",
            "item_id",
            "text",
            "response",
            "answer",
            "score",
            "cas",
            "ncas",
            "peak_start",
            "peak_end",
            "own_start",
            "own_end",
            "cluster",
            "repeats",
        ]
        return (
            pl.DataFrame(rows, schema_overrides={"score": pl.Float64, "response": pl.String}).select(wanted)
            if rows
            else pl.DataFrame(schema=dict.fromkeys(wanted, pl.String))
        )

    def changed(self, **tables):
        """Give a copy with some tables replaced."""
        return replace(self, **tables)


def _ratio(top, bottom):
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def _nulls(values):
    return pl.Series(np.asarray(values, dtype=float)).fill_nan(None)


def synthetic_run(path=Path("runs/smollm2-135m"), *, n_concepts=160, benchmarks=3, per=40, words=24, seed=0) -> FakeRun:
    """Build a run of ``benchmarks`` benchmarks with ``per`` items each."""
    rng = np.random.default_rng(seed)
    names = NAMES[:benchmarks]
    items = drawn_items(rng, names, per, words)
    cas = drawn_activations(rng, items, names, n_concepts)
    kept = items["excluded"].is_null().to_numpy()
    score = items["score"].fill_null(float("nan")).to_numpy()
    dead = rng.random(n_concepts) < 0.1
    cas[:, dead] = 0
    alive = ~dead
    rows, coverage, performance, covered = [], [], [], []
    for name in names:
        part = (items["benchmark"] == name).to_numpy() & kept
        w, s = cas[part].astype(float), score[part]
        scored = np.isfinite(s)
        chi = w.mean(0) / w.mean(0)[alive].mean()
        model = _ratio((w[scored] * s[scored, None]).sum(0), w[scored].sum(0))
        coverage.append(chi), performance.append(model), covered.append(chi > 0)
        low, high = np.quantile(chi[chi > 0], [0.1, 0.9])
        status = np.where(
            chi == 0, "missing", np.where(chi <= low, "under", np.where(chi >= high, "over", "typical"))
        ).astype(object)
        status[dead] = None
        rows.append(
            pl.DataFrame(
                {
                    "concept": np.arange(n_concepts, dtype=np.int32),
                    "benchmark": [name] * n_concepts,
                    "chi_bench": chi,
                    "chi_model": _nulls(model),
                    "support": (w > 0).sum(0),
                    **evidence_columns(w, s, np.zeros(len(s), int)),
                    "share": chi / chi.sum(),
                    "lift": _nulls(np.log2(np.where(chi > 0, chi, np.nan))),
                    "coverage_status": pl.Series(status.tolist(), dtype=pl.String),
                    "chance_seen": np.full(n_concepts, 0.5),
                }
            )
        )
    coverage, performance, covered = np.array(coverage), np.array(performance), np.array(covered)
    table = _benchmark_table(items, names, covered, int(alive.sum()))
    numbers = items["benchmark"].replace_strict({n: i for i, n in enumerate(names)}).to_numpy()[kept]
    concepts = _concept_table(rng, cas[kept], score[kept], numbers, coverage, performance, alive)
    return FakeRun(
        path,
        made_manifest(items, names, n_concepts),
        items,
        table,
        concepts,
        pl.concat(rows),
        _overlap(names, coverage, covered),
        made_findings(items, concepts, cas),
        cas,
    )


def _benchmark_table(items, names, covered, alive):
    rows = []
    for b, name in enumerate(names):
        part = items.filter(pl.col("benchmark") == name)
        scores = part["score"].drop_nulls()
        kept = int(part["excluded"].is_null().sum())
        rows.append(
            {
                "benchmark": name,
                "items": part.height,
                "kept": kept,
                "excluded": part.height - kept,
                "scored": scores.len(),
                "mean_score": scores.mean(),
                "covered": int(covered[b].sum()),
                "missing": alive - int(covered[b].sum()),
                "alive": alive,
                "mean_span_tokens": part["n_span_tokens"].mean(),
            }
        )
    return pl.DataFrame(rows)


def _concept_table(rng, cas, scores, numbers, coverage, performance, alive):
    n = cas.shape[1]
    labels = [FORMS[i % len(FORMS)].format(THINGS[(i * 7) % len(THINGS)]) for i in range(n)]
    drawn = rng.choice(["dense", "template", "token", "contextual"], n, p=[0.02, 0.015, 0.05, 0.915])
    kind = np.where(alive, drawn.astype(object), np.full(n, None))
    ranked = kind == "contextual"
    defined = np.isfinite(performance)
    with np.errstate(invalid="ignore"):
        model = _ratio(np.nansum(performance, 0), defined.sum(0).astype(float))
    chi = coverage.mean(0)
    return pl.DataFrame(
        {
            "concept": np.arange(n, dtype=np.int32),
            "label": [None if rng.random() < 0.25 else label for label in labels],
            "alive": alive,
            "kind": pl.Series(kind.tolist(), dtype=pl.String),
            "lexical_share": _nulls(np.where(alive, rng.random(n), np.nan)),
            "coherence": _nulls(np.where(alive, rng.random(n), np.nan)),
            "stability": _nulls(np.full(n, np.nan)),
            "missing": chi == 0,
            "ranked": ranked,
            "density": _nulls(np.where(alive, rng.lognormal(-6, 1.2, n).clip(0, 0.9), np.nan)),
            "peak_token": [None if not a else f" {word}" for a, word in zip(alive, rng.choice(WORDS, n), strict=True)],
            "chi_bench": chi,
            "chi_model": _nulls(model),
            "n_benchmarks": defined.sum(0).astype(np.int32),
            "support": (cas > 0).sum(0),
            **evidence_columns(cas, scores, numbers, ranked),
            "lift": _nulls(np.log2(np.where(chi > 0, chi, np.nan))),
            "chance_seen": np.full(n, 0.5),
        },
        schema_overrides={"label": pl.String, "peak_token": pl.String},
    )


def _overlap(names, coverage, covered):
    rows = []
    for a in range(len(names)):
        for b in range(len(names)):
            both, either = (covered[a] & covered[b]).sum(), (covered[a] | covered[b]).sum()
            cosine = coverage[a] @ coverage[b] / np.linalg.norm(coverage[a]) / np.linalg.norm(coverage[b])
            rows.append((names[a], names[b], float(both / either), float(cosine), None, int(both)))
    return pl.DataFrame(rows, orient="row", schema=OVERLAP)


@pytest.fixture(scope="session")
def run() -> FakeRun:
    """A small run: 3 benchmarks, 120 items, 160 concepts."""
    return synthetic_run()


@pytest.fixture(scope="session")
def make_run():
    """The builder itself, for runs of another shape."""
    return synthetic_run
