"""Drawn items and activations, and a manifest, from which conftest.py makes a run."""

from __future__ import annotations

import numpy as np
import polars as pl

FLOOR = 5.0
"""Least n_eff of a tested concept in a drawn run, which has few items."""

NAMES = [
    "calendar",
    "roman-numerals",
    "logic-syllogism",
    "unit-prices",
    "word-sorting",
    "capitals",
    "family-tree",
    "fractions",
    "negation",
    "spelling",
]
THINGS = [
    "calendar dates",
    "Roman numerals",
    "units of length",
    "family relations",
    "prices in dollars",
    "names of capitals",
    "clock times",
    "letters of a word",
    "fractions",
    "negated questions",
    "ordinal numbers",
    "quantifiers",
    "chemical elements",
    "opening brackets",
    "conditional clauses",
]
FORMS = [
    "questions about {}",
    "comparison of two {}",
    "lists of {}",
    "{} at the end of a sentence",
    "arithmetic with {}",
    "{} in a definition",
]
SENTENCE = (
    "which of these is the smallest number that can be written before March when all squares are blue and no "
    "cat sleeps if 14 plus XXIV equals 38 then sort the words by length and say whether Anna is the mother of Peter"
)
WORDS = SENTENCE.split()


def drawn_items(rng, names, per, words):
    rows = []
    for b, name in enumerate(names):
        for i in range(per):
            prompt = " ".join(rng.choice(WORDS, words)).capitalize() + "?"
            excluded = (
                "the span is empty"
                if i == per - 1 and b % 3 == 0
                else "longer than the context (2,048 tokens)"
                if i == per - 2 and b % 4 == 1
                else None
            )
            unscored = "no answer could be read in the response" if excluded is None and i % 37 == 11 else None
            score = None if excluded or unscored else float(rng.random() < 0.12 + 0.055 * b)
            rows.append(
                {
                    "benchmark": name,
                    "item_id": f"{name}-{i:04d}",
                    "prompt": prompt,
                    "text": f"Answer the question.\n\n{prompt}\nAnswer:",
                    "response": None if excluded else " ".join(rng.choice(WORDS, 3)),
                    "answer": " ".join(rng.choice(WORDS, 2)),
                    "score": score,
                    "policy": "choice",
                    "group": None,
                    "choices": None,
                    "answer_index": None,
                    "cluster": len(rows),
                    "cluster_kind": None,
                    "covariates": None,
                    "n_span_tokens": words + 2,
                    "n_tokens": words + 11,
                    "excluded": excluded,
                    "unscored": unscored,
                }
            )
    return pl.DataFrame(
        rows,
        infer_schema_length=None,
        schema_overrides={
            "group": pl.String,
            "choices": pl.List(pl.String),
            "answer_index": pl.Int32,
            "cluster": pl.Int32,
            "cluster_kind": pl.String,
            "covariates": pl.String,
            "excluded": pl.String,
            "unscored": pl.String,
            "n_span_tokens": pl.Int32,
            "n_tokens": pl.Int32,
        },
    )


def drawn_activations(rng, items, names, n_concepts):
    """Draw few, heavy-tailed activations: each concept has its own rate, and leans towards some benchmarks."""
    rate = np.clip(np.exp(rng.normal(-3.1, 1.5, n_concepts)), 0, 0.95) * (rng.random(n_concepts) > 0.22)
    lean = np.exp(rng.normal(0, 1.3, (len(names), n_concepts))) * (
        rng.random((len(names), n_concepts)) > rng.uniform(0.02, 0.55, (len(names), 1))
    )
    which = np.array([names.index(name) for name in items["benchmark"]])
    score = items["score"].fill_null(0.35).to_numpy()[:, None]
    taste = rng.normal(0, 0.9, n_concepts)
    chance = np.clip(rate * lean[which] * np.exp(taste * (score - 0.35)), 0, 0.97)
    active = rng.random(chance.shape) < chance
    cas = np.where(active, rng.lognormal(-1.2, 0.9, chance.shape) * np.exp(rng.normal(0, 0.8, n_concepts)), 0).astype(
        np.float32
    )
    cas[items["excluded"].is_not_null().to_numpy()] = 0
    return cas


def made_manifest(items, names, n_concepts):
    return {
        "schema_version": 2,
        "created": "2026-11-24T15:40:00Z",
        "versions": {"competency-gaps": "0.1.0", "python": "3.12.7", "torch": "2.9.0"},
        "model": {
            "name": "SmolLM2-135M",
            "class": "LlamaForCausalLM",
            "dtype": "float32",
            "hidden_size": 576,
            "layers": 30,
            "weights_sha256": "5af571cbf074e6d2" * 4,
        },
        "sae": {
            "name": "smollm2-135m-l14-4k",
            "architecture": "batchtopk",
            "d_sae": n_concepts,
            "d_in": 576,
            "hook_name": "blocks.14.hook_resid_post",
        },
        "hook": {"name": "blocks.14.hook_resid_post", "path": "model.layers.14", "side": "output", "layer": 14},
        "span": "question",
        "pooling": "mean",
        "paper": False,
        "reference": True,
        "gate": {
            "tokens": 200_000,
            "l0": 40.3,
            "explained_variance": 0.81,
            "dead_share": 0.1,
            "passed": True,
            "forced": False,
        },
        "benchmarks": [
            {
                "name": name,
                "items": 1,
                "content_sha256": "ab" * 32,
                "policy": "choice",
                "left_out": [{"where": f"{name}.jsonl:7", "reason": "no answer"}][: b == 0],
            }
            for b, name in enumerate(names)
        ],
        "evidence": {"min_n_eff": FLOOR, "q": 0.2, "level": 0.95, "seed": 0},
        "settings": {"seed": 0, "batch_tokens": 8192, "metrics": {"normaliser": "alive"}},
        "timings": {"activations": 301.2, "scores": 812.9, "metrics": 2.1},
        "command": "cgaps run recipes/smollm2.yaml --out runs/smollm2-135m",
    }
