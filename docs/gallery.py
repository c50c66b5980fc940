"""Export the gallery: four pages of one file each, made from the demo's run (``make gallery``).

    python docs/gallery.py demo-run gallery

Only the first model really answered: its answers are counted a second time by each option's whole log-probability, and
six more models are drawn, with three keys that are wrong, to show what many models' scores are good for.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import notebooks
import numpy as np
import polars as pl

import competency_gaps as cg

PAGES = ("demo", "models", "coverage", "improve")


def whole_options(run: cg.Run) -> pl.DataFrame:
    """Scores of the same answers if the option with the highest log-probability counts, whatever its length."""
    options = pl.col("logprobs").list.arg_max() == pl.col("answer_index")
    return run.items.select("benchmark", pl.col("item_id").alias("id"), options.cast(float).alias("whole-options"))


def drawn_models(run: cg.Run) -> pl.DataFrame:
    """Scores of six models: right by skill and difficulty; of three easy items the key is wrong for all of them."""
    rng = np.random.default_rng(0)
    difficulty, skill = rng.normal(size=run.items.height), np.linspace(0.2, 1.4, 6)
    scores = rng.random((len(skill), run.items.height)) < 1 / (1 + np.exp(difficulty - 1.5 * skill[:, None]))
    scores[:, np.argsort(difficulty)[:3]] = False
    columns = {f"drawn-{number}": row.astype(float) for number, row in enumerate(scores, 1)}
    return run.items.select("benchmark", pl.col("item_id").alias("id")).with_columns(**columns)


def copied(run: Path, folder: str, scores: pl.DataFrame) -> cg.Run:
    """A copy of the run with other models' scores."""
    run = Path(shutil.copytree(run, Path(folder) / "demo-run"))
    cg.open_run(run).add_scores(scores)
    return cg.open_run(run)


def export(run: Path, out: Path, page: str, *, texts: bool = True) -> None:
    """Write one page."""
    cg.export([run], out / f"{page}.html", one_file=True, texts=texts)


def main(run: Path, out: Path) -> None:
    """Export all four; without the demo's run they say how to make it."""
    out.mkdir(parents=True, exist_ok=True)
    if not (run / "manifest.json").is_file():
        for page in PAGES:
            (out / f"{page}.html").write_text("This page is made from the demo's run: make gallery\n", encoding="utf-8")
        return
    export(run, out, "demo")
    export(run, out, "coverage", texts=False)
    with tempfile.TemporaryDirectory() as folder:
        export(copied(run, folder, whole_options(cg.open_run(run))).path, out, "models")
    with tempfile.TemporaryDirectory() as folder:
        many = copied(run, folder, drawn_models(cg.open_run(run))).path
        for step in (["--keep", "100"], ["--items"]):
            subprocess.run([*notebooks.CGAPS, "improve", str(many), *step, "--quiet"], check=True, capture_output=True)
        export(many, out, "improve")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
