"""The result of :func:`competency_gaps.improve.new_items.new_items`, and its files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.improve.membership import Fresh
from competency_gaps.items.item import Item
from competency_gaps.items.options import LETTERS
from competency_gaps.util.checked import damaged, read_document, write_document
from competency_gaps.util.files import finite, write_text

DRAFTS = "drafts.json"
ROWS: dict[str, Any] = {
    **dict.fromkeys(("id", "slice", "source", "prompt", "answer", "code", "reason"), pl.String),
    **{"choices": pl.List(pl.String), "weight": pl.Float64},
}


@dataclass(frozen=True)
class Drafts:
    """New items, and refused candidates."""

    name: str
    """Name of the slice, or ``missing-`` and the benchmark."""
    benchmark: str
    """Benchmark whose form the items have."""
    folder: Path
    items: pl.DataFrame
    """One row per candidate: ``id``, ``slice``, ``weight`` (measure of membership, as a multiple of the threshold),
    ``prompt``, ``choices``, ``answer``, ``source``; for refused ones ``code`` (``form``, ``repeats``, ``unread``,
    ``outside``, ``similar``, ``key``, ``enough``) and ``reason``, else null."""
    precision: float | None
    """Of the run's items at or above the threshold of membership, the share that belong to the slice, in [0, 1]; None:
all do, by definition."""
    fresh: Fresh | None
    """The gap of the run's model on the new items; None: it was not asked, or too few items are scored."""
    plan: str | None
    """What would be done and what it would cost, if this was a dry run; else None."""

    @property
    def kept(self) -> pl.DataFrame:
        """The new items."""
        return self.items.filter(pl.col("code").is_null())

    @property
    def refused(self) -> pl.DataFrame:
        """The refused candidates."""
        return self.items.filter(pl.col("code").is_not_null())


def write_drafts(drafts: Drafts) -> None:
    """Write drafts into their folder, for :func:`read_drafts`."""
    content = {name: value for name, value in asdict(drafts).items() if name != "folder"}
    write_document(drafts.folder / DRAFTS, finite({**content, "items": drafts.items.to_dicts()}))


def read_drafts(folder: Path) -> Drafts:
    """Return the drafts in a folder.

    Raises
    ------
    UserError
        If they are missing or damaged.
    """
    try:
        content = read_document(folder / DRAFTS)
        fresh = content["fresh"] and Fresh(**content["fresh"])
        items = pl.DataFrame(content["items"], schema=ROWS)
        return Drafts(**{**content, "folder": folder, "items": items, "fresh": fresh})
    except (OSError, ValueError, TypeError, KeyError, pl.exceptions.PolarsError) as error:
        raise damaged(
            folder / DRAFTS, error, "Repeat the command that made it: answers already paid for are kept."
        ) from error


def record_of(item: Item) -> dict[str, Any]:
    """Return an item as a record of a benchmark's JSONL file."""
    record: dict[str, Any] = {"id": item.id, "prompt": item.prompt, "messages": item.messages, "choices": item.choices}
    record |= {"answer": item.answer, "metric": item.scorer, "group": item.group, "metadata": item.metadata}
    return {key: value for key, value in record.items() if value not in (None, {}, ())}


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as JSON Lines."""
    write_text(path, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))


def lm_eval_task(folder: Path, scorer: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task of lm-evaluation-harness over ``items.jsonl``, asked like the benchmark; as JSON it is valid YAML.

    Open answers are compared whole; of ``numeric`` answers, the last number is.
    """
    task: dict[str, Any] = {
        "task": re.sub(r"\W+", "_", folder.resolve().name).strip("_").lower(),
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str((folder / "items.jsonl").resolve())}},
        "test_split": "test",
    }
    if scorer != "choice":
        metric = {"metric": "exact_match", "ignore_case": True, "ignore_punctuation": scorer != "numeric"}
        texts = {"doc_to_text": "{{prompt}}", "doc_to_target": "{{answer}}"}
        if scorer == "numeric":
            last = {"function": "regex", "regex_pattern": r"(-?[\d,]*\.?\d+)", "group_select": -1}
            task["filter_list"] = [{"name": "number", "filter": [last, {"function": "take_first"}]}]
            metric["regexes_to_ignore"] = [","]
        return {**task, "output_type": "generate_until", **texts, "metric_list": [metric]}
    metric = {"metric": "acc_norm" if options.get("normalise") == "characters" else "acc"}
    text, choices = "{{prompt}}", "{{choices}}"
    if options.get("form") != "cloze":
        listed = f"{{% for one in choices %}}{{{{'{LETTERS}'[loop.index0]}}}}. {{{{one}}}}\n{{% endfor %}}"
        text, choices = f"{text}\n\n{listed}Answer:", f"{{{{'{LETTERS}'[:choices|length]|list}}}}"
    texts = {"doc_to_text": text, "doc_to_choice": choices, "doc_to_target": "{{answer}}"}
    return {**task, "output_type": "multiple_choice", **texts, "metric_list": [metric]}
