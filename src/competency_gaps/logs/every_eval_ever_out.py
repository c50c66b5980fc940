"""A run's scores in the form of every_eval_ever, version 0.3."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import model_scores
from competency_gaps.util.files import write_text

VERSION = "0.3.0"
_SCALE = {"lower_is_better": False, "score_type": "continuous", "min_score": 0.0, "max_score": 1.0}
_SOURCE = {"source_type": "evaluation_run", "source_organization_name": "unknown", "evaluator_relationship": "other"}
_UNKNOWN = {"deployment_type": "unknown", "model_availability": "unknown"}


def write_results(run: RunFolder, out: Path) -> list[Path]:
    """Write a run's scores: of each model ``MODEL.json``, a result per benchmark, and ``MODEL_samples.jsonl``.

    Items without a score are left out. Responses are those of the run's first model; another's are empty.

    Returns
    -------
    list of Path
        The ``.json`` files.
    """
    scores, files = model_scores(run), []
    out.mkdir(parents=True, exist_ok=True)
    created = str(int(datetime.fromisoformat(run.manifest["created"]).timestamp()))
    columns = ("item_id", "benchmark", "prompt", "text", "response", "answer", "choices", "group")
    items = run.items.select(columns).to_dicts()
    for number, full_name in enumerate(scores.models):
        model = Path(full_name).name if Path(full_name).is_absolute() else full_name
        stem = re.sub(r"[^\w.-]+", "_", model)
        values = scores.of(full_name)
        head = {"schema_version": VERSION, "evaluation_id": f"{stem}/{created}"}
        rows = list(_samples(items, values, {**head, "model_id": model}, of_run=number == 0))
        content = {
            **head,
            "retrieved_timestamp": created,
            "source_metadata": _SOURCE,
            "eval_library": {"name": "competency-gaps", "version": version("competency-gaps")},
            "model_info": {"name": model, "id": model, "additional_details": _UNKNOWN},
            "evaluation_results": [
                _result(name, rows) for name in dict.fromkeys(row["evaluation_name"] for row in rows)
            ],
        }
        write_text(out / f"{stem}_samples.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        files.append(out / f"{stem}.json")
        write_text(files[-1], json.dumps(content, indent=1))
    return files


def _samples(
    items: list[dict[str, Any]], values: np.ndarray, head: dict[str, str], *, of_run: bool
) -> Iterator[dict[str, Any]]:
    for item, score in zip(items, values, strict=True):
        if np.isnan(score):
            continue
        yield {
            **head,
            "evaluation_name": item["benchmark"],
            "evaluation_result_id": f"{item['benchmark']}/score",
            "sample_id": item["item_id"],
            "interaction_type": "single_turn",
            "input": {
                "raw": item["prompt"],
                "formatted": item["text"],
                "reference": [item["answer"]] if item["answer"] is not None else [],
                "choices": item["choices"],
            },
            "output": {"raw": [(item["response"] or "") if of_run else ""]},
            "answer_attribution": [],
            "evaluation": {"score": float(score), "is_correct": bool(score == 1)},
            "metadata": {"group": item["group"]} if item["group"] is not None else None,
        }


def _result(benchmark: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    scores = [row["evaluation"]["score"] for row in rows if row["evaluation_name"] == benchmark]
    return {
        "evaluation_result_id": f"{benchmark}/score",
        "evaluation_name": benchmark,
        "source_data": {"dataset_name": benchmark, "source_type": "other"},
        "metric_config": _SCALE,
        "score_details": {"score": float(np.mean(scores))},
    }
