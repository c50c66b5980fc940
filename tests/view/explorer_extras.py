"""What other commands put beside a finished run: robustness, matches; and exemplars in its dictionary."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
from explorer_runs import SECRETS, Made

import competency_gaps as cg
from competency_gaps.findings.match import Lacked, Matched, Matching, Rate, Tie
from competency_gaps.runs.manifest import read_manifest, write_tables
from competency_gaps.runs.scores import ROWS, add_scores
from competency_gaps.util.checked import write_document
from core_helpers import seal, seal_dictionary

WINDOW = "the cat <b>sat\u202e on a mat"
ENDS = (3, 7, 14, 18, 20, len(WINDOW))
"""Where its tokens end."""


def with_extras(made: Made, folder: Path) -> Made:
    """Copy a run and its dictionary, and add to both what other commands would."""
    run = shutil.copytree(made.run, folder / "run")
    dictionary = shutil.copytree(made.dictionary, folder / "dictionary")
    add_exemplars(dictionary)
    write_tables(run, {}, dictionary={**read_manifest(run)["dictionary"], "folder": str(dictionary)})
    verdict = {"code": "split_halves", "outcome": "few", "numbers": {}, "tone": "open"}
    write_document(run / "robustness.json", {"seed": 0, "verdicts": [verdict]})
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
        (model, item, benchmark, None if np.isnan(score) else float(score), f"{model} says {SECRETS[1]}", None)
        for model in ADDED
        for item, benchmark, score in zip(items["item_id"], items["benchmark"], drawn[model], strict=True)
    ]
    add_scores(run, pl.DataFrame(rows, ROWS, orient="row"))
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


POINT = '<img src=x onerror="alert(1)"> \u202e & sums'
"""Name of the entry of the list of :func:`with_lists`."""


def with_lists(made: Made, folder: Path) -> Made:
    """Copy a run, and say that a list of one entry was compared with it."""
    run = shutil.copytree(made.run, folder / "run")
    tie = Tie(0, "columns", "even", 0.8, 0.01, "failure")
    entry = Matched("p1", POINT, "d <b>", 9, 2.5, 9, -0.2, -0.3, -0.1, True, "recovered", (tie,), (0, 1))
    rate = Rate("recovered", 1, 1, 0.1, 1.0)
    made_list = Matching("points", "items", "tiny", (), (entry,), (rate,), (Lacked(1, "columns", "odd", -0.1),))
    (run / "lists").mkdir()
    write_document(run / "lists" / "points.json", asdict(made_list))
    return Made(run, made.dictionary)


DRAFT = f"{POINT}, or {SECRETS[0]}?"
"""A new item of the run of :func:`with_improvements`."""


def with_improvements(made: Made, folder: Path) -> Made:
    """Copy a run of several models, and improve it in all ways; no model writes the drafts."""
    run = cg.open_run(shutil.copytree(made.run, folder / "run"))
    results = run.path / "improve"
    (results / "new-new").mkdir(parents=True)
    found = run.broken_items()  # no item of these runs is broken, so one is said to be
    odd = pl.when(pl.int_range(pl.len()) == 0).then(0.7).otherwise("chance").alias("chance")
    found.with_columns(odd).write_parquet(results / "items.parquet")
    run.keep(20).write(results / "keep-20")
    kept = {"id": "1", "slice": "s", "weight": 1.0, "prompt": DRAFT, "choices": ["a", POINT], "answer": "a"}
    refused = {"id": "2", "prompt": DRAFT, "source": "corpus", "code": "similar", "reason": f"as {SECRETS[0]}"}
    held = {"name": "new", "benchmark": "sums", "precision": None, "fresh": None, "plan": None}
    write_document(results / "new-new" / "drafts.json", {**held, "items": [{**kept, "source": "corpus"}, refused]})
    (results / "new-odd").mkdir()
    (results / "new-odd" / "drafts.json").write_text("{}")
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
