"""What other commands put beside a finished run: robustness, matches; and exemplars in its dictionary."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from explorer_runs import SECRETS, Made

import competency_gaps as cg
from competency_gaps.checked import write_document
from competency_gaps.runs.matched_scores import Scored
from competency_gaps.runs.scores import add_scores
from core_helpers import seal, seal_dictionary

WINDOW = "the cat <b>sat\u202e on a mat"
ENDS = (3, 7, 14, 18, 20, len(WINDOW))
"""Where its tokens end."""


def with_extras(made: Made, folder: Path) -> Made:
    """Copy a run and its dictionary, and add to both what other commands would."""
    run = shutil.copytree(made.run, folder / "run")
    dictionary = shutil.copytree(made.dictionary, folder / "dictionary")
    add_exemplars(dictionary)
    verdict = {"code": "split_halves", "outcome": "few", "tone": "open", "test": "halves", "sentence": "Few."}
    write_document(run / "robustness.json", {"seed": 0, "verdicts": [verdict]})
    add_match(run)
    add_words(run)
    return Made(run, dictionary)


ADDED = ("big", "small", "twin", "sharp", "dull")
"""Models whose scores :func:`with_models` adds."""


def with_models(made: Made, folder: Path) -> Made:
    """Copy a run, add the scores of five other models.

    ``big`` does best, though less well on items with ``family``; ``sharp`` never fails on these, ``dull`` mostly does;
    ``twin`` answers nearly as the run's own model. Each has a response to every item.
    """
    run = cg.open_run(shutil.copytree(made.run, folder / "run"))
    rng = np.random.default_rng(5)
    items = run.items.filter(pl.col("excluded").is_null())
    about = items["prompt"].str.contains("family").to_numpy()
    chances = {
        "big": np.where(about, 0.2, 0.85),
        "small": np.full(items.height, 0.3),
        "sharp": np.where(about, 1.0, 0.5),
        "dull": np.where(about, 0.1, 0.5),
    }
    drawn = {name: (rng.random(items.height) < chance).astype(float) for name, chance in chances.items()}
    own = items["score"].to_numpy()
    drawn["twin"] = np.where(rng.random(items.height) < 0.9, own, 1 - own)
    rows = [
        Scored(model, item, benchmark, None if np.isnan(score) else float(score), f"{model} says {SECRETS[1]}")
        for model in ADDED
        for item, benchmark, score in zip(items["item_id"], items["benchmark"], drawn[model], strict=True)
    ]
    add_scores(run, rows)
    return Made(run.path, made.dictionary)


def rescored(made: Made, folder: Path) -> Made:
    """Copy a run, and let four of five items that mention ``family`` fail: the same items, other scores."""
    run = shutil.copytree(made.run, folder / "run")
    items = pl.read_parquet(run / "items.parquet")
    fails = items["prompt"].str.contains("family") & (pl.Series(range(items.height)) % 5 != 0)
    score = pl.when(fails & pl.col("score").is_not_null()).then(0.0).otherwise("score")
    items.with_columns(score=score).write_parquet(run / "items.parquet")
    seal(run)
    return Made(run, made.dictionary)


def add_words(run: Path) -> None:
    """Say that scores of the first benchmark fall with length."""
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    within = next(iter(manifest["evidence"]["benchmarks"].values()))
    trend = {"covariate": "length", "first": 0.9, "last": 0.1, "categories": None, "share": 0.3, "p": 0.001}
    within["trends"] = [{**trend, "controlled": True}]
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    seal(run)


def by_labels(
    taxonomy: str, entries: Sequence[Mapping[str, Any]], pairs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A kept file of a list that was compared by labels, each entry of which is recovered."""
    share = {"count": len(entries), "of": len(entries), "low": 0.2, "high": 1.0}
    usual = {**dict.fromkeys(("domain", "category", "score")), "bound": 0.5}
    usual |= {"recovered": True, "recovered_weak": False, "untested": False}
    none = {"observed": {**share, "count": 0}, "expected": 0.5, "low": 0.0, "high": 1.0, "p_value": 0.3}
    return {
        "created": "2026-11-26T20:21:24+00:00",
        "taxonomy": taxonomy,
        "taxonomy_is_path": True,
        "where": None,
        "alpha": 0.05,
        "entries": [{**usual, **entry} for entry in entries],
        "pairs": [pair for pair in pairs if "concept" in pair],
        "themes": [pair for pair in pairs if "level" in pair],
        **dict.fromkeys(("recovery", "unnamed_share"), share),
        **dict.fromkeys(("weak", "untested"), none),
        "calibration": {"realised": share},
        "unnamed": [],
    }


def add_match(run: Path) -> None:
    """Say that concept 5 matches an entry of somebody's list."""
    pair = {"entry": "e1", "label_text": "x", "similarity": 0.75, "p_value": 0.01, "verdict": "same"}
    pairs = [{**pair, "concept": 5}, {**pair, "level": "theme", "id": 5}]
    held = by_labels("/home/someone/secret folder/list.yaml", [{"entry": "e1", "description": "sums <b>"}], pairs)
    (run / "matches").mkdir()
    write_document(run / "matches" / "list.json", held)


TAGS = ("roman", "odd")
"""Tags of :func:`with_lists`: items with the word ``Roman``, on which the run is weak, and every third item."""
POINT = '<img src=x onerror="alert(1)"> \u202e & sums'
"""Description of an entry of the list of :func:`with_lists`."""


def with_lists(made: Made, folder: Path) -> Made:
    """Copy a run and compare it with two lists: tags of its own items, and points whose examples another run read.

    That run lies beside, as ``examples``; the points have the tags' matches, and its first items for examples.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = cg.open_run(shutil.copytree(made.run, folder / "run"))
    read_in = cg.open_run(shutil.copytree(made.run, folder / "examples"))
    kept = run.items.filter(pl.col("excluded").is_null())
    roman = kept["prompt"].str.contains("Roman").cast(int)
    odd = pl.Series([int(i % 3 == 0) for i in range(kept.height)])
    tags = kept.select("benchmark", id="item_id").with_columns(roman=roman, odd=odd)
    tags.write_csv(folder / "tags.csv")
    run.match_tags(folder / "tags.csv")
    (file,) = (run.path / "example-matches").iterdir()
    held = json.loads(file.read_text(encoding="utf-8"))
    names = dict(zip(TAGS, ("p1", "p2"), strict=True))
    about = [row for row, text in enumerate(run.items["prompt"]) if "Roman" in text]
    longest = int(run.items["text"].str.len_chars().arg_max() or 0)
    for row in (*held["entries"], *held["pairs"], *held["themes"]):
        row["entry"] = names[row["entry"]]
    facts = {"description": POINT, "domain": "d <b>", "category": "c", "score": 2.5}
    held["entries"][0] |= {**facts, "examples": 9, "example_rows": [*about[:4], 0, longest]}
    few = {"outcome": "not compared", "not_compared": "few_examples"}
    held["entries"][1] |= {"description": "odd", "examples": 2, "example_rows": [5, 6], **few}
    held["unexplained"] = [{"concept": 4}]
    contents = [entry["content_sha256"] for entry in read_in.manifest["benchmarks"]]
    held["examples_run"] = {"path": str(read_in.path), "content_sha256": contents}
    del held["checksum"]
    held["taxonomy"], held["where"] = "/home/someone/secret folder/points.jsonl", "score < 5"
    write_document(run.path / "example-matches" / "points.json", held)
    return Made(run.path, made.dictionary)


def add_exemplars(dictionary: Path) -> None:
    """Give concept 5 one window in which it is active, and one in which it is nearly silent."""
    pl.DataFrame({"window": [0], "tokens": [[1, 2, 3, 4, 5, 6]], "text": [WINDOW], "ends": [list(ENDS)]}).write_parquet(
        dictionary / "windows.parquet"
    )
    pl.DataFrame(
        {
            "concept": pl.Series([5, 5], dtype=pl.Int32),
            "kind": ["top", "negative"],
            "rank": pl.Series([0, 0], dtype=pl.Int32),
            "window": pl.Series([0, 0], dtype=pl.UInt32),
            "value": [2.0, 0.1],
            "activations": pl.Series([[0.0, 0.5, 0.0, 0.0, 2.0], [0.0, 3.0]], dtype=pl.List(pl.Float32)),
        }
    ).write_parquet(dictionary / "exemplars.parquet")
    seal_dictionary(dictionary)
