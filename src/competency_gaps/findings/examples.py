"""Read new texts with a run's model and SAE, as a separate run, which is cached and can be resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from competency_gaps.items.config import RunConfig, parse_config
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.manifest import SCHEMA_VERSION
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.slices.lists import Entry
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import cache_folder, write_text
from competency_gaps.util.lock import hold
from competency_gaps.util.progress import Progress

_READING = ("model", "sae", "span", "pooling", "batch_tokens", "generation", "judge")
"""Settings of a run that decide how items are read and asked."""
_NAME = "examples"


def read_examples(run: RunFolder, entries: Sequence[Entry], progress: Progress) -> tuple[RunFolder, sp.csr_array]:
    """Return a run over the examples of a list, which are read unless they have been before.

    Returns
    -------
    tuple of RunFolder and csr_array
        The run of the examples, and its items that are examples of each entry: shape (entries, items).

    Raises
    ------
    UserError
        If the run was read over responses, which examples do not have.
    """
    if run.manifest["settings"].get("span") == "response":
        raise UserError(f"{run.path} was read over the span 'response', but examples have no responses.")
    texts = sorted({text for entry in entries for text in entry.examples})
    records = [{"id": str(number), "prompt": text, "metric": "none"} for number, text in enumerate(texts)]
    examples = read_records(run, records, progress)
    row = {text: number for number, text in enumerate(examples.items["prompt"])}
    rows = [
        (entry, row[text])
        for entry, example_entry in enumerate(entries)
        for text in example_entry.examples
        if text in row
    ]
    pairs = np.array(rows, np.int64).reshape(-1, 2)
    shape = (len(entries), examples.items.height)
    return examples, sp.csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=shape)


def read_records(
    run: RunFolder,
    records: Sequence[Mapping[str, Any]],
    progress: Progress,
    *,
    benchmark: Mapping[str, Any] | None = None,
    ask: bool = False,
) -> RunFolder:
    """Return a cached run over new items, read with a run's model and SAE unless they have been read before.

    Parameters
    ----------
    records
        Records as in a JSONL file of a benchmark.
    benchmark
        Settings of the benchmark that the items are read as (scorer, options, texts around them); its name does not
        matter.
    ask
        Whether the model also answers them.

    Returns
    -------
    RunFolder
        It has one benchmark, whose items are the records in their order.
    """
    from competency_gaps.pipeline import run as pipeline

    settings = {key: value for key, value in run.manifest["settings"].items() if key in _READING}
    read_by = [run.manifest["model"], run.manifest["sae"], run.manifest["bos_id"], SCHEMA_VERSION]
    like = {key: value for key, value in (benchmark or {}).items() if key not in ("name", "scope")}
    content = json.dumps([settings, read_by, like, ask, list(records)], sort_keys=True, default=str)
    folder = cache_folder() / _NAME / hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    finished = folder / "run"
    if not (finished / MANIFEST).is_file():
        with hold(folder):
            if not (finished / MANIFEST).is_file():
                file = folder / f"{_NAME}.jsonl"
                write_text(file, "".join(f"{json.dumps(record)}\n" for record in records))
                # Model and SAE passed the gate in the run itself: unusual texts do not undo that.
                settings["sae"] = {**run.manifest["settings"]["sae"], "dictionary": None, "force": True}
                suite = [{**like, "name": _NAME, "source": {"kind": "file", "path": str(file)}}]
                further = {"slices": {"families": []}, "keep_token_activations": False}
                data = {**settings, **further, "ask": ask, "benchmarks": suite}
                config = parse_config(RunConfig, data, f"the settings in {run.path}")
                pipeline.run(config, finished, progress)
    return open_folder(finished)
