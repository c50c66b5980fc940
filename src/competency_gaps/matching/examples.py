"""What entries' example prompts excite: they are the items of a run of their own, with the audited run's model and SAE.

A benchmark of that run holds the examples of a domain (where entries name a model, of one model). Reading resumes,
leaves out what cannot be read, and is kept, like that of any run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.benchmarks.near_repeats import DEFAULT as NEAR_REPEATS
from competency_gaps.config import BenchmarkConfig, RunConfig, parse_config
from competency_gaps.embedded.weights import cache_folder
from competency_gaps.errors import UserError
from competency_gaps.files import can_write, write_atomic
from competency_gaps.matching.division import Examples, one_of_each
from competency_gaps.matching.taxonomy import TaxonomyEntry
from competency_gaps.model.load import versions
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.manifest import SCHEMA_VERSION
from competency_gaps.runs.open import RunFolder

RUN = "run"
"""Name of the run in its folder, beside the files of examples."""
_READING = ("model", "sae", "span", "pooling", "keep_token_activations")
"""Settings of a run that decide how the examples are read, and what is kept of them."""
_FURTHER = ("batch_tokens",)
"""Further settings that the run of examples shares: they change nothing that is kept."""


@dataclass(frozen=True)
class ReadExamples:
    """The examples of a list, read."""

    examples: Examples
    """Members are the entries of the list, in order."""
    count: np.ndarray
    """int64 of shape (entries,): examples of each that were read and count, one of a cluster."""
    row: np.ndarray
    """int64 of shape (examples,): row of each in ``items.parquet`` of the run that read it."""
    left_out: pl.DataFrame
    """One row per example that could not be read: ``entry``, ``reason``."""


def has_examples(entries: Sequence[TaxonomyEntry]) -> bool:
    """Whether any entry carries example prompts."""
    return any(entry.examples for entry in entries)


def examples_folder(taxonomy: Path, run: RunFolder, entries: Sequence[TaxonomyEntry]) -> Path:
    """Folder of the run of a list's examples: beside the list, or in the cache where that cannot be written.

    Its name depends on the examples and on what reads them.
    """
    settings = {key: value for key, value in run.manifest["settings"].items() if key in _READING}
    read_by = [run.manifest["model"], run.manifest["sae"], run.manifest["bos_id"], versions(), SCHEMA_VERSION]
    listed = [(group, sorted(texts)) for group, texts in _by_group(entries).items()]
    content = json.dumps([settings, read_by, listed, NEAR_REPEATS], sort_keys=True, default=str)
    key = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    beside, cached = taxonomy.resolve().parent / f"{taxonomy.stem}.examples" / key, cache_folder() / "examples" / key
    for folder in (beside, cached):
        if is_read(folder):
            return folder
    return beside if not beside.parent.is_file() and can_write(beside.parent) else cached


def is_read(folder: Path) -> bool:
    """Whether a folder's examples have been read."""
    return (folder / RUN / MANIFEST).is_file()


def examples_config(run: RunFolder, entries: Sequence[TaxonomyEntry], folder: Path) -> RunConfig:
    """Write the examples of each domain into a folder, and make the configuration of the run that reads them.

    Raises
    ------
    UserError
        If no entry has examples.
    """
    groups = _by_group(entries)
    if run.manifest["settings"].get("span") == "response":
        raise UserError(f"{run.path} was read over the span 'response', and examples have none: match by labels.")
    if not groups:
        raise UserError("no entry of the list has example prompts: give each a list 'examples', or match by labels.")
    folder.mkdir(parents=True, exist_ok=True)
    benchmarks = []
    for number, texts in enumerate(groups.values()):
        lines = [
            json.dumps({"id": _id(text), "prompt": text, "metric": "none"}) for text in sorted(texts) if _whole(text)
        ]
        if not lines:
            continue
        path = folder / f"domain-{number:03d}.jsonl"
        _write(path, "".join(f"{line}\n" for line in lines))
        benchmarks.append(BenchmarkConfig(name=_name(number), source={"kind": "file", "path": str(path)}))
    taken = (*_READING, *_FURTHER)
    settings = {key: value for key, value in run.manifest["settings"].items() if key in taken}
    settings |= {"ask": False, "near_repeats": NEAR_REPEATS}
    # Model and SAE passed the gate in the audited run: examples that are unusual texts do not undo that.
    settings["sae"] = {**settings["sae"], "dictionary": None, "force": True}
    named = {"benchmarks": [benchmark.model_dump(mode="json") for benchmark in benchmarks]}
    return parse_config(RunConfig, {**settings, **named}, f"the settings in {run.path}")


def gather_examples(made: RunFolder, entries: Sequence[TaxonomyEntry], seed: int = 0) -> ReadExamples:
    """Take the examples' activations from the run that read them, one of each cluster (``division.one_of_each``)."""
    values, length, places = [], [], []
    domain: list[int] = []
    place: dict[tuple[int, str], int | None] = {}
    reasons: dict[tuple[int, str], str] = {}
    groups = {group: number for number, group in enumerate(_by_group(entries))}
    known_names = set(made.benchmarks["benchmark"])
    for number in groups.values():
        if _name(number) not in known_names:
            continue
        items = made.items.with_row_index("row").filter(pl.col("benchmark") == _name(number))
        read = np.flatnonzero(items["excluded"].is_null().to_numpy())
        kept = read[one_of_each(items["cluster"].to_numpy()[read], seed)]
        for item, excluded in items.select("item_id", "excluded").iter_rows():
            if excluded is None:
                place[number, item] = None
            else:
                reasons[number, item] = str(excluded["code"])
        for item in items["item_id"].gather(kept):
            place[number, item] = len(domain)
            domain.append(number)
        values.append(made.cas(_name(number))[kept])
        length += items["n_span_tokens"].gather(kept).to_list()
        places += items["row"].gather(kept).to_list()
    member_of, members, left_out = [], [], []
    for row, entry in enumerate(entries):
        for text in dict.fromkeys(entry.examples):
            key = (groups[entry.group], _id(text))
            if key not in place:
                left_out.append((entry.id, reasons.get(key, "half_character")))
            elif (column := place[key]) is not None:
                member_of.append(row)
                members.append(column)
    member = sp.csr_array((np.ones(len(members)), (member_of, members)), shape=(len(entries), len(domain)))
    examples = Examples(
        sp.csr_array(sp.vstack(values, format="csr")), member, np.array(domain, np.int64), np.array(length, float)
    )
    frame = pl.DataFrame(left_out, schema={"entry": pl.String, "reason": pl.String}, orient="row")
    return ReadExamples(examples, np.diff(member.indptr), np.array(places, np.int64), frame)


def _by_group(entries: Sequence[TaxonomyEntry]) -> dict[str, list[str]]:
    """Different examples of each group of entries that has any, by its name: the order of the list does not matter."""
    texts: dict[str, dict[str, None]] = {}
    for entry in entries:
        if entry.examples:
            texts.setdefault(entry.group, {}).update(dict.fromkeys(entry.examples))
    return {group: list(texts[group]) for group in sorted(texts)}


def _whole(text: str) -> bool:
    """Whether a text can be written: half a surrogate pair cannot."""
    return text == text.encode("utf-8", "ignore").decode()


def _write(path: Path, content: str) -> None:
    def write(part: Path) -> None:
        part.write_text(content, encoding="utf-8")

    write_atomic(path, write)


def _name(number: int) -> str:
    return f"domain {number}"


def _id(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
