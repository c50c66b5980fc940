"""Read taxonomies: lists of weaknesses from elsewhere.

A taxonomy is a list of entries with an id and a description, as JSON, JSONL, CSV or YAML, as AutoDetect's logs or as
garak's reports. Records that are left out are listed with their reasons.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.errors import UserError, nearest
from competency_gaps.matching.autodetect import is_log, point_entry, read_log
from competency_gaps.matching.conditions import satisfying
from competency_gaps.matching.records import Raw, load, load_jsonl
from competency_gaps.registry import LISTS
from competency_gaps.text import shorten, visible

_WORD = re.compile(r"\w+")
_SHORTEST = 3
"""Fewest characters of a word of the category that counts as new."""


@dataclass(frozen=True)
class TaxonomyEntry:
    """An entry of a taxonomy."""

    id: str
    description: str
    """The weak (or tested) point, with visible characters only, cut to ``DESCRIPTION_LIMIT``."""
    domain: str | None
    category: str | None
    score: float | None
    """The taxonomy's score, on its own scale; None: none."""
    extra: dict[str, Any]
    """All other fields of the record."""
    examples: tuple[str, ...] = ()
    """Example prompts, different ones only; empty: none."""

    @property
    def text(self) -> str:
        """The embedded text [ours]: the description, and the category in brackets if it adds a word.

        The category (underscores as spaces) is added if any of its words of three or more characters is not in the
        description. Domain, score and extra fields say nothing of the entry's subject and are not embedded.
        """
        category = (self.category or "").replace("_", " ").strip()
        there = set(_WORD.findall(self.description.casefold()))
        new = {word for word in _WORD.findall(category.casefold()) if len(word) >= _SHORTEST} - there
        return f"{self.description} ({category})" if new else self.description

    @property
    def group(self) -> str:
        """Entries with which it is compared by examples: of its domain, and of the model that it names, if any.

        Points that were tested on several models are entries of each.
        """
        model = self.extra.get("model")
        return f"{self.domain or ''}, {model}" if isinstance(model, str) else self.domain or ""

    @property
    def fields(self) -> dict[str, Any]:
        """All fields by name."""
        own = {"id": self.id, "description": self.description, "domain": self.domain, "category": self.category}
        return {**self.extra, **own, "score": self.score}


ID_LIMIT = 200
DESCRIPTION_LIMIT = 2000
"""Most characters of a description, four times the longest in any known taxonomy."""
SUFFIXES = (".csv", ".json", ".jsonl", ".yaml", ".yml")


@dataclass(frozen=True)
class Taxonomy:
    """Entries of a taxonomy, and records that were left out."""

    entries: list[TaxonomyEntry]
    """At least one, with distinct ids, in the order of the source."""
    left_out: list[tuple[str, str]]
    """(where, reason) of every record that was left out."""
    where: str | None
    """The filter."""
    notes: tuple[str, ...]
    """Notes on the source, e.g. that its reports have no scores."""


def read_taxonomy(path: Path | str, where: str | None = None) -> Taxonomy:
    """Read a taxonomy.

    Parameters
    ----------
    path
        A list of ``{id, description, domain, category, score, examples, ...}`` as JSON, JSONL, CSV or YAML (``tag``
        and ``label`` serve as id and description where a record has neither; ``examples`` is a list of prompts, or of
        objects with a ``prompt``); records of AutoDetect's points with their ``steps``; AutoDetect's ``log.json``;
        garak's ``*.report.jsonl``; or a folder that holds such logs or reports at any depth.
    where
        An SQL condition on the entries' fields, e.g. ``domain = 'mathematics' AND score < 5``; None: all entries. An
        entry without the field satisfies no comparison. Fields that hold lists or objects are compared as their text,
        fields that hold nothing but numbers as text (as of a CSV file) as numbers.

    Raises
    ------
    UserError
        If the path is missing or of no known form, the condition is malformed or names an unknown field, or no entry
        is left.
    """
    path = Path(path)
    raw, notes = _read(path)
    entries, left_out, unread = _entries(raw)
    if unread:
        notes.append(f"{len(unread):,} scores are not numbers, the first: {unread[0]}; those entries have none.")
    if not entries:
        why = f": {left_out[0][0]}: {left_out[0][1]}" if left_out else ""
        raise UserError(
            f"{path} has no entry ({len(left_out):,} records were left out{why}). Expected ids and descriptions."
        )
    chosen = entries if where is None else _select(entries, where)
    if not chosen:
        raise UserError(f"the filter {where!r} leaves none of the {len(entries):,} entries of {path}.")
    return Taxonomy(chosen, left_out, where, tuple(notes))


def _select(entries: Sequence[TaxonomyEntry], where: str) -> list[TaxonomyEntry]:
    """Entries that satisfy an SQL condition."""
    fields = pl.DataFrame(
        [{_encodable(name): _sql_value(value) for name, value in entry.fields.items()} for entry in entries],
        strict=False,
        infer_schema_length=None,
    )
    # All that a CSV file holds is text, its numbers too.
    further = pl.col(pl.String).exclude("id", "description", "domain", "category")
    for name in fields.select(further).columns:
        numbers = fields[name].cast(pl.Float64, strict=False)
        if numbers.null_count() == fields[name].null_count():
            fields = fields.with_columns(numbers)
    return list(compress(entries, satisfying(fields, where, "entry", "domain = 'mathematics' AND score < 5")))


def _sql_value(value: Any) -> str | float | bool | None:
    return value if value is None or isinstance(value, (int, float)) else _encodable(str(value))


def _encodable(text: str) -> str:
    """A text without lone surrogates, which no table holds."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _read(path: Path) -> tuple[list[Raw], list[str]]:
    """Read a path's records, and give notes on them."""
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        siblings = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"the taxonomy {path} does not exist.{nearest(path.name, siblings)}")
    if path.name.endswith(".hitlog.jsonl"):
        raise UserError(
            f"{path} holds garak's hits only, and no rates: give the report ({path.stem[:-7]}.report.jsonl)."
        )
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path} has no known format; expected {', '.join(SUFFIXES)}, or a folder of logs.")
    if path.suffix == ".jsonl":
        lines = load_jsonl(path)
        first: dict[str, Any] = next((line.values for line in lines if line.reason is None), {})
        if "entry_type" in first:
            return _probes(path)
        for line in lines:
            if line.reason is not None:
                raise UserError(f"{line.where}: {line.reason}. Expected one JSON object a line.")
        return lines, []
    content = load(path)
    if is_log(content):
        return read_log(content, path), []
    if not isinstance(content, list):
        raise UserError(f"{path} holds a {type(content).__name__}; expected a list of entries, or an AutoDetect log.")
    return [Raw(f"{path}, entry {i}", value) for i, value in enumerate(content, start=1)], []


def _probes(report: Path, prefix: str = "") -> tuple[list[Raw], list[str]]:
    records, notes = LISTS["garak"](report, prefix)
    return list(records), list(notes)


def _read_folder(path: Path) -> tuple[list[Raw], list[str]]:
    logs, reports = sorted(path.rglob("log.json")), sorted(path.rglob("*.report.jsonl"))
    if not logs and not reports:
        raise UserError(f"the folder {path} holds no AutoDetect log.json and no garak *.report.jsonl at any depth.")
    raw: list[Raw] = []
    notes: list[str] = []
    for log in logs:
        content = load(log)
        if is_log(content):
            raw += read_log(content, log, log.parent.relative_to(path).parts)
        else:
            raw.append(Raw(str(log), None, "it is not an AutoDetect log"))
    for report in reports:
        records, more_notes = _probes(report, report.relative_to(path).as_posix())
        raw += records
        notes += more_notes
    return raw, notes


def _entries(raw: Sequence[Raw]) -> tuple[list[TaxonomyEntry], list[tuple[str, str]], list[str]]:
    """Make entries of records; also give the records left out, as (where, reason), and the scores that are unread."""
    entries: dict[str, TaxonomyEntry] = {}
    left_out: list[tuple[str, str]] = []
    unread: list[str] = []
    for record in raw:
        reason = record.reason
        if reason is None:
            try:
                entry = _entry(record.values, record.where, unread)
                if entry.id in entries:
                    raise _NoEntry(f"the id {entry.id!r} occurs a second time")
                entries[entry.id] = entry
            except _NoEntry as error:
                reason = str(error)
        if reason is not None:
            left_out.append((shorten(visible(record.where), ID_LIMIT), shorten(visible(reason), ID_LIMIT)))
    return list(entries.values()), left_out, unread


class _NoEntry(ValueError):
    """A record cannot be an entry; the message says why."""


def _entry(values: Any, where: str, unread: list[str]) -> TaxonomyEntry:
    if not isinstance(values, Mapping):
        raise _NoEntry(f"it is a {type(values).__name__}, expected an object with id and description")
    values = dict(values)
    if isinstance(values.get("steps"), list) and "point" in values and "description" not in values:
        values = point_entry(values)
    # garak's list of tags has other names for these columns.
    names = ("tag", "label") if "id" not in values and "description" not in values else ("id", "description")
    key, text = (values.pop(name, None) for name in names)
    if isinstance(key, (bool, list, dict)) or key is None or not str(key).strip():
        raise _NoEntry("it has no id")
    key = visible(str(key).strip())
    if len(key) > ID_LIMIT:
        raise _NoEntry(f"its id has {len(key):,} characters, at most {ID_LIMIT} are taken")
    if not isinstance(text, str) or not text.strip():
        raise _NoEntry(f"entry {key!r} has no description")
    given = values.pop("score", None)
    score = _number(given)
    if given not in (None, "") and score is None:
        unread.append(f"{where}: {shorten(visible(repr(given)), 60)}")
    examples = _examples(values.get("examples"))
    if examples is not None:
        values.pop("examples")
    return TaxonomyEntry(
        id=key,
        description=visible(" ".join(text[: 4 * DESCRIPTION_LIMIT].split()))[:DESCRIPTION_LIMIT],
        domain=_short(values.pop("domain", None)),
        category=_short(values.pop("category", None)),
        score=score,
        examples=examples or (),
        extra={visible(str(name)): value for name, value in values.items()},
    )


def _examples(given: Any) -> tuple[str, ...] | None:
    """Different prompts: of a list (in a table, of a JSON list) of texts, or of objects with a text ``prompt``.

    None: it is something else, and the entry has no examples.
    """
    if isinstance(given, str) and given.lstrip().startswith("["):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return None
    if not isinstance(given, list):
        return None
    prompts = [value.get("prompt") if isinstance(value, Mapping) else value for value in given]
    texts = [prompt for prompt in prompts if isinstance(prompt, str)]
    return tuple(dict.fromkeys(text for text in texts if text.strip())) if len(texts) == len(prompts) else None


def _short(value: Any) -> str | None:
    return shorten(visible(str(value)), ID_LIMIT) if isinstance(value, (str, int, float)) and str(value) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
