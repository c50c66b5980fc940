"""Labels of concepts from elsewhere: Neuronpedia's exports and objects, JSON and tables.

Labels are keyed on the index that stands with them, never on their position. Damaged parts are counted and skipped.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from competency_gaps.concepts.folder import is_dictionary, open_dictionary
from competency_gaps.concepts.labels import FILE as LABELS
from competency_gaps.concepts.labels import (
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
from competency_gaps.util import jsonl
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import listing, shorten, visible

COLUMNS = {
    "concept": ("concept", "index", "feature", "latent"),
    "label": ("label", "description", "explanation"),
    "explainer": ("explainer", "explanationmodelname"),
    "score": ("score", "detection"),
}
"""Names of each column, regardless of case."""
_REMOTE = re.compile(r"neuronpedia:(.*)", re.DOTALL)
_NAME = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]{0,199})/([A-Za-z0-9_-][A-Za-z0-9._-]{0,199})")
"""MODEL/SOURCE: both become parts of paths and addresses."""
_THOUSANDS = re.compile(r"[-_](\d+)k(?=$|[-_])")
"""The width of an SAE in its name on Neuronpedia: 16k is 16,384, and 65k is 65,536."""
_FAILED = re.compile(
    r"(the )?explanation (could not|couldn't|cannot|can't) be parsed|explanation parsing failed"
    r"|(could not|failed to) parse (the )?explanation"
)
"""Texts that explainers write when they cannot read a model's answer [ours]."""


@dataclass(frozen=True)
class Omission:
    """What was left out or changed, by reason."""

    reason: str
    count: int
    """How often."""
    first: str
    """The first place where it occurs."""


@dataclass(frozen=True)
class ImportedLabels:
    """Labels from a source, and how the import went."""

    table: pl.DataFrame
    """Rows of the label table, kind "imported"."""
    labelled: int
    """Concepts with a label."""
    none: int
    """Concepts that were looked up and have no label."""
    never: int
    """Concepts that the source does not know (never looked up). The three add up to the SAE's width."""
    placeholders: int
    """Labels that are only a token."""
    left_out: list[Omission]
    identity_check: str
    """Whether the source is about this SAE, as far as is known."""


class SourceLabel(NamedTuple):
    """One label as the source has it."""

    concept: int
    text: str | None
    """The raw text; None if the source says that the concept has no label."""
    source: str
    """Value of the table's column ``source``."""
    explainer: str | None = None
    score: float | None = None
    """A score that the source states without saying how it was made."""


@dataclass
class Reading:
    """All that was read from a source, before it is checked."""

    labels: list[SourceLabel] = field(default_factory=list)
    about: set[str] = field(default_factory=set)
    """SAEs that the source says it is about, by ``MODEL/SOURCE`` on Neuronpedia."""
    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Reason -> count, first place."""

    def leave_out(self, reason: str, where: str) -> None:
        """Count something that is left out."""
        count, first = self.left_out.get(reason, (0, where))
        self.left_out[reason] = (count + 1, first)

    def state(self, row: Mapping[str, Any]) -> None:
        """Keep what a record says about its SAE."""
        for key in ("layer", "id"):
            both = (row.get("modelId"), row.get(key))
            if all(isinstance(name, str) and name for name in both):
                self.about.add("/".join(map(str, both)))


def import_labels(source: str | Path, *, sae_identity: Mapping[str, Any], progress: Progress) -> ImportedLabels:
    """Read labels from elsewhere as rows of the label table.

    Parameters
    ----------
    source
        A file or folder (a Neuronpedia export, ``{concept: label}`` as JSON, a
        CSV, TSV, JSONL or Parquet table, another dictionary), or ``neuronpedia:MODEL/SOURCE`` (its bulk export over the
        network).
    sae_identity
        The SAE's identity, as ``SparseAutoencoder.identity``.

    Raises
    ------
    UserError
        If the source is missing, of no known format, about another SAE (the message names both), or nothing in it can
        be used.
    MissingExtraError
        If httpx is needed and not installed.
    """
    remote = _REMOTE.fullmatch(str(source))
    if remote:
        reading = _fetch(remote[1], progress)
    elif (path := Path(source).expanduser()).exists():
        if is_dictionary(home := path if path.is_dir() else path.parent):
            open_dictionary(home, dict(sae_identity))
        reading = _read(path, progress)
    else:
        raise UserError(
            f"labels {str(source)!r}: there is no such file or folder. Expected a path, or neuronpedia:MODEL/SOURCE."
        )
    width = sae_identity["d_sae"]
    check = _check_sae(reading, sae_identity, width)
    rows = _rows(reading)
    left_out = [Omission(reason, *counted) for reason, counted in sorted(reading.left_out.items())]
    if not rows:
        reasons = "; ".join(f"{item.reason} ({item.count:,}; {item.first})" for item in left_out[:5])
        raise UserError(f"this source has no usable label. {reasons or 'It is empty'}.")
    table = merge_labels(empty_labels(), pl.DataFrame(rows, schema=SCHEMA))
    labelled = table.filter(pl.col("label").is_not_null())["concept"].n_unique()
    looked_up = table["concept"].n_unique()
    counts = labelled, looked_up - labelled, width - looked_up, int(table["placeholder"].sum())
    return ImportedLabels(table, *counts, left_out, check)


def _fetch(name: str, progress: Progress) -> Reading:
    match = _NAME.fullmatch(name)
    if not match:
        raise UserError(
            f"labels neuronpedia:{_plain(name)}: expected neuronpedia:MODEL/SOURCE, as in "
            "neuronpedia:gemma-2-2b/20-gemmascope-res-16k."
        )
    model, source = match.groups()
    reading = _read_export(fetch_export(model, source, progress), progress)
    reading.state({"modelId": model, "layer": source})
    return reading


def _read(path: Path, progress: Progress) -> Reading:
    """Read a file or folder in the format that it has."""
    if path.is_dir() and is_dictionary(path):
        path /= LABELS
    if path.is_dir():
        if _batches(path) or _batches(path / "explanations"):
            return _read_export(path, progress)
        raise UserError(
            f"labels {str(path)!r}: neither a dictionary nor an export of Neuronpedia (batch-N.jsonl.gz, also "
            f"under 'explanations')."
        )
    reading = Reading()
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        rows: Iterable[tuple[str, dict[str, Any]]] = _json_lines(path, reading)
    elif path.suffix == ".json":
        rows = _json_rows(path)
    elif path.suffix in (".csv", ".tsv", ".parquet"):
        read = read_files(FileSource(path=path))
        rows = ((f"{path.name}, row {number:,}", dict(row.values)) for number, row in enumerate(read, 1))
    else:
        raise UserError(
            f"labels {str(path)!r}: of unknown format; expected .json, .jsonl, .jsonl.gz, .csv, .tsv, .parquet, or a "
            f"Neuronpedia folder."
        )
    _add_rows(reading, rows)
    return reading


def _batches(folder: Path) -> list[Path]:
    """The batch files of a folder in the order of their numbers."""
    paths = [path for path in folder.iterdir() if BATCH.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(paths, key=lambda path: (int(path.name.split("-")[1].split(".")[0]), path.name))


def _read_export(path: Path, progress: Progress) -> Reading:
    """Read a bulk export: its folder, or the subfolder ``explanations``."""
    root = path.parent if path.name == "explanations" else path
    explanations = _batches(root / "explanations") or _batches(path)
    reading = Reading()
    for name in ("source.jsonl", "source.jsonl.gz"):
        for _, row in _json_lines(root / name, reading) if (root / name).is_file() else ():
            reading.state(row)
    with progress.stage("reading labels", total=len(explanations), unit="files") as bar:
        for file in explanations:
            _add_rows(reading, _json_lines(file, reading))
            bar.advance()
    return reading


def _json_lines(path: Path, reading: Reading) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file, gzipped or not, each with its place."""
    where = path.name
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            for line in jsonl.json_lines(gzip.GzipFile(fileobj=raw) if packed else raw):
                where = f"{path.name}, line {line.number:,}"
                if line.fault is None:
                    yield where, line.value
                else:
                    reading.leave_out("line is not a JSON object", where)
    except (EOFError, zlib.error, OSError):
        reading.leave_out("file is damaged; the rest is lost", where)


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries of ``{concept: text, texts or null}``."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"labels {str(path)!r} is not valid JSON: {_plain(str(error))}") from error
    if not isinstance(content, dict):
        raise UserError(
            f"labels {str(path)!r}: expected an object {{concept: label}}. Labels are never matched by position."
        )
    for key, value in content.items():
        for text in value if isinstance(value, list) and value else [None if value == [] else value]:
            yield f"{path.name}, key {_plain(key)}", {"concept": key, "label": text}


def _add_rows(reading: Reading, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Add rows of a table, or Neuronpedia's explanations, each with its place."""
    for where, row in rows:
        known = {name.strip().casefold(): value for name, value in row.items()}
        columns = {column: next((n for n in names if n in known), None) for column, names in COLUMNS.items()}
        values = {column: known[name] for column, name in columns.items() if name is not None}
        concept, text = _index(values.get("concept")), values.get("label")
        if text != text:  # NaN, as pandas writes a missing value
            text = None
        if concept is None:
            reading.leave_out(f"no whole number of 0 or more in {' or '.join(COLUMNS['concept'])}", where)
        elif "label" not in values or not isinstance(text, str | None):
            reading.leave_out(f"no text in {' or '.join(COLUMNS['label'])}", where)
        else:
            score, explainer = _fraction(values.get("score")), values.get("explainer")
            explainer = clean_line(explainer) if isinstance(explainer, str) else None
            reading.labels.append(SourceLabel(concept, text, _source(row, where), explainer, score))
        reading.state(row)


def _source(row: Mapping[str, Any], where: str) -> str:
    model, source, kind = row.get("modelId"), row.get("layer"), row.get("typeName")
    if isinstance(model, str) and isinstance(source, str):
        return f"neuronpedia:{model}/{source}" + (f"#{kind}" if isinstance(kind, str) and kind else "")
    return f"file:{where.rsplit(', ', 1)[0]}"


def _index(value: Any) -> int | None:
    """A concept's index: a whole number, or its digits as text; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()):
        return int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0 and value == value // 1:
        return int(value)
    return None


def _fraction(value: Any) -> float | None:
    """A score as a number in [0, 1]; None for anything else."""
    number = jsonl.float_or_none(value)
    return number if number is not None and 0 <= number <= 1 and not isinstance(value, bool) else None


def _check_sae(reading: Reading, sae: Mapping[str, Any], width: int) -> str:
    """Compare what a source says about its SAE with the SAE of the dictionary; a sentence on what was compared.

    Neuronpedia's id decides if both have one; else the width in its name there must be this one's.
    """
    if len(reading.about) > 1:
        raise UserError(f"the labels belong to several SAEs: {_listed(reading.about)}. Give the labels of one SAE.")
    name, ours = str(sae.get("name") or ""), sae.get("neuronpedia_id")
    compared = [(theirs, str(ours)) for theirs in reading.about if ours]
    for theirs in () if ours else reading.about:
        stated = _THOUSANDS.search(theirs)
        if stated and int(stated[1]) not in (width // 1000, width // 1024):
            compared.append((theirs, f"of {width:,} concepts"))
    largest = max((label.concept for label in reading.labels), default=0)
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
    if reading.about:
        return (
            f"the source says {_listed(reading.about)}, which cannot be compared with this SAE ({_plain(repr(name))})"
        )
    return "not stated by the source; only the range of indices was checked"


def _rows(reading: Reading) -> list[dict[str, Any]]:
    """Rows of the label table: of those of one concept, explainer and source the alphabetically first stands last."""
    texts = [(label, text) for label in reading.labels if (text := _text(label, reading)) is not None]
    texts.sort(key=lambda pair: (pair[1], pair[0].explainer or "", pair[0].source))
    labelled = {label.concept for label, _ in texts}
    others = {label.concept: (label, None) for label in reversed(reading.labels) if label.concept not in labelled}
    return [_row(*pair) for pair in (*reversed(texts), *others.values())]


def _row(label: SourceLabel, text: str | None) -> dict[str, Any]:
    """A row of the label table; without a text that of a concept that was looked up and has no label."""
    score = None if text is None else label.score
    return {
        "concept": label.concept,
        "label": text,
        "kind": "imported",
        "explainer": label.explainer,
        "score": score,
        "scored_by": None if score is None else STATED,
        "source": clean_line(label.source),
        "placeholder": text is not None and is_placeholder(label.text or ""),
        "date": today(),
    }


def _text(label: SourceLabel, reading: Reading) -> str | None:
    """The text to store; None, and counted, if it is empty or reports an explainer's failure."""
    if label.text is None:
        return None
    text, where = clean_line(label.text), f"concept {label.concept}"
    if text is None:
        reading.leave_out("empty label: recorded as looked up, without a label", where)
    elif _FAILED.fullmatch(text.strip(" .[]\"'").casefold()):
        reading.leave_out("the explainer failed: recorded as looked up, without a label", where)
    else:
        return text
    return None


def _plain(text: str) -> str:
    return shorten(visible(text), 200)


def _listed(values: Iterable[str]) -> str:
    """The first few foreign values, for a message."""
    texts = sorted(shorten(visible(value), 100) for value in values)
    return listing(texts, len(texts))
