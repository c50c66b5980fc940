"""Read a list's examples with a run's model and SAE, as a run of their own, which resumes and is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from competency_gaps.config import RunConfig, parse_config
from competency_gaps.embedded.weights import cache_folder
from competency_gaps.errors import UserError
from competency_gaps.files import write_atomic
from competency_gaps.lock import hold
from competency_gaps.progress import Progress
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.manifest import SCHEMA_VERSION
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.slices.lists import Entry

_READING = ("model", "sae", "span", "pooling", "keep_token_activations", "batch_tokens")
"""Settings of a run that decide how the examples are read."""
_NAME = "examples"


def read_examples(run: RunFolder, entries: Sequence[Entry], progress: Progress) -> tuple[RunFolder, sp.csr_array]:
    """Read the examples of a list, unless they have been read.

    Returns
    -------
    tuple of RunFolder and csr_array
        The run of the examples; which of its items are examples of which entry, of shape (entries, items).

    Raises
    ------
    UserError
        If the run was read over responses, which examples have not.
    """
    from competency_gaps.stages import pipeline

    settings = {key: value for key, value in run.manifest["settings"].items() if key in _READING}
    if settings.get("span") == "response":
        raise UserError(f"{run.path} was read over the span 'response', and examples have none.")
    texts = sorted({text for entry in entries for text in entry.examples})
    read_by = [run.manifest["model"], run.manifest["sae"], run.manifest["bos_id"], SCHEMA_VERSION]
    content = json.dumps([settings, read_by, texts], sort_keys=True, default=str)
    folder = cache_folder() / "examples" / hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    made = folder / "run"
    if not (made / MANIFEST).is_file():
        with hold(folder):
            if not (made / MANIFEST).is_file():
                pipeline.run(_config(run, settings, texts, folder), made, progress)
    examples = open_folder(made)
    place = {text: number for number, text in enumerate(examples.items["prompt"])}
    rows = [(entry, place[text]) for entry, own in enumerate(entries) for text in own.examples if text in place]
    pairs = np.array(rows, np.int64).reshape(-1, 2)
    shape = (len(entries), examples.items.height)
    return examples, sp.csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=shape)


def _config(run: RunFolder, settings: dict[str, object], texts: Sequence[str], folder: Path) -> RunConfig:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{_NAME}.jsonl"
    lines = [json.dumps({"id": str(number), "prompt": text, "metric": "none"}) for number, text in enumerate(texts)]

    def write(part: Path) -> None:
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    write_atomic(file, write)
    benchmark = {"name": _NAME, "source": {"kind": "file", "path": str(file)}}
    # Model and SAE passed the gate in the run itself: examples that are unusual texts do not undo that.
    sae = {**run.manifest["settings"]["sae"], "dictionary": None, "force": True}
    data = {**settings, "ask": False, "sae": sae, "benchmarks": [benchmark]}
    return parse_config(RunConfig, data, f"the settings in {run.path}")
