"""Items of arithmetic and words with scores that depend on what is planted, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import evidence
from competency_gaps.findings.describe import Description, describe, scopes_of, shortlist
from competency_gaps.findings.features import attributes_of, candidates, has_feature
from competency_gaps.runs.manifest import write_manifest
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.sample import item_sample
from core_helpers import plain_manifest, run_table

NAMES = ("Anna", "Boris", "Clara", "David", "Eva", "Felix")
THINGS = ("apples", "pears", "coins", "books", "stamps")


def drawn_items(rng: np.random.Generator, count: int = 300) -> pl.DataFrame:
    """Sums in half a dozen wordings, as ``items.parquet`` has them; scores are left to the caller."""
    rows = []
    for i in range(count):
        a, b = (int(n) for n in rng.integers(1, 60, 2))
        minus = bool(rng.random() < 0.6)
        value = a - b if minus else a + b
        who, what = str(rng.choice(NAMES)), str(rng.choice(THINGS))
        problem = f"{a} {'-' if minus else '+'} {b}"
        prompt = str(
            rng.choice(
                [
                    f"State the result of {problem}",
                    f"{who} counts {what}: what is {problem}?",
                    f"Please calculate {problem} for {who}",
                ]
            )
        )
        options = [str(value + step) for step in (0, 1, -1, 10)]
        right = int(rng.integers(len(options)))
        options[0], options[right] = options[right], options[0]
        rows.append(
            {
                "benchmark": "sums",
                "item_id": str(i),
                "prompt": prompt,
                "answer": str(value),
                "choices": options,
                "answer_index": right,
                "group": None,
                "covariates": None,
            }
        )
    schema = {"answer_index": pl.Int32, "group": pl.String, "covariates": pl.String}
    return pl.DataFrame(rows, schema_overrides=schema)


def negative(items: pl.DataFrame) -> np.ndarray:
    """Whether each item's answer is below zero."""
    return np.asarray(items["answer"].cast(pl.Int64).to_numpy() < 0)


def noisy(rng: np.random.Generator, truth: np.ndarray, hit: float = 0.8, false: float = 0.15) -> np.ndarray:
    """Weights of a group that is active on most of the items in question and on some others."""
    active = rng.random(len(truth)) < np.where(truth, hit, false)
    return np.where(active, rng.gamma(4.0, 0.1, len(truth)), 0.0)


def halves_of(rng: np.random.Generator, units: int, splits: int = 20) -> list[np.ndarray]:
    """Random halves of units."""
    return [rng.permutation(units) < units / 2 for _ in range(splits)]


def described(
    rng: np.random.Generator, items: pl.DataFrame, weights: np.ndarray, scores: np.ndarray, *, weak: bool = True
) -> Description | None:
    """Describe one group over one benchmark whose items are units; blocks are fifths of the prompts' length."""
    count = items.height
    attributes, place = attributes_of(items), np.zeros(count, np.int64)
    length = items["prompt"].str.len_chars().to_numpy()
    block = np.searchsorted(np.quantile(length, [0.2, 0.4, 0.6, 0.8]), length)
    features = {scope: candidates(attributes, np.arange(count), count) for scope in scopes_of(weights, place)}

    def covered(code: str, scope: tuple[int, ...]) -> float:
        return float(weights @ has_feature(code, attributes) / weights.sum())

    found = shortlist(weights, place, features, covered)
    return describe([found], [weak], scores, place, block, halves_of(rng, count))[0]


class Columns:
    """CAS of the concepts, as ``run.by_concept`` gives them."""

    def __init__(self, cas: np.ndarray) -> None:
        self.matrix = sp.csr_array(np.asarray(cas, np.float64).T)
        self.support = np.diff(self.matrix.indptr)

    def cas(self, concepts: np.ndarray, items: int) -> sp.csr_array:
        assert items == self.matrix.shape[1]
        return sp.csr_array(self.matrix[concepts])


def judged(items: pl.DataFrame, cas: np.ndarray, strata: list[str]) -> pl.DataFrame:
    """The columns of ``concepts.parquet`` that findings read, from the evidence of these items."""
    found = evidence(item_sample(Columns(cas), items, strata), EvidenceConfig(strata=strata))
    width = cas.shape[1]
    return pl.DataFrame(
        {
            "concept": pl.Series(range(width), dtype=pl.Int32),
            "label": [f"label {i}" for i in range(width)],
            "performance_status": pl.Series(found.status.tolist(), dtype=pl.String),
            "leader": pl.Series([int(c) if c >= 0 else None for c in found.leader], dtype=pl.Int32),
            "p_value": pl.Series(found.p_value).fill_nan(None),
            "q_value": pl.Series(found.q_value).fill_nan(None),
            "gap": pl.Series(found.gap).fill_nan(None),
        }
    )


def run_folder(
    folder: Path, items: pl.DataFrame, concepts: pl.DataFrame, cas: np.ndarray, strata: list[str]
) -> RunFolder:
    """A run of these tables, in a folder that opens; concepts are read from memory."""
    settings = plain_manifest(1)["settings"] | {"evidence": EvidenceConfig(strata=strata).model_dump(mode="json")}
    run_table("items", items).write_parquet(folder / "items.parquet")
    run_table("concepts", concepts).write_parquet(folder / "concepts.parquet")
    entry = {"content_sha256": "", "policy": None, "left_out": [], "shards": []}
    sizes = items.group_by("benchmark", maintain_order=True).len().iter_rows()
    entries = [{**entry, "name": name, "items": size} for name, size in sizes]
    write_manifest(folder, plain_manifest(cas.shape[1], settings=settings, benchmarks=entries))
    run = open_folder(folder)
    run.__dict__["by_concept"] = Columns(cas)
    return run


def with_run_columns(items: pl.DataFrame, scores: np.ndarray, cluster: np.ndarray | None = None) -> pl.DataFrame:
    """The items with the columns that a run adds."""
    count = items.height
    own = np.arange(count) if cluster is None else cluster
    repeated = np.bincount(own)[own] > 1
    return items.with_columns(
        score=pl.Series(scores, dtype=pl.Float64),
        response=pl.when(pl.Series(scores) > 0.5).then(pl.col("answer")).otherwise(pl.lit("7")),
        cluster=pl.Series(own, dtype=pl.Int32),
        cluster_kind=pl.Series(["equal" if one else None for one in repeated], dtype=pl.String),
        excluded=pl.lit(None, pl.String),
        n_span_tokens=pl.col("prompt").str.split(" ").list.len().cast(pl.Int32),
    )


def planted_run(folder: Path, seed: int, *, planted: bool = True, count: int = 400, repeats: int = 1) -> RunFolder:
    """A suite of sums in which negative answers are hard, three concepts that find them, and 57 that find nothing."""
    rng = np.random.default_rng(seed)
    items = drawn_items(rng, count)
    hard = negative(items)
    scores = (rng.random(count) < np.where(hard & planted, 0.15, 0.6)).astype(float)
    decoys = [noisy(rng, rng.random(count) < rng.uniform(0.2, 0.6)) for _ in range(57)]
    cas = np.stack([*(noisy(rng, hard) for _ in range(3)), *decoys], axis=1)
    if repeats > 1:
        items = pl.concat([items.with_columns(item_id=pl.col("item_id") + f"/{i}") for i in range(repeats)])
        scores, cas = np.tile(scores, repeats), np.tile(cas, (repeats, 1))
    items = with_run_columns(items, scores, np.tile(np.arange(count), repeats))
    return run_folder(folder, items, judged(items, cas, ["length"]), cas, ["length"])
