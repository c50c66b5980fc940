"""New items for a benchmark as :func:`competency_gaps.improve.new_items.new_items` leaves them, and their files."""

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
    """New items, and those that were refused."""

    name: str
    """Of the slice, or of what a benchmark lacks."""
    benchmark: str
    """Whose form the items have."""
    folder: Path
    items: pl.DataFrame
    """``id``, ``slice``, ``weight`` (how much it excites it, times the least that is needed), ``prompt``, ``choices``,
    ``answer``, ``source``; of those that were refused ``code`` (``form``, ``repeats``, ``unread``, ``outside``,
    ``similar``, ``key``, ``enough``) and ``reason``."""
    precision: float | None
    """Share of the run's items that excite the slice so much that are its own; None: all, by its definition."""
    fresh: Fresh | None
    """What the run's model makes of new items; None: it was not asked."""
    plan: str | None
    """What would be done and paid; None: it is done."""

    @property
    def kept(self) -> pl.DataFrame:
        """The new items."""
        return self.items.filter(pl.col("code").is_null())

    @property
    def refused(self) -> pl.DataFrame:
        """The others."""
        return self.items.filter(pl.col("code").is_not_null())


def write_drafts(drafts: Drafts) -> None:
    """Write them into their folder, for :func:`read_drafts`."""
    content = {name: value for name, value in asdict(drafts).items() if name != "folder"}
    write_document(drafts.folder / DRAFTS, finite({**content, "items": drafts.items.to_dicts()}))


def read_drafts(folder: Path) -> Drafts:
    """Read what is in a folder of new items.

    Raises
    ------
    UserError
        If it is missing or damaged.
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
    """An item as a line of a benchmark's JSONL file."""
    record: dict[str, Any] = {"id": item.id, "prompt": item.prompt, "messages": item.messages, "choices": item.choices}
    record |= {"answer": item.answer, "metric": item.scorer, "group": item.group, "metadata": item.metadata}
    return {key: value for key, value in record.items() if value not in (None, {}, ())}


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as JSON Lines."""
    write_text(path, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))


def lm_eval_task(folder: Path, scorer: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A task of lm-evaluation-harness over ``items.jsonl``, asked as the benchmark is; as JSON it is YAML too.

    Open answers are compared whole; of ``numeric`` ones the last number.
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
