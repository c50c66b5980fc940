"""Drawn items and activations, and a manifest, from which conftest.py makes a run."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import norm

from competency_gaps.findings.words import feature_words, sentence, table_of
from competency_gaps.items.item import Reason
from competency_gaps.runs.schemas import ITEMS

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
                Reason("empty_span", "empty span").as_dict()
                if i == per - 1 and b % 3 == 0
                else Reason("too_long", "longer than the context: 2100 > 2048 tokens", (2_100, 2_048)).as_dict()
                if i == per - 2 and b % 4 == 1
                else None
            )
            unscored = Reason("no_score", "no score").as_dict() if excluded is None and i % 37 == 11 else None
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
                    "choices": ["fourteen", "blue", "March", "Anna"] if b == 0 else None,
                    "answer_index": i % 4 if b == 0 else None,
                    "cluster": len(rows) - len(rows) % 5,
                    "cluster_kind": "near",
                    "covariates": None,
                    "n_span_tokens": words + 2,
                    "n_tokens": words + 11,
                    "excluded": excluded,
                    "unscored": unscored,
                }
            )
    return pl.DataFrame(rows, schema={name: ITEMS[name] for name in rows[0]})


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
        "scored_model": "SmolLM2-135M",
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
                "left_out": [{"where": f"{name}.jsonl:7", "reason": Reason("other", "no answer").as_dict()}][: b == 0],
            }
            for b, name in enumerate(names)
        ],
        "evidence": {"min_n_eff": FLOOR, "q": 0.2, "level": 0.95, "seed": 0, "min_gap": 0.01, "strata": ["length"]},
        "settings": {"seed": 0, "batch_tokens": 8192, "metrics": {"normaliser": "alive"}},
        "timings": {"activations": 301.2, "scores": 812.9, "metrics": 2.1},
        "command": "cgaps run recipes/smollm2.yaml --out runs/smollm2-135m",
    }


def evidence_columns(cas, scores, numbers, eligible=None):
    """Columns of evidence by a plain normal approximation: enough for pages, and independent of the package's own."""
    scored = np.isfinite(scores)
    w, s, b = cas[scored].astype(float), scores[scored], numbers[scored]
    means = np.array([s[b == i].mean() if (b == i).any() else 0.0 for i in range(int(numbers.max()) + 1)])
    total, squares = w.sum(0), (w**2).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        n_eff = np.where(total > 0, total**2 / squares, 0.0)
        chi = (w * s[:, None]).sum(0) / total
        gap = (w * (s - means[b])[:, None]).sum(0) / total
        error = np.sqrt(s.var() / n_eff)
        p = 2 * norm.sf(np.abs(gap / error))
    tested = (n_eff >= FLOOR) & np.isfinite(p) & (True if eligible is None else eligible)
    q = np.full(len(p), np.nan)
    # Few items are drawn: without correction for many tests some stand out.
    q[tested] = p[tested]
    status = np.where(tested, np.where(q <= 0.2, np.where(gap < 0, "weak", "strong"), "typical"), "insufficient")
    if eligible is not None:
        status[~eligible] = "untested"
    out = np.isin(status, ["weak", "strong"])
    number = np.arange(len(p))
    # Some concepts of each kind that a page has to show.
    typical = number[status == "typical"]
    status[typical[1::7]] = "negligible"
    vanishes = np.isin(number, typical[::7])

    def known(values, where=tested):
        return pl.Series(np.where(where, values, np.nan)).fill_nan(None)

    return {
        "n_eff": n_eff,
        "design_effect": known(np.ones(len(p))),
        "chi_model_low": known(np.clip(chi - 2 * error, 0, 1)),
        "chi_model_high": known(np.clip(chi + 2 * error, 0, 1)),
        "gap": known(gap, total > 0),
        "gap_low": known(gap - 2 * error),
        "gap_high": known(gap + 2 * error),
        "plain_gap": known(gap * 1.2, total > 0),
        "p_value": known(p),
        "q_value": known(q),
        "plain_q": known(q),
        "detectable": known(2.8 * error),
        "drawn": np.zeros(len(p), bool),
        "performance_status": pl.Series(status.tolist(), dtype=pl.String),
        "vanishes": vanishes,
        "leader": pl.Series([int(c) if out[c] else None for c in number], dtype=pl.Int32),
    }


def made_findings(items, concepts, cas, most=4):
    """Findings of the leading weak and strong concepts, with figures taken from the items themselves."""
    rows = []
    scored = (items["score"].is_not_null() & items["excluded"].is_null()).to_numpy()
    score = items["score"].fill_null(0.0).to_numpy()
    for verdict in ("weak", "strong"):
        leading = concepts.filter(pl.col("performance_status") == verdict).sort("n_eff", descending=True).head(most)
        for place, concept in enumerate(leading.iter_rows(named=True)):
            rows.append(
                _finding(
                    verdict, place, concept, items, np.flatnonzero(scored & (cas[:, concept["concept"]] > 0)), score
                )
            )
    table = table_of(rows)
    feature = [feature_words(code) if code else None for code in table["feature"]]
    said = [sentence(row) for row in table.iter_rows(named=True)]
    return table.with_columns(
        feature_words=pl.Series(feature, dtype=pl.String), sentence=pl.Series(said, dtype=pl.String)
    )


def _finding(verdict, place, concept, items, own, score):
    benchmarks = items["benchmark"].to_numpy()[own]
    names, counts = np.unique(benchmarks, return_counts=True)
    numbers = ("n_eff", "gap", "gap_low", "gap_high", "plain_gap", "p_value", "q_value", "detectable")
    described = place % 2 == 0
    half = max(1, len(own) // 2)
    return {
        "verdict": verdict,
        "leader": concept["concept"],
        "label": concept["label"],
        "concepts": [concept["concept"], (concept["concept"] + 1) % 12][: 1 + place % 2],
        "items": len(own),
        "clusters": len(own),
        "item_rows": own.tolist(),
        "weights": [1.0] * len(own),
        "example": "which of these is the smallest number",
        "graded": False,
        "mean_score": float(score[own].mean()),
        **{name: concept[name] for name in numbers},
        "benchmarks": [
            {"benchmark": str(name), "items": int(count), "share": float(count / len(own))}
            for name, count in zip(names, counts, strict=True)
        ],
        "feature": ("prompt.word:March" if place else "number.none") if described else None,
        "feature_benchmarks": [str(names[0])] if described else None,
        "counted": "items" if described else None,
        "feature_items": half if described else None,
        "feature_score": float(score[own[:half]].mean()) if described else None,
        "other_items": len(own) - half if described else None,
        "other_score": float(score[own[half:]].mean()) if described else None,
        "feature_p": 0.004 if described else None,
        "failing": own[score[own] == 0][:3].tolist(),
        "passing": own[score[own] == 1][:3].tolist(),
        "unseen_gap": concept["gap"] / 2,
        "unseen_low": concept["gap"] / 2 - 0.1,
        "unseen_high": concept["gap"] / 2 + 0.1,
        "unseen_splits": 40,
        "splits": 50,
        "holds": (True, None, False)[place % 3],
    }
