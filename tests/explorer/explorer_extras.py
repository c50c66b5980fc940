"""What other commands put beside a finished run: robustness, probes, matches; and exemplars in its dictionary."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
from explorer_runs import Made

WINDOW = "the cat <b>sat\u202e on a mat"
PROBE = {
    **{"claim": "weak", "verdict": "holds", "status": "weak", "kind": "contrast", "exciting": 9, "comparison": 8},
    **{"mean": 0.1, "mean_low": 0.0, "mean_high": 0.3, "expected": 0.5, "difference": -0.4},
    **{"difference_low": -0.6, "difference_high": -0.1, "p_value": 0.001, "q_value": 0.002},
}
"""A row of ``verdicts.json``, without its concept and label."""
ENDS = (3, 7, 14, 18, 20, len(WINDOW))
"""Where its tokens end."""


def with_extras(made: Made, folder: Path) -> Made:
    """Copy a run and its dictionary, and add to both what other commands would."""
    run = shutil.copytree(made.run, folder / "run")
    dictionary = shutil.copytree(made.dictionary, folder / "dictionary")
    add_exemplars(dictionary)
    verdict = {"code": "split_halves", "outcome": "few", "tone": "open", "numbers": {}}
    (run / "robustness.json").write_text(json.dumps({"seed": 0, "verdicts": [verdict]}))
    probe = {"concept": 2, "label": "sums", **PROBE}
    (run / "probes" / "one").mkdir(parents=True)
    (run / "probes" / "one" / "verdicts.json").write_text(json.dumps({"criterion": {}, "concepts": [probe]}))
    add_match(run)
    add_words(run)
    return Made(run, dictionary)


def add_words(run: Path) -> None:
    """Have a model word a finding, and say that scores of the first benchmark fall with length."""
    table = pl.read_parquet(run / "findings.parquet")
    table.with_columns(wording=pl.lit("items <b>like</b> this"), wording_source=pl.lit("a model")).write_parquet(
        run / "findings.parquet"
    )
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    within = next(iter(manifest["evidence"]["benchmarks"].values()))
    trend = {"covariate": "length", "first": 0.9, "last": 0.1, "categories": None, "share": 0.3, "p": 0.001}
    within["trends"] = [{**trend, "controlled": True}]
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def add_match(run: Path) -> None:
    """Say that concept 5 matches an entry of somebody's list."""
    pair = {"entry": "e1", "label_text": "x", "similarity": 0.75, "p_value": 0.01, "verdict": "same"}
    held = {
        "taxonomy": "/home/someone/secret folder/list.yaml",
        "entries": [{"entry": "e1", "description": "sums <b>", "bound": 0.5}],
        "pairs": [{**pair, "concept": 5}],
        "themes": [{**pair, "level": "theme", "id": 5}],
    }
    (run / "matches").mkdir()
    (run / "matches" / "list.json").write_text(json.dumps(held))


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
