"""A subset of items from which models' scores on all items can be predicted, over all and in slices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from competency_gaps.concepts.document import read_columns
from competency_gaps.findings.answer import slices_of
from competency_gaps.findings.kept import model_slices
from competency_gaps.improve.response import Responses, item_features, responses
from competency_gaps.logs.scores import read_scores
from competency_gaps.runs.covariates import read_covariates, repeats
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.schemas import Schema
from competency_gaps.runs.scores import match_scores, model_scores
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import make_folder, write_atomic, write_json, write_text
from competency_gaps.util.jsonl import json_file, mapping
from competency_gaps.util.progress import Progress

MIN_MODELS = 3
"""Minimum number of source models: with fewer, no choice is better than random items."""
MIN_SCORED_SHARE = 0.2
"""Minimum share of the items on which a source model must be scored."""
MAX_SLICES = 40
"""Maximum number of slices whose means are predicted: columns by size, then slices on which models differ most
certainly."""
MIN_SLICE_ITEMS = 30
"""Minimum number of items of such a slice."""
SLICE_WEIGHT = 0.1
"""Weight of all slices' variances together; the variance of the overall mean has weight 1."""
SIZE_FACTORS = (0.25, 0.5, 1, 2, 4)
"""Multiples of the requested number of items for which errors are reported."""
WHOLE = "all items"
PREDICTOR = "predictor"
"""Name of the two files, ``.json`` and ``.parquet``, from which scores are predicted."""

_TABLE: Schema = {
    **dict.fromkeys(("benchmark", "item_id"), pl.String),
    **dict.fromkeys(("ease", "slope"), pl.Float32),
    **{"rank": pl.Int64, "slices": pl.List(pl.Int64), "prompt": pl.String},
}
_SIZES: Schema = {"count": pl.Int64, "error": pl.Float64, "random": pl.Float64}
_EXPECTED: Schema = {
    "slice": pl.String,
    **dict.fromkeys(("items", "kept"), pl.Int64),
    **dict.fromkeys(("error", "random"), pl.Float64),
}


@dataclass(frozen=True)
class Kept:
    """A subset of a run's items, and a model that predicts scores on the others."""

    items: pl.DataFrame
    """One row per kept item, in the order of choice: ``benchmark``, ``item_id``. Means over all items are estimated by
    a model of responses, not as weighted means of the kept items' scores."""
    expected: pl.DataFrame
    """One row for all items and one per slice: ``slice``, ``items``, ``kept`` (of these), ``error`` (standard error, in
    [0, 1], of the estimated mean of a new model of the sources' range), ``random`` (that of the plain mean over as many
    random items)."""
    sizes: pl.DataFrame
    """Both errors of the mean over all items, for fewer and more kept items: ``count``, ``error``, ``random``."""
    models: tuple[str, ...]
    """Names of the source models."""
    table: pl.DataFrame = field(repr=False)
    """Every item that counts: ``benchmark``, ``item_id``, ``place`` in ``items`` (null: not kept), ``ease``, ``slope``,
    ``slices`` (their rows in ``expected``), ``prompt`` (null: not kept)."""
    prior: dict[str, Any] = field(repr=False)
    """``mean``, ``covariance`` and ``towards`` of :class:`~competency_gaps.improve.response.Responses`."""
    source: pl.DataFrame = field(repr=False)
    """The kept items as the run has them, in the order of the run, and ``doc``, lm-evaluation-harness' number of
    each (null: not known); empty if the subset was read from a folder."""

    def predict(self, scores: Path | str | pl.DataFrame | Mapping[str, Mapping[str, float | None]]) -> pl.DataFrame:
        """Return models' predicted mean scores on all items and in slices, from their scores on the kept items.

        Parameters
        ----------
        scores
            A table with a column ``id`` and one column per model, as a file (CSV, TSV, JSONL, Parquet) or a frame;
            ``{model: {id: score}}``; or another tool's log of the kept items, whatever ids it uses. Scores lie in [0,
            1]; empty, None or NaN = unscored, which is left out.

        Returns
        -------
        polars.DataFrame
            One row per model and slice, all items first: ``model``, ``slice``, ``mean``, ``low``, ``high`` (95%
            interval; null: the subset has no item of the slice), ``scored`` and ``kept`` items of the slice.

        Raises
        ------
        UserError
            If the scores cannot be read, or none of a model's belongs to a kept item.
        """
        position = self.table["rank"].drop_nulls().to_numpy()
        rows = np.flatnonzero(self.table["rank"].is_not_null())[np.argsort(position)]
        items = self.table[rows].select("benchmark", "item_id", "prompt")
        benchmarks = items["benchmark"].unique()
        only = str(benchmarks[0]) if len(benchmarks) == 1 else None
        matched = match_scores(items.iter_rows(), read_scores(scores, only)).table
        inside = self._inside()
        tables = []
        for (model,), rows_of_model in matched.group_by("model", maintain_order=True):
            values = np.full(len(rows), np.nan)
            values[rows_of_model["item"].to_numpy()] = rows_of_model["score"].fill_null(np.nan).to_numpy()
            if np.isnan(values).all():
                raise UserError(f"{model} has no score on any kept item.")
            kept = inside[:, rows]
            estimate = self._estimate(inside, rows, values)
            counts = {"scored": (kept & ~np.isnan(values)).sum(axis=1), "kept": kept.sum(axis=1)}
            columns = {"model": [str(model)] * len(inside), "slice": self.expected["slice"], **estimate, **counts}
            tables.append(pl.DataFrame(columns))
        return pl.concat(tables).with_columns(pl.col("mean", "low", "high").fill_nan(None))

    def write(self, folder: Path | str) -> None:
        """Write the kept items for other tools, and the files that :func:`read_kept` needs.

        ``items.csv``: benchmark and id. A folder per benchmark with ``items.jsonl``, for ``cgaps run --benchmark``, and
        ``inspect.txt``, ids for Inspect's ``--sample-id``. ``lm_eval.json``, for lm-evaluation-harness' ``--samples``,
        if the run has its document numbers, as a run of its logs does. ``predictor.json`` and ``predictor.parquet``.
        """
        folder = Path(folder)
        make_folder(folder)
        write_atomic(folder / "items.csv", self.items.rename({"item_id": "id"}).write_csv)
        docs = {}
        for (benchmark,), rows in self.source.group_by("benchmark", maintain_order=True):
            if rows["doc"].null_count() == 0:
                docs[str(benchmark)] = sorted(rows["doc"].to_list())
            inside = folder / "".join(c if c.isalnum() or c in "-_." else "_" for c in str(benchmark)).strip(".")
            lines = [json.dumps(_record(row), ensure_ascii=False) + "\n" for row in rows.iter_rows(named=True)]
            write_text(inside / "items.jsonl", "".join(lines))
            write_text(inside / "inspect.txt", ",".join(rows["item_id"].to_list()) + "\n")
        if docs:
            write_text(folder / "lm_eval.json", json.dumps(docs) + "\n")
        write_atomic(folder / f"{PREDICTOR}.parquet", self.table.write_parquet)
        tables = {name: getattr(self, name).to_dict(as_series=False) for name in ("expected", "sizes")}
        write_json(folder / f"{PREDICTOR}.json", {"models": list(self.models), **tables, "prior": self.prior})

    def _inside(self) -> np.ndarray:
        """Return which items belong to each slice, all items first: bool of shape (slices, items)."""
        inside = np.zeros((self.expected.height, self.table.height), bool)
        inside[0] = True
        slices = self.table["slices"]
        inside[slices.explode().drop_nulls().to_numpy(), np.repeat(np.arange(len(slices)), slices.list.len())] = True
        return inside

    def _estimate(self, inside: np.ndarray, rows: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
        """Return each slice's mean and interval, from scores on the kept items; NaN for slices without kept items."""
        ease, slope = (self.table[name].to_numpy() for name in ("ease", "slope"))
        arrays = {name: np.array(values, np.float64) for name, values in self.prior.items()}
        features = item_features(ease, slope, inside[1:].T).astype(np.float32)
        model = Responses(features, **arrays, sources=len(self.models))
        estimates = np.array(model.estimate(rows, values, _means(inside)))
        estimates[:, inside[:, rows].sum(axis=1) == 0] = np.nan
        return dict(zip(("mean", "low", "high"), estimates, strict=True))


def keep(run: RunFolder, count: int, *, progress: Progress | None = None) -> Kept:
    """Return the best subset of a run's items; see :meth:`competency_gaps.Run.keep`."""
    progress = progress or Progress(quiet=True)
    base = run.run_itself()
    scores, items = model_scores(base), base.items.with_columns(_docs(base.items))
    known = ~np.isnan(scores.values)
    whole = np.flatnonzero(items["excluded"].is_null().to_numpy() & known.any(axis=0))
    good = np.flatnonzero(known[:, whole].sum(axis=1) >= MIN_SCORED_SHARE * max(len(whole), 1))
    if len(good) < MIN_MODELS:
        raise UserError(f"choosing items takes the scores of {MIN_MODELS} models, but the run has {len(good)}.")
    if not 2 <= count < len(whole):
        raise UserError(f"{count} of {len(whole)} items: expected at least 2, and fewer than all.")
    models, values, items = tuple(scores.models[row] for row in good), scores.values[np.ix_(good, whole)], items[whole]
    with progress.stage("reading slices"):
        names, inside = slices_kept(base, models)
    inside = inside[:, whole]
    cluster = np.where(repeats(items), items["cluster"].to_numpy(), -1 - np.arange(len(whole)))
    model, chosen = _learned(values, inside, cluster, min(int(count * max(SIZE_FACTORS)), len(whole) - 1), progress)
    rows = chosen[:count]
    position = np.full(len(whole), -1)
    position[rows] = np.arange(len(rows))
    of_items = [(1 + np.flatnonzero(member)).tolist() for member in inside[1:].T]
    columns = [pl.Series("ease", model.features[:, 1]), pl.Series("slope", model.features[:, 2])]
    columns += [pl.Series("rank", position).replace(-1, None), pl.Series("slices", of_items, pl.List(pl.Int64))]
    columns += [items["prompt"].zip_with(pl.Series(position >= 0), pl.Series([None], dtype=pl.String))]
    counts = {"items": inside.sum(axis=1), "kept": inside[:, rows].sum(axis=1)}
    errors = {"error": model.errors(rows, _means(inside)), "random": _random_errors(values, inside, count)}
    expected = pl.DataFrame({"slice": [WHOLE, *names], **counts, **errors})
    sizes = [size for size in (int(count * part) for part in SIZE_FACTORS) if 2 <= size <= len(chosen)]
    of_sizes = {
        "count": sizes,
        "error": [float(model.errors(chosen[:size], _means(inside[:1]))[0]) for size in sizes],
        "random": [float(_random_errors(values, inside[:1], size)[0]) for size in sizes],
    }
    return Kept(
        items[rows].select("benchmark", "item_id"),
        expected,
        pl.DataFrame(of_sizes, schema=_SIZES),
        models,
        items.select("benchmark", "item_id").with_columns(columns),
        {name: getattr(model, name).tolist() for name in ("mean", "covariance", "towards")},
        items[np.sort(rows)],
    )


def _learned(
    values: np.ndarray, inside: np.ndarray, cluster: np.ndarray, count: int, progress: Progress
) -> tuple[Responses, np.ndarray]:
    """Return the model of new models' responses, and the rows of the chosen items in the order of choice."""
    importance = np.full(len(inside), SLICE_WEIGHT / max(len(inside) - 1, 1))
    importance[0] = 1.0
    with threadpool_limits(1):  # small matrices: threads only wait for each other
        with progress.stage("learning from models"):
            model = responses(values, inside[1:].T)
        with progress.stage("choosing items", total=count, unit="items") as bar:
            chosen = []
            for row in model.choose(count, _means(inside), importance, cluster):
                chosen.append(row)
                bar.advance()
    return model, np.array(chosen)


def _random_errors(values: np.ndarray, inside: np.ndarray, count: int) -> np.ndarray:
    """Return standard errors of plain means over random items, for a typical model: shape (slices,)."""
    known = ~np.isnan(values)
    share = np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)
    variance = (share * (1 - share)).mean()
    drawn = np.maximum(inside.mean(axis=1) * count, 1)
    return np.asarray(np.sqrt(variance / drawn * (1 - count / inside.shape[1])))


def read_kept(folder: Path | str) -> Kept:
    """Return a subset that :meth:`Kept.write` wrote.

    Raises
    ------
    UserError
        If the folder holds none, or it is damaged.
    """
    path = Path(folder) / f"{PREDICTOR}.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no kept items. Give a folder that they were written to.")
    content = mapping(json_file(path))
    try:
        table = read_columns(path.with_suffix(".parquet"), _TABLE, "Make it again.", ("rank", "prompt"))
        kept = table.filter(pl.col("rank").is_not_null()).sort("rank").select("benchmark", "item_id")
        expected, sizes = (pl.DataFrame(content[name], of) for name, of in (("expected", _EXPECTED), ("sizes", _SIZES)))
        models, prior = tuple(map(str, content["models"])), dict(content["prior"])
        return Kept(kept, expected, sizes, models, table, prior, pl.DataFrame())
    except (KeyError, TypeError, ValueError, OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{folder} is damaged ({error}): choose the items again.") from error


def slices_kept(run: RunFolder, models: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the slices whose means are predicted: categories of columns, then those on which models differ.

    Returns
    -------
    list of str
        Names of the slices.
    ndarray of bool of shape (1 + slices, items)
        Items of each slice, after a row for all items.
    """
    apart = model_slices(run, against="benchmark", models=models).slices["slice"].to_list()
    every = np.ones(run.items.height, bool)
    candidates = []
    for family in slices_of(run):
        for row, number in enumerate(family.number.tolist()):
            if family.name == "columns" or number in apart:
                member = family.member[[row]].toarray()[0] > 0
                order = (
                    family.name != "columns",
                    -int(member.sum()) if family.name == "columns" else apart.index(number),
                )
                candidates.append((*order, family.names[row], member))
    shown = sorted((one for one in candidates if one[3].sum() >= MIN_SLICE_ITEMS), key=lambda one: one[:3])[:MAX_SLICES]
    return [name for *_, name, _ in shown], np.array([every, *[member for *_, member in shown]])


def _means(inside: np.ndarray) -> np.ndarray:
    """Return the weights of the items in each slice's mean."""
    return inside / np.maximum(inside.sum(axis=1, keepdims=True), 1)


def _docs(items: pl.DataFrame) -> pl.Series:
    """Return lm-evaluation-harness' document number of each item; null if the item's log has none."""
    known = [mapping(json.loads(text or "{}")).get("doc_id") for text in items["identity"]]
    return pl.Series("doc", [number if isinstance(number, int) else None for number in known], pl.Int64)


def _record(row: dict[str, Any]) -> dict[str, Any]:
    """Return an item as a record of a benchmark's file."""
    answer = row["answer"] if row["answer_index"] is None else row["answer_index"]
    record = {"id": row["item_id"], "prompt": row["prompt"], "choices": row["choices"], "answer": answer}
    record |= {"group": row["group"], "covariates": read_covariates(row["covariates"]) or None}
    if row["scorer"] not in ("none", "imported"):
        record["scorer"] = row["scorer"]
    return {name: value for name, value in record.items() if value is not None}
