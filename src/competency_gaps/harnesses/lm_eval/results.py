"""Write a run in the format of lm-evaluation-harness's logs."""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.config import RunConfig, TaskSource
from competency_gaps.files import finite, write_atomic, write_json
from competency_gaps.harnesses.lm_eval.policy import LmEval, scalar
from competency_gaps.harnesses.lm_eval.samples import Measured, line_of, measured, metric_name, sample
from competency_gaps.harnesses.shared.log import free_name
from competency_gaps.installation import versions
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prepare import PreparedItem
from competency_gaps.text import shorten, visible

FOLDER = "lm_eval"
"""In the run folder; below it one folder per model, as with the harness's ``--output_path``."""
_PLAN = "plan.json"
_LOG = logging.getLogger(__name__)


def write_harness_files(
    folder: Path,
    prepared: Mapping[str, Sequence[PreparedItem]],
    items: pl.DataFrame,
    lm: LanguageModel,
    config: RunConfig,
) -> None:
    """Write ``samples_<benchmark>_<time>.jsonl`` per benchmark, and ``results_<time>.json``.

    The time is when the run folder was claimed, so a repeated run replaces its files. Samples are written one by one.

    Parameters
    ----------
    items
        ``items.parquet``.
    """
    begun = datetime.datetime.fromtimestamp((folder / _PLAN).stat().st_mtime)
    stamp = begun.isoformat().replace(":", "-")
    place = folder / FOLDER / _sanitised(str(lm.identity["name"]))[-200:]
    written: set[Path] = set()
    entries: dict[str, _Summary] = {}
    for name, of_benchmark in prepared.items():
        task = free_name(_sanitised(name)[:150], entries, "-")
        path = place / f"samples_{task}_{stamp}.jsonl"
        rows = items.filter(pl.col("benchmark") == name)
        summary = entries[task] = _Summary(name, of_benchmark)
        write_atomic(
            path, functools.partial(_write_samples, items=of_benchmark, rows=rows, summary=summary, config=config)
        )
        written.add(path)
    path = place / f"results_{stamp}.json"
    write_json(path, finite(_results(entries, lm, config, begun)))
    written.add(path)
    for old in (folder / FOLDER).glob("*/*_*.json*"):
        if old not in written and old.name.startswith(("samples_", "results_")):
            old.unlink()


class _Summary:
    """The results of one benchmark, gathered while its samples are written."""

    def __init__(self, name: str, items: Sequence[PreparedItem]) -> None:
        self.name, self.items = name, items
        self.task = items[0].policy.task if items and isinstance(items[0].policy, LmEval) else None
        self.values: dict[tuple[str, str], list[Any]] = {}
        self.digest = hashlib.sha256()
        """The harness's hash of a task: of the hashes of its samples."""

    def add(self, measured_item: Measured, line: Mapping[str, Any]) -> None:
        self.digest.update("".join(line[f"{part}_hash"] for part in ("doc", "prompt", "target")).encode())
        for metric, value in measured_item.metrics.items():
            known = self.values.setdefault((metric, measured_item.filter), [])
            if value is not None:
                known.append(value)

    def figures(self) -> dict[str, Any]:
        """``metric,filter`` and its standard error, by the task's own aggregation, else the mean."""
        figures: dict[str, Any] = {}
        for (metric, key), values in self.values.items():
            figures[f"{metric},{key}"] = self._aggregate(metric, values)
            figures[f"{metric}_stderr,{key}"] = _standard_error(values)
        return figures

    def _aggregate(self, metric: str, values: list[Any]) -> Any:
        if not values:
            return None
        function = self.task.aggregation().get(metric) if self.task is not None else None
        if function is None and not all(scalar(value) is not None for value in values):
            return None
        try:
            return (function or _mean)(values)
        except (ValueError, TypeError, ImportError, ArithmeticError) as error:
            # Some metrics are undefined, for example if all items are of one class.
            why = shorten(visible(f"{type(error).__name__}: {error}"), 200)
            _LOG.warning("%s: no value of %r over all items in the results file: %s", self.name, metric, why)
            return None


def _write_samples(
    part: Path, items: Sequence[PreparedItem], rows: pl.DataFrame, summary: _Summary, config: RunConfig
) -> None:
    """Write all items of one filter, then all of the next, as the harness does."""
    name = metric_name(items)
    with part.open("w", encoding="utf-8", errors="replace", newline="\n") as handle:
        for wanted in _filters(items):
            for position, (prepared, row) in enumerate(zip(items, rows.iter_rows(named=True), strict=True)):
                for measurement in measured(prepared, row, name):
                    if wanted is not None and measurement.filter != wanted:
                        continue
                    line = sample(prepared, row, position, measurement, config.generation)
                    summary.add(measurement, line)
                    handle.write(line_of(line))


def _filters(items: Sequence[PreparedItem]) -> Sequence[str | None]:
    """Filters of a task; None stands for any."""
    policy = items[0].policy if items else None
    return [ensemble.name for ensemble in policy.task._filters] if isinstance(policy, LmEval) else [None]


def _results(
    entries: Mapping[str, _Summary], lm: LanguageModel, config: RunConfig, begun: datetime.datetime
) -> dict[str, Any]:
    """The results file, with the harness's keys as far as their values are known."""
    name, tokenizer, installed = str(lm.identity["name"]), lm.tokenizer, versions()
    seeds = [b.source.fewshot_seed for b in config.benchmarks if isinstance(b.source, TaskSource)]
    ordered = sorted(entries.items())
    configs = {task: _config(task, summary) for task, summary in ordered}
    results, better = {}, {}
    for task, summary in entries.items():
        scored = max((len(values) for values in summary.values.values()), default=0)
        results[task] = {"name": task, "alias": summary.name, "sample_len": scored, **summary.figures()}
        known = summary.task.higher_is_better() if summary.task is not None else {}
        better[task] = {metric: known.get(metric, True) for metric, _ in summary.values}
    return {
        "results": results,
        "group_subtasks": {},
        "configs": configs,
        "versions": {task: 0 if summary.task is None else summary.task.VERSION for task, summary in ordered},
        "n-shot": {task: config.get("num_fewshot") or 0 for task, config in configs.items()},
        "higher_is_better": dict(sorted(better.items())),
        "n-samples": {
            task: {"original": len(summary.items), "effective": results[task]["sample_len"]}
            for task, summary in entries.items()
        },
        "config": {
            "model": "competency-gaps",
            "model_args": {"pretrained": name, "dtype": lm.identity["dtype"]},
            "model_num_parameters": lm.parameters,
            "model_dtype": f"torch.{lm.identity['dtype']}",
            "model_revision": lm.identity["revision"],
            "model_sha": "",
            "batch_size": None,
            "batch_sizes": [],
            "device": lm.identity["device"],
            "use_cache": None,
            "limit": None,
            "bootstrap_iters": 0,
            "gen_kwargs": {"temperature": config.generation.temperature, "top_p": config.generation.top_p},
            "random_seed": 0,
            "numpy_seed": 1234,
            "torch_seed": 1234,
            "fewshot_seed": seeds[0] if seeds else 1234,
        },
        "git_hash": None,
        "date": begun.timestamp(),
        "pretty_env_info": "",
        "transformers_version": installed.get("transformers"),
        "lm_eval_version": installed.get("lm-eval"),
        "competency_gaps_version": installed.get("competency-gaps"),
        "upper_git_hash": None,
        "tokenizer_pad_token": [tokenizer.pad_token, str(tokenizer.pad_token_id)],
        "tokenizer_eos_token": [tokenizer.eos_token, str(tokenizer.eos_token_id)],
        "tokenizer_bos_token": [tokenizer.bos_token, str(tokenizer.bos_token_id)],
        "eot_token_id": tokenizer.eos_token_id,
        "max_length": lm.max_length,
        "task_hashes": {task: summary.digest.hexdigest() for task, summary in entries.items()},
        "model_source": "competency-gaps",
        "model_name": name,
        "model_name_sanitized": _sanitised(name),
        "system_instruction": config.model.system_prompt,
        "system_instruction_sha": _sha(config.model.system_prompt),
        "fewshot_as_multiturn": None,
        "chat_template": tokenizer.chat_template,
        "chat_template_sha": _sha(tokenizer.chat_template),
        "total_evaluation_time_seconds": None,
    }


def _config(task: str, summary: _Summary) -> dict[str, Any]:
    if summary.task is not None:
        return dict(json.loads(json.dumps(summary.task.dump_config(), default=str)))
    policies = sorted({item.policy.name for item in summary.items})
    return {"task": task, "num_fewshot": 0, "metadata": {"version": 0, "policy": ", ".join(policies)}}


def _mean(values: Sequence[Any]) -> float:
    return float(sum(values) / len(values))


def _standard_error(values: Sequence[Any]) -> float | str:
    """Standard error of a mean, with n - 1 in the variance as in the harness; its ``N/A`` if values are no numbers."""
    numbers = [scalar(value) for value in values]
    if len(numbers) < 2 or any(number is None for number in numbers):
        return "N/A"
    known = [number for number in numbers if number is not None]
    mean = sum(known) / len(known)
    return math.sqrt(sum((value - mean) ** 2 for value in known) / (len(known) - 1)) / math.sqrt(len(known))


def _sanitised(name: str) -> str:
    """A name as part of a file's name, as the harness writes a model's name."""
    return re.sub(r"[\"<>:/|\\?*\[\]\x00-\x1f]+", "__", name)


def _sha(text: Any) -> str | None:
    return None if text is None else hashlib.sha256(str(text).encode("utf-8")).hexdigest()
