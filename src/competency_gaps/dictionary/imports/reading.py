"""Labels as a source has them, before they are checked; damaged parts are counted and skipped."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from competency_gaps import jsonl
from competency_gaps.dictionary.label_text import clean_name
from competency_gaps.text import shorten, visible

KNOWN_TOKENS = 20
"""Tokens kept per concept."""

_WHOLE = re.compile(r"-?[0-9]{1,18}")


class SourceLabel(NamedTuple):
    """One label as the source has it."""

    concept: int
    """The concept's index; not yet checked against the SAE's width."""
    text: str | None
    """The raw text; None if the source says that the concept has no label."""
    where: str
    """The file or folder that holds it."""
    source: str
    """Value of the table's column ``source``."""
    explainer: str | None = None
    detection: float | None = None
    fuzzing: float | None = None
    score: float | None = None
    """A score that the source states without saying how it was made."""


@dataclass
class StatedSAE:
    """What a source says about its SAE."""

    neuronpedia: set[str] = field(default_factory=set)
    """Names ``MODEL/SOURCE`` on Neuronpedia."""
    saelens: set[str] = field(default_factory=set)
    """Names ``release/id`` in SAELens."""
    widths: set[int] = field(default_factory=set)
    """Numbers of concepts."""
    module: str | None = None
    """delphi's name of the place where the activations are read."""

    def add_neuronpedia(self, model: Any, source: Any) -> None:
        """Add a Neuronpedia model and source, if both are given."""
        if isinstance(model, str) and isinstance(source, str) and model and source:
            self.neuronpedia.add(f"{model}/{source}")

    def add_source(self, row: dict[str, Any]) -> None:
        """Add the facts in a record of a Neuronpedia source."""
        self.add_neuronpedia(row.get("modelId"), row.get("id"))
        release, sae_id, config = (row.get(key) for key in ("saelensRelease", "saelensSaeId", "saelensConfig"))
        if isinstance(release, str) and isinstance(sae_id, str) and release and sae_id:
            self.saelens.add(f"{release}/{sae_id}")
        width = config.get("d_sae") if isinstance(config, dict) else None
        if isinstance(width, int) and not isinstance(width, bool):
            self.widths.add(width)


@dataclass
class Reading:
    """All that was read from a source."""

    kind: str
    """Format of the source."""
    labels: list[SourceLabel] = field(default_factory=list)
    looked_up: dict[int, SourceLabel] = field(default_factory=dict)
    """Concepts that the source knows, with or without a label; the row to write for a concept without one."""
    tokens: dict[int, list[str]] = field(default_factory=dict)
    """Texts of a concept's promoted tokens, where the source has them."""
    stated: StatedSAE = field(default_factory=StatedSAE)
    left_out: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """(where, reason) -> (count, first place)."""

    def leave_out(self, where: str, reason: str, first: str = "", count: int = 1) -> None:
        """Count something that is left out, with the first place where it occurs."""
        known, place = self.left_out.get((where, reason), (0, first))
        self.left_out[where, reason] = (known + count, place)

    def index(self, value: Any, where: str, first: str) -> int | None:
        """A concept's index; None, and counted, if the value is no index."""
        concept = whole_number(value)
        if concept is None or concept < 0:
            self.leave_out(where, "index is no whole number from 0", f"{first}: {shown(value)}")
            return None
        return concept

    def see(self, concept: int, where: str, source: str) -> None:
        """Add a concept that the source knows."""
        self.looked_up.setdefault(concept, SourceLabel(concept, None, where, source))

    def add_tokens(self, concept: int, tokens: Any) -> None:
        """Add a concept's promoted tokens, if they are a list of texts."""
        texts = [token for token in tokens[:KNOWN_TOKENS] if isinstance(token, str)] if isinstance(tokens, list) else []
        if texts:
            self.tokens.setdefault(concept, texts)


def whole_number(value: Any) -> int | None:
    """An index as a number: a whole number, or its digits as text; None for anything else (true, 1.5, "1_0")."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value.strip()) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def fraction(value: Any) -> float | None:
    """A score as a number in [0, 1]; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number <= 1 and not isinstance(value, bool) else None


def name_of(value: Any) -> str | None:
    """The name of an explainer; None if the value is no text."""
    return clean_name(value) if isinstance(value, str) else None


def shown(value: Any) -> str:
    """A foreign value for a message."""
    return shorten(visible(repr(value)), 60)


def listed(values: Iterable[Any], limit: int = 8) -> str:
    """The first few foreign values, for a message."""
    texts = sorted(shorten(visible(str(value)), 100) for value in values)
    return ", ".join(texts[:limit]) + (f", and {len(texts) - limit} more" if len(texts) > limit else "")


def json_lines(path: Path, reading: Reading) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file (``.gz``: gzipped), each with its place: the line's number.

    Damaged lines, and the rest of a damaged gzip file, are left out and counted.
    """
    place = "line 0"
    try:
        with cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb") as file:
            for line in jsonl.json_lines(file):
                place = f"line {line.number:,}"
                if line.fault is None:
                    yield place, line.value
                elif line.fault == "object":
                    reading.leave_out(path.name, "line is no JSON object", f"{place}: {shown(line.value)}")
                else:
                    reading.leave_out(path.name, "line is not JSON", place)
    except (EOFError, zlib.error, OSError) as error:
        first = f"after {place}: {shorten(visible(str(error)), 100)}"
        reading.leave_out(path.name, "file is damaged; what comes after is lost", first)


def parse_json(content: str | bytes) -> Any:
    """Parse foreign JSON.

    Raises
    ------
    ValueError
        If it is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
