"""Write the scores of a run's models in the form of every_eval_ever: an aggregate and its samples for each model."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.files import sha256, write_atomic, write_json
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import ModelScores, model_scores, read_scores
from competency_gaps.text import plural

SCHEMA_VERSION = "0.3.0"
_SOURCE = "competency-gaps"
_COLUMNS = ("benchmark", "item_id", "prompt", "text", "answer", "choices", "group", "response", "excluded")


@dataclass(frozen=True)
class WrittenResults:
    """The files of one model."""

    model: str
    aggregate: Path
    samples: Path
    """Beside the aggregate."""
    scored: int
    """Items in the samples."""
    unscored: int
    """Items that the model has no score of: they are left out, since the schema has no way to say so."""

    def sentence(self) -> str:
        """Say what was written."""
        text = f"{self.model}: {plural(self.scored, 'item')} in {self.samples}"
        return f"{text}; {self.unscored:,} unscored left out." if self.unscored else f"{text}."


def write_results(
    run: RunFolder, folder: Path, *, models: Sequence[str] = (), organization: str = "unknown"
) -> list[WrittenResults]:
    """Write one aggregate and one file of samples per model, below ``data/`` as the schema's datastore has them.

    Parameters
    ----------
    models
        Names of models that the run has scores of; empty: all that have one.
    organization
        Who made the scores, for the schema's ``source_organization_name``.

    Returns
    -------
    list of WrittenResults
        Writing again replaces the files of the same run and model.

    Raises
    ------
    UserError
        If the run has no scores of a model, or a model that is named has no score at all.
    """
    scores = model_scores(run)
    scored = [model for model in scores.models if not np.isnan(scores.of(model)).all()]
    return [_write(run, folder, scores, model, organization) for model in models or scored]


def _write(run: RunFolder, folder: Path, scores: ModelScores, model: str, organization: str) -> WrittenResults:
    table = _items(run, scores, model)
    scored = table.filter(pl.col("score").is_not_null())
    if not scored.height:
        raise UserError(f"{model} has no score of any item that counts: there is nothing to write.")
    digest = hashlib.sha256(json.dumps([run.manifest["created"], model]).encode()).digest()
    place = Path("data", _SOURCE, *map(_plain, _model_name(model)))
    number = UUID(bytes=digest[:16], version=4)
    samples, aggregate = folder / place / f"{number}_samples.jsonl", folder / place / f"{number}.json"
    created = int(datetime.fromisoformat(run.manifest["created"]).timestamp())
    evaluation = f"{_SOURCE}/{_plain(model)}/{created}"
    samples.parent.mkdir(parents=True, exist_ok=True)
    lines = (_sample(row, evaluation, model) for row in scored.iter_rows(named=True))
    write_atomic(samples, lambda path: _write_lines(path, lines))
    document = _aggregate(run, table, model, organization, evaluation)
    document["detailed_evaluation_results"] = {
        "format": "jsonl",
        "file_path": (place / samples.name).as_posix(),
        "hash_algorithm": "sha256",
        "checksum": sha256(samples),
        "total_rows": scored.height,
    }
    write_json(aggregate, document)
    return WrittenResults(model, aggregate, samples, scored.height, table.height - scored.height)


def _model_name(model: str) -> tuple[str, str]:
    """Developer and name of ``developer/name``; the developer of any other name is unknown."""
    developer, _, name = model.partition("/")
    return (developer, name) if developer and name and "/" not in name else ("unknown", model)


def _aggregate(run: RunFolder, table: pl.DataFrame, model: str, organization: str, evaluation: str) -> dict[str, Any]:
    developer, name = _model_name(model)
    asked = model == run.manifest["model"]["name"] == run.own_model
    version = run.manifest["versions"].get("competency-gaps", "unknown")
    results = (_result(str(key), own) for (key,), own in table.group_by("benchmark", maintain_order=True))
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation,
        **({"evaluation_timestamp": evaluation.rsplit("/", 1)[-1]} if asked else {}),
        "retrieved_timestamp": str(int(time.time())),
        "source_metadata": {
            "source_name": _SOURCE,
            "source_type": "evaluation_run" if asked else "documentation",
            "source_organization_name": organization,
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": _SOURCE if asked else "unknown", "version": version if asked else "unknown"},
        "model_info": {
            "name": name,
            "id": model,
            "developer": developer,
            "additional_details": {
                "deployment_type": "self_deployed" if asked else "unknown",
                "model_availability": "open_weights" if asked else "unknown",
            },
        },
        "evaluation_results": [result for result in results if result is not None],
    }


def _items(run: RunFolder, scores: ModelScores, model: str) -> pl.DataFrame:
    """The kept items with one model's ``score`` and ``response``, and the text that it read where that is known."""
    items = run.items.select(_COLUMNS).with_columns(pl.Series("score", scores.of(model)).fill_nan(None))
    if model == run.own_model:
        # Where the span holds the response, the text does so too.
        known = run.manifest["span"] not in ("response", "all")
        items = items.with_columns(formatted=pl.col("text") if known else pl.lit(None, pl.String))
    else:
        responses = read_scores(run.path).filter(pl.col("model") == model).select("item", "response")
        rows = items.drop("response").with_row_index("item").with_columns(pl.col("item").cast(pl.Int32))
        items = rows.join(responses, on="item", how="left", maintain_order="left").with_columns(
            formatted=pl.lit(None, pl.String)
        )
    return items.filter(pl.col("excluded").is_null())


def _sample(row: dict[str, Any], evaluation: str, model: str) -> dict[str, Any]:
    reference = [] if row["answer"] is None else [row["answer"]]
    asked = {"raw": row["prompt"], "reference": reference}
    hashed = json.dumps(asked, ensure_ascii=False, sort_keys=True).encode()
    more = {name: row[name] for name in ("formatted", "choices") if row[name] is not None}
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation,
        "model_id": model,
        "evaluation_name": row["benchmark"],
        "evaluation_result_id": _result_id(row["benchmark"]),
        "sample_id": row["item_id"],
        "sample_hash": hashlib.sha256(hashed).hexdigest(),
        "interaction_type": "single_turn",
        "input": {**asked, **more},
        "output": {"raw": [] if row["response"] is None else [row["response"]]},
        "answer_attribution": [],
        "evaluation": {"score": row["score"], "is_correct": row["score"] == 1},
        **({"metadata": {"group": row["group"]}} if row["group"] is not None else {}),
    }


def _result(benchmark: str, table: pl.DataFrame) -> dict[str, Any] | None:
    """The aggregate over one benchmark; None: no item of it has a score."""
    values = table["score"].drop_nulls()
    if not values.len():
        return None
    return {
        "evaluation_result_id": _result_id(benchmark),
        "evaluation_name": benchmark,
        "source_data": {"dataset_name": benchmark, "source_type": "other"},
        "metric_config": {
            "metric_id": "score",
            "metric_name": "score",
            "metric_unit": "proportion",
            "lower_is_better": False,
            "score_type": "binary" if values.is_in([0.0, 1.0]).all() else "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {
            "score": values.mean(),
            "details": {"unscored": str(table.height - values.len())},
            "uncertainty": {"num_samples": values.len()},
        },
    }


def _result_id(benchmark: str) -> str:
    return f"{benchmark}/score"


def _plain(text: str) -> str:
    """A text as a part of a path."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-") or "unknown"


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
