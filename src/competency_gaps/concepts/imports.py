"""Read other people's labels of concepts: Neuronpedia's exports, JSON, tables and other dictionaries.

A label belongs to the concept whose index it comes with, never to a position. Damaged parts are counted and skipped.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.concepts.folder import is_dictionary, open_dictionary
from competency_gaps.concepts.labels import (
    FILE,
    SCHEMA,
    STATED,
    clean_line,
    empty_labels,
    is_placeholder,
    merge_labels,
    today,
)
from competency_gaps.concepts.neuronpedia import BATCH, fetch_export
from competency_gaps.items.config import FileSource
from competency_gaps.items.files import read_files
from competency_gaps.util.errors import UserError
from competency_gaps.util.jsonl import float_or_none, json_file, json_lines
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import listing, shorten, visible

COLUMNS = {
    "concept": ("concept", "index", "feature", "latent"),
    "label": ("label", "description", "explanation"),
    "explainer": ("explainer", "explanationmodelname"),
    "score": ("score", "detection"),
}
"""Accepted names of each column; upper and lower case do not count."""
Rows = Iterator[tuple[str, dict[str, Any]]]
"""Pairs of a row's place (file and line, row or key) and the row, as mapping."""
_NEURONPEDIA = "neuronpedia:"
_NAME = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]{0,199})/([A-Za-z0-9_-][A-Za-z0-9._-]{0,199})")
"""MODEL/SOURCE: both become parts of paths and addresses."""
_THOUSANDS = re.compile(r"[-_](\d+)k(?=$|[-_])")
"""Width of an SAE in its Neuronpedia name: 16k is 16,384, and 65k is 65,536."""
_FAILED = re.compile(
    r"(the )?explanation (could not|couldn't|cannot|can't) be parsed|explanation parsing failed"
    r"|(could not|failed to) parse (the )?explanation"
)
"""Texts that explainers store when they cannot parse a model's answer [ours]."""


@dataclass(frozen=True)
class Omission:
    """Something that an import left out or changed, counted by reason."""

    reason: str
    count: int
    first: str
    """First place where it occurs."""


@dataclass(frozen=True)
class ImportedLabels:
    """Imported labels, and counts of the import."""

    table: pl.DataFrame
    """Rows of the label table, of kind "imported"."""
    labelled: int
    """Concepts with a label."""
    none: int
    """Concepts that were looked up and have no label."""
    never: int
    """Concepts that the source does not mention. The three add up to the SAE's width."""
    placeholders: int
    """Labels that only repeat a token."""
    left_out: list[Omission]
    identity_check: str
    """A sentence on whether the source is about this SAE, as far as it says."""


def import_labels(source: str | Path, *, sae_identity: Mapping[str, Any], progress: Progress) -> ImportedLabels:
    """Return other people's labels as rows of the label table, with counts of the import.

    Parameters
    ----------
    source
        A file or folder (a Neuronpedia export, ``{concept: label}`` as JSON, a CSV, TSV, JSONL or Parquet table,
        another dictionary), or ``neuronpedia:MODEL/SOURCE`` (its bulk export over the network).
    sae_identity
        The SAE's identity, as ``SparseAutoencoder.identity``.

    Raises
    ------
    UserError
        If the source is missing, of unknown format, about another SAE (the message names both), or has no usable label.
    MissingExtraError
        If httpx is needed and not installed.
    """
    labels, path = _Labels(), Path(source).expanduser()
    if str(source).startswith(_NEURONPEDIA):
        labels.fetch(str(source).removeprefix(_NEURONPEDIA), progress)
    elif path.exists():
        if is_dictionary(folder := path if path.is_dir() else path.parent):
            open_dictionary(folder, dict(sae_identity))
            path = folder / FILE if path.is_dir() else path
        labels.read(path, progress)
    else:
        raise UserError(
            f"labels {str(source)!r}: there is no such file or folder. Expected a path, or neuronpedia:MODEL/SOURCE."
        )
    width = sae_identity["d_sae"]
    check = labels.check_sae(sae_identity, width)
    left_out = [Omission(reason, *counted) for reason, counted in sorted(labels.left_out.items())]
    if not labels.rows:
        reasons = "; ".join(f"{item.reason} ({item.count:,}; {item.first})" for item in left_out[:5])
        raise UserError(f"this source has no usable label. {reasons or 'It is empty'}.")
    table = labels.table()
    labelled = table.filter(pl.col("label").is_not_null())["concept"].n_unique()
    looked_up = table["concept"].n_unique()
    counts = labelled, looked_up - labelled, width - looked_up, int(table["placeholder"].sum())
    return ImportedLabels(table, *counts, left_out, check)


class _Labels:
    """Collects a source's labels, the SAEs that it says it is about, and omissions."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        """Rows of the label table, in the source's order; a null label: the concept was looked up and has none."""
        self.saes: set[str] = set()
        """SAEs that the source says it is about, as ``MODEL/SOURCE`` on Neuronpedia."""
        self.left_out: dict[str, tuple[int, str]] = {}
        """Reason of an omission -> count, first place."""

    def leave_out(self, reason: str, where: str) -> None:
        """Count an omission."""
        count, first = self.left_out.get(reason, (0, where))
        self.left_out[reason] = (count + 1, first)

    def fetch(self, name: str, progress: Progress) -> None:
        """Download and read a source from Neuronpedia."""
        match = _NAME.fullmatch(name)
        if not match:
            raise UserError(
                f"labels neuronpedia:{_plain(name)}: expected neuronpedia:MODEL/SOURCE, as in "
                "neuronpedia:gemma-2-2b/20-gemmascope-res-16k."
            )
        model, source = match.groups()
        self.read(fetch_export(model, source, progress), progress)
        self.saes.add(name)

    def read(self, path: Path, progress: Progress) -> None:
        """Read a file, or the folder of a bulk export (or its subfolder ``explanations``)."""
        if not path.is_dir():
            self._add(self._file(path))
            return
        root = path.parent if path.name == "explanations" else path
        batches = _batches(root / "explanations") or _batches(path)
        if not batches:
            raise UserError(
                f"labels {str(path)!r}: neither a dictionary nor an export of Neuronpedia (batch-N.jsonl.gz, also "
                f"under 'explanations')."
            )
        for name in ("source.jsonl", "source.jsonl.gz"):
            for _, row in self._lines(root / name) if (root / name).is_file() else ():
                self._note_sae(row)
        with progress.stage("reading labels", total=len(batches), unit="files") as bar:
            for file in batches:
                self._add(self._lines(file))
                bar.advance()

    def _file(self, path: Path) -> Rows:
        """Yield the rows of a file in the format of its suffix."""
        if path.name.endswith((".jsonl", ".jsonl.gz")):
            yield from self._lines(path)
        elif path.suffix == ".json":
            content = json_file(path)
            if not isinstance(content, dict):
                raise UserError(
                    f"labels {str(path)!r}: expected {{concept: label}}. Labels are never matched by position."
                )
            for key, value in content.items():
                for text in value if isinstance(value, list) and value else [None if value == [] else value]:
                    yield f"{path.name}, key {_plain(key)}", {"concept": key, "label": text}
        elif path.suffix in (".csv", ".tsv", ".parquet"):
            for number, record in enumerate(read_files(FileSource(path=path)), 1):
                yield f"{path.name}, row {number:,}", dict(record.values)
        else:
            raise UserError(
                f"labels {str(path)!r}: of unknown format; expected .json, .jsonl, .jsonl.gz, .csv, .tsv, .parquet, or "
                f"a Neuronpedia folder."
            )

    def _lines(self, path: Path) -> Rows:
        """Yield the objects of a JSONL file, gzipped or not."""
        where = path.name
        try:
            with path.open("rb") as raw:
                packed = raw.peek(2)[:2] == b"\x1f\x8b"
                for line in json_lines(gzip.GzipFile(fileobj=raw) if packed else raw):
                    where = f"{path.name}, line {line.number:,}"
                    if line.fault is None:
                        yield where, line.value
                    else:
                        self.leave_out("line is not a JSON object", where)
        except (EOFError, zlib.error, OSError):
            self.leave_out("file is damaged; the rest is lost", where)

    def _add(self, rows: Rows) -> None:
        """Collect rows, of a table or of Neuronpedia's explanations, and count those that cannot be used."""
        for where, row in rows:
            known = {name.strip().casefold(): value for name, value in row.items()}
            columns = {column: next((n for n in names if n in known), None) for column, names in COLUMNS.items()}
            values = {column: known[name] for column, name in columns.items() if name is not None}
            concept, raw = _index(values.get("concept")), values.get("label")
            if raw != raw:  # NaN, as pandas writes a missing value
                raw = None
            if concept is None:
                self.leave_out(f"no whole number of 0 or more in {' or '.join(COLUMNS['concept'])}", where)
            elif "label" not in values or not isinstance(raw, str | None):
                self.leave_out(f"no text in {' or '.join(COLUMNS['label'])}", where)
            else:
                label, explainer = self._clean(raw, f"concept {concept}"), values.get("explainer")
                score = None if label is None else _fraction(values.get("score"))
                facts = {"concept": concept, "label": label, "kind": "imported", "score": score, "date": today()}
                facts["explainer"] = clean_line(explainer) if isinstance(explainer, str) else None
                facts["scored_by"] = None if score is None else STATED
                facts["placeholder"] = label is not None and is_placeholder(str(raw))
                self.rows.append({**facts, "source": clean_line(_source(row, where))})
            self._note_sae(row)

    def _clean(self, raw: str | None, where: str) -> str | None:
        """Return the label to store; None, and an omission, if it is empty or reports an explainer's failure."""
        label = clean_line(raw)
        if raw is not None and label is None:
            self.leave_out("empty label: recorded as looked up, without a label", where)
        elif label is not None and _FAILED.fullmatch(label.strip(" .[]\"'").casefold()):
            self.leave_out("the explainer failed: recorded as looked up, without a label", where)
            return None
        return label

    def _note_sae(self, row: Mapping[str, Any]) -> None:
        """Note which SAE a record says it is about."""
        for key in ("layer", "id"):
            names = (row.get("modelId"), row.get(key))
            if all(isinstance(name, str) and name for name in names):
                self.saes.add("/".join(map(str, names)))

    def check_sae(self, sae: Mapping[str, Any], width: int) -> str:
        """Return a sentence on whether the source's SAE is this one; raises UserError if it is another.

        If this SAE has a Neuronpedia id, the source must name the same; else a width in the source's name must agree.
        """
        if len(self.saes) > 1:
            raise UserError(f"the labels belong to several SAEs: {_listed(self.saes)}. Give the labels of one SAE.")
        name, neuronpedia_id = str(sae.get("name") or ""), sae.get("neuronpedia_id")
        compared = [(theirs, str(neuronpedia_id)) for theirs in self.saes if neuronpedia_id]
        for theirs in () if neuronpedia_id else self.saes:
            stated = _THOUSANDS.search(theirs)
            if stated and int(stated[1]) not in (width // 1000, width // 1024):
                compared.append((theirs, f"of {width:,} concepts"))
        largest = max((row["concept"] for row in self.rows), default=0)
        if largest >= width:
            compared.append((f"concept {largest}", f"of concepts 0 to {width - 1}"))
        differ = [f"{_plain(theirs)}, but this SAE is {_plain(ours)}" for theirs, ours in compared if theirs != ours]
        if differ:
            raise UserError(
                f"the labels belong to another SAE, namely {differ[0]} (its name: {_plain(repr(name))}). Give the "
                "labels of this SAE."
            )
        if compared:
            return f"agrees: {_listed(theirs for theirs, _ in compared)}"
        if self.saes:
            said = _listed(self.saes)
            return f"the source says {said}, which cannot be compared with this SAE ({_plain(repr(name))})"
        return "not stated by the source; only the range of indices was checked"

    def table(self) -> pl.DataFrame:
        """Return the label table. Of rows with equal keys, the alphabetically first label counts."""
        labels = [row for row in self.rows if row["label"] is not None]
        labels.sort(key=lambda row: (row["label"], row["explainer"] or "", row["source"]))
        labelled = {row["concept"] for row in labels}
        unlabelled = {row["concept"]: row for row in reversed(self.rows) if row["concept"] not in labelled}
        rows = pl.DataFrame([*reversed(labels), *unlabelled.values()], schema=SCHEMA)
        return merge_labels(empty_labels(), rows)


def _batches(folder: Path) -> list[Path]:
    """Return the batch files of a folder in the order of their numbers."""
    paths = [path for path in folder.iterdir() if BATCH.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(paths, key=lambda path: (int(path.name.split("-")[1].split(".")[0]), path.name))


def _source(row: Mapping[str, Any], where: str) -> str:
    """Return where a row comes from: a source on Neuronpedia, or a file."""
    model, source, kind = row.get("modelId"), row.get("layer"), row.get("typeName")
    if isinstance(model, str) and isinstance(source, str):
        return f"neuronpedia:{model}/{source}" + (f"#{kind}" if isinstance(kind, str) and kind else "")
    return f"file:{where.rsplit(', ', 1)[0]}"


def _index(value: Any) -> int | None:
    """Return a concept's index, given as a whole number or as digits; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()):
        return int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0 and value == value // 1:
        return int(value)
    return None


def _fraction(value: Any) -> float | None:
    """Return a score as a number in [0, 1]; None for anything else."""
    number = float_or_none(value)
    return number if number is not None and 0 <= number <= 1 and not isinstance(value, bool) else None


def _plain(text: str) -> str:
    return shorten(visible(text), 200)


def _listed(values: Iterable[str]) -> str:
    """Return the first few names that a source states, for a message."""
    texts = sorted(shorten(visible(value), 100) for value in values)
    return listing(texts, len(texts))
