"""A theme's statistics in a run against brute force, and a weakness that only the theme shows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from competency_gaps.activations.pooling import SparseRow
from competency_gaps.activations.store import CasStore, make_block
from competency_gaps.config import RunConfig, as_dict
from competency_gaps.dictionary.kinds import LatentFacts
from competency_gaps.dictionary.theme_tables import ThemeNames, name_table, read_themes, theme_table, write_themes
from competency_gaps.dictionary.themes import ThemeTree
from competency_gaps.evidence import sample_of
from competency_gaps.items.item import DTYPE, Reason
from competency_gaps.runs.manifest import write_manifest
from competency_gaps.runs.open import open_folder
from competency_gaps.stages.results import collect, make_tables
from competency_gaps.stages.themes import run_theme_tables
from core_helpers import plain_manifest, run_table

WIDTH = 60
SIZES = (400, 300, 20)
THEME = np.repeat(np.arange(6), 10).astype(np.int32)
SUBTHEME = (np.arange(WIDTH) // 5).astype(np.int32)
USED = np.arange(WIDTH) != 59
"""The last concept is dead."""


def config(**metrics) -> RunConfig:
    return RunConfig.model_validate(
        {
            "model": {"name": "none"},
            "sae": {"folder": "none"},
            "benchmarks": [{"name": "a", "source": {"kind": "file", "path": "none.jsonl"}}],
            "metrics": metrics,
        }
    )


def drawn(seed: int, weak: bool = True):
    """Rows and scores of three benchmarks; items of theme 2's rare concepts fail more often."""
    rng = np.random.default_rng(seed)
    rows, scores = [], []
    for b, n in enumerate(SIZES):
        often = np.where((THEME == 2), 0.035, 0.25)
        cas = rng.lognormal(0, 0.5, (n, WIDTH)) * (rng.random((n, WIDTH)) < often)
        cas[:, 57:] *= np.array([1, b == 0, 0])
        chance = np.full(n, (0.8, 0.55, 0.5)[b])
        if weak:
            chance = np.where((cas[:, THEME == 2] > 0).any(axis=1), 0.55 * chance, chance)
        own = (rng.random(n) < chance).astype(float)
        own[rng.random(n) < 0.05] = np.nan
        rows.append(cas.astype(np.float32))
        scores.append(own)
    scores[2][:] = np.nan
    return rows, scores


def write_run(folder, seed=0, *, weak=True, per_shard=150, **metrics):
    """A finished run folder with themes, made without a model; one item of the first benchmark is excluded."""
    rows, scores = drawn(seed, weak)
    excluded = [np.zeros(len(own), bool) for own in scores]
    excluded[0][7] = True
    store = CasStore(folder / "activations", WIDTH)
    blocks, shards = {}, {}
    for b, (cas, gone) in enumerate(zip(rows, excluded, strict=True)):
        kept = np.random.default_rng(b).permutation(np.flatnonzero(~gone))
        names = blocks.setdefault(f"b{b}", []), shards.setdefault(f"b{b}", [])
        for i, start in enumerate(range(0, len(kept), per_shard)):
            some = kept[start : start + per_shard]
            sparse = [np.flatnonzero(cas[item]) for item in some]
            found = [
                SparseRow(c, cas[item][c], np.zeros(len(c), np.int64)) for item, c in zip(some, sparse, strict=True)
            ]
            tokens = [(np.array([item % 20], np.int32), np.zeros((1, 2), np.int32)) for item in some]
            block = make_block(some, found, [np.zeros(1, np.int64)] * len(some), tokens, WIDTH)
            store.write(f"b{b:03d}-{i:04d}", block)
            stored = store.read(f"b{b:03d}-{i:04d}")
            cas[stored.items] = stored.cas.toarray()
            names[0].append(stored)
            names[1].append(f"b{b:03d}-{i:04d}")
    items = pl.DataFrame(
        {
            "benchmark": np.repeat([f"b{b}" for b in range(3)], SIZES),
            "item_id": [str(i) for n in SIZES for i in range(n)],
            "score": pl.Series(np.concatenate(scores)).fill_nan(None),
            "excluded": pl.Series(
                [
                    Reason("empty_span", "empty span").as_dict() if gone else None
                    for gone in np.concatenate(excluded).tolist()
                ],
                dtype=DTYPE,
            ),
            "n_span_tokens": np.full(sum(SIZES), 10),
            "cluster": np.arange(sum(SIZES), dtype=np.int32),
        }
    ).with_columns(
        *(pl.lit(None, pl.String).alias(name) for name in ("group", "cluster_kind", "covariates")),
        choices=pl.lit(None, pl.List(pl.String)),
        answer_index=pl.lit(None, pl.Int32),
    )
    whole, settings = np.concatenate(rows), config(**metrics)
    nothing = np.full(WIDTH, np.nan)
    facts = LatentFacts.of_sample(np.where(np.arange(WIDTH) == 3, 0.9, 0.01), nothing)
    known = np.where(np.concatenate(excluded), np.nan, np.concatenate(scores))
    sample = sample_of(sp.csr_array(whole), known, np.repeat(np.arange(3), SIZES))
    by_name = {f"b{b}": own for b, own in enumerate(scores)}
    collected = collect(blocks, by_name, WIDTH, {i: chr(97 + i) for i in range(20)})
    tables = make_tables(collected, items, None, facts, sample, settings)
    run_table("items", items).write_parquet(folder / "items.parquet")
    tables.concepts.write_parquet(folder / "concepts.parquet")
    tables.concept_benchmarks.write_parquet(folder / "concept_benchmarks.parquet")
    entry = {"content_sha256": "", "policy": None, "left_out": []}
    sizes = dict(zip(shards, SIZES, strict=True))
    entries = [{**entry, "name": name, "items": sizes[name], "shards": own} for name, own in shards.items()]
    manifest = plain_manifest(WIDTH, evidence=tables.evidence, settings=as_dict(settings), benchmarks=entries)
    write_manifest(folder, manifest)
    themes = theme_table(ThemeTree(THEME[USED], SUBTHEME[USED], np.zeros((59, 2), np.float32)), USED)
    write_themes(folder, themes, name_table(ThemeNames(list("abcdef"), [str(i) for i in range(12)]), themes))
    keep = [~gone for gone in excluded]
    return [cas[k] for cas, k in zip(rows, keep, strict=True)], [s[k] for s, k in zip(scores, keep, strict=True)]


def tables_of(folder):
    run = open_folder(folder)
    return run_theme_tables(run, read_themes(folder, run.width)[0])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("themed")
    rows, scores = write_run(folder)
    tables = tables_of(folder)
    return folder, rows, scores, tables


def level(table: pl.DataFrame, name: str) -> pl.DataFrame:
    return table.filter(pl.col("level") == name).sort("id")


def test_a_weak_theme_is_found_where_its_concepts_are_not(made):
    folder, _, _, tables = made
    themes = level(tables.results, "theme")
    weak = themes.filter(pl.col("performance_status") == "weak")
    assert weak["id"].to_list() == [2] and weak["q_value"][0] <= 0.05 and weak["gap_high"][0] < 0
    own = open_folder(folder).concepts.filter(pl.Series(THEME == 2))
    assert not (own["performance_status"] == "weak").any(), "no single concept shows it"
    assert weak["weak_concepts"][0] == weak["weak_groups"][0] == 0 and weak["leader"][0] == 2


def test_every_figure_against_brute_force(made):
    folder, rows, scores, tables = made
    concepts = open_folder(folder).concepts
    ranked = concepts["ranked"].to_numpy()
    assert not ranked[3] and not ranked[59] and ranked.sum() == 58
    for name, groups in (("theme", THEME), ("subtheme", SUBTHEME)):
        table = level(tables.results, name)
        for row in table.iter_rows(named=True):
            inside = (groups == row["id"]) & USED
            cas = [part[:, inside & ranked].sum(axis=1, dtype=np.float64) for part in rows]
            assert row["concepts"] == inside.sum() and row["ranked"] == (inside & ranked).sum()
            assert row["support"] == sum((w > 0).sum() for w in cas)
            models, excess, weight, squares = [], 0.0, 0.0, 0.0
            for w, s in zip(cas, scores, strict=True):
                known = ~np.isnan(s)
                w, s = w[known], s[known]
                if w.sum() > 0:
                    models.append((w @ s) / w.sum())
                    excess += w @ (s - s.mean())
                weight, squares = weight + w.sum(), squares + w @ w
            assert row["chi_model"] == pytest.approx(np.mean(models), abs=1e-6)
            assert row["gap"] == pytest.approx(excess / weight, abs=1e-6)
            assert row["n_eff"] == pytest.approx(weight**2 / squares, rel=1e-5)
            assert row["design_effect"] == pytest.approx(1), "no item of this run repeats another"
            assert row["missing_concepts"] == (concepts["missing"].to_numpy() & inside & ranked).sum()
            for word in ("weak", "strong"):
                members = (concepts["performance_status"] == word).to_numpy() & inside
                assert row[f"{word}_concepts"] == members.sum()
    assert level(tables.results, "theme")["parent"].to_list() == [None] * 6
    assert level(tables.results, "subtheme")["parent"].to_list() == (np.arange(12) // 2).tolist()


def test_p_values_agree_with_permutations(made):
    folder, rows, scores, tables = made
    ranked = open_folder(folder).concepts["ranked"].to_numpy()
    table = level(tables.results, "theme")
    member = (THEME[:, None] == np.arange(6)) & ranked[:, None]
    rng = np.random.default_rng(0)
    draws = 20_000
    t, observed = np.zeros((draws, 6)), np.zeros(6)
    for part, s in zip(rows, scores, strict=True):
        known = ~np.isnan(s)
        if not known.any():
            continue
        w, own = part[known] @ member, s[known] - s[known].mean()
        observed += own @ w
        t += rng.permuted(np.broadcast_to(own, (draws, len(own))), axis=1) @ w
    tails = np.minimum((t <= observed).mean(axis=0), (t >= observed).mean(axis=0))
    assert table["p_value"].to_numpy() == pytest.approx(np.minimum(1, 2 * tails), rel=0.1, abs=3e-3)
