"""The parts of real_models.py that look at items and their own groups."""

from __future__ import annotations

import numpy as np
import polars as pl

import competency_gaps as cg
from competency_gaps.findings.model_scores import item_models
from competency_gaps.runs.outcomes import outcome_of
from competency_gaps.runs.scores import model_scores

LISTED = 40
"""Most ids that are printed of items that look broken."""


def subjects(run: cg.Run, models: list[str]) -> None:
    """Print mean scores against peers by group, with standard errors, the lowest first.

    An item whose group names several, joined by ``+``, counts in each.
    """
    scores, groups = model_scores(run), run.items["group"].str.split("+")
    for model in models:
        outcome = pl.Series("outcome", outcome_of(run, scores, model, "peers")[0].values).fill_nan(None)
        table = pl.DataFrame({"group": groups, "outcome": outcome}).drop_nulls().explode("group").group_by("group")
        deviation = pl.col("outcome").std() / pl.len().sqrt()
        rows = table.agg(pl.col("outcome").mean().alias("mean"), deviation.alias("error")).sort("mean")
        print(f"{model}: {'; '.join(f'{name} {mean:+.3f} ({error:.3f})' for name, mean, error in rows.iter_rows())}")


def sizes(run: cg.Run, models: list[str]) -> None:
    """Print mean scores against peers by the size of the answer, in points of 100, with standard errors."""
    scores = model_scores(run)
    answer = (
        run.items["answer"].cast(pl.String).str.replace_all(",", "").cast(pl.Float64, strict=False).abs().to_numpy()
    )
    digits = np.where(answer < 1, 1, np.floor(np.log10(np.maximum(answer, 1))) + 1)
    print("| model | below 10 | 10 to 99 | 100 to 999 | from 1,000 |\n| --- | ---: | ---: | ---: | ---: |")
    for model in models:
        outcome, cells = outcome_of(run, scores, model, "peers")[0].values, []
        for chosen in (digits == 1, digits == 2, digits == 3, digits > 3):
            own = 100 * outcome[chosen & ~np.isnan(outcome)]
            cells.append(f"{own.mean():+.1f} ({own.std(ddof=1) / np.sqrt(len(own)):.1f})")
        print(f"| {model} | {' | '.join(cells)} |", flush=True)


def items(run: cg.Run) -> None:
    """Print how many items look broken: weak models right and strong ones wrong, or nearly all strong models wrong."""
    facts = item_models(run)
    scores = model_scores(run)
    columns = (
        "items",
        "tested",
        "median discrimination",
        "below 0",
        "p < 0.001 (by chance)",
        "q <= 0.05",
        "all right",
        "all wrong",
    )
    print(f"| benchmark | {' | '.join(columns)} | stronger half wrong |")
    print(f"| --- |{' ---: |' * (len(columns) + 1)}")
    for (name,), rows in facts.group_by("benchmark", maintain_order=True):
        values = scores.values[:, (facts["benchmark"] == name).to_numpy()]
        missed = rows["item_id"].to_numpy()[missed_by_stronger(values)]
        tested = rows["p_value"].drop_nulls()
        means, discrimination = rows["mean"], rows["discrimination"]
        cells = (
            f"{rows.height:,}",
            f"{tested.len():,}",
            f"{rows.select(pl.col('discrimination').median()).item() or 0:.2f}",
            f"{int((discrimination < 0).sum()):,}",
            f"{int((tested < 0.001).sum())} ({0.001 * tested.len():.1f})",
            str(int((rows["q_value"] <= 0.05).sum())),
            f"{int((means == 1).sum()):,}",
            f"{int((means == 0).sum()):,}",
            f"{len(missed):,}",
        )
        print(f"| {name} | {' | '.join(cells)} |")
        if 0 < len(missed) <= LISTED:
            print(f"  wrong for nine of ten of the stronger half of the models: {', '.join(missed)}")
        discriminating = rows.drop_nulls("discrimination").sort("discrimination", descending=True).head(10)
        print(f"  tell models apart the most: {', '.join(discriminating['item_id'])}")
        for row in rows.filter(pl.col("q_value") <= 0.05).sort("q_value").head(10).iter_rows(named=True):
            print(f"  {row['item_id']}: mean {row['mean']:.2f}, discrimination {row['discrimination']:.2f}")


def missed_by_stronger(scores: np.ndarray) -> np.ndarray:
    """Find the items that at most a tenth of the stronger half of the models get right; shape (models, items)."""
    known = scores[~np.isnan(scores).all(axis=1)]
    level = np.nanmean(known, axis=1)
    stronger = known[level > np.median(level)]
    counted = (~np.isnan(stronger)).sum(axis=0)
    return np.flatnonzero((counted >= 6) & (np.nansum(stronger, axis=0) <= 0.1 * counted))
