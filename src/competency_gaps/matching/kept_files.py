"""Files of matches and scopes in a run folder: their names, their schemas, and their validation."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic

from competency_gaps.errors import UserError
from competency_gaps.files import finite, write_json
from competency_gaps.text import shorten, visible

Verdict = Literal["same", "related", "unconfirmed"]
ScopeVerdict = Literal["belongs", "borderline", "outside", "unconfirmed"]

_NAME_LIMIT = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Held(pydantic.BaseModel):
    """A part of a kept file; other fields are ignored."""

    model_config = pydantic.ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


Number = Annotated[int, pydantic.Field(ge=0)]


class HeldEntry(Held):
    """An entry of a list."""

    entry: str
    description: str
    bound: float


class HeldPair(Held):
    """An entry and a concept."""

    entry: str
    concept: Number
    label_text: str
    similarity: float
    p_value: float
    verdict: Verdict | None


class HeldThemePair(Held):
    """An entry and a theme."""

    entry: str
    level: Literal["theme", "subtheme"]
    id: Number
    label_text: str
    similarity: float
    p_value: float


class HeldMatching(Held):
    """A file of matches."""

    taxonomy: str
    entries: list[HeldEntry]
    pairs: list[HeldPair]
    themes: list[HeldThemePair]


class HeldLack(Held):
    """A concept that a benchmark lacks."""

    concept: Number
    label: str
    similarity: float
    p_value: float
    in_scope: bool
    coverage_status: Literal["missing", "under"]
    chi_bench_elsewhere: float | None
    verdict: ScopeVerdict | None


class HeldCount(Held):
    """A count."""

    count: Number


class HeldScope(Held):
    """A file of the concepts that a benchmark lacks."""

    benchmark: str
    clauses: Annotated[list[str], pydantic.Field(min_length=1)]
    alpha: float
    bound: float | None
    covered: HeldCount
    under: HeldCount
    missing: HeldCount
    rows: list[HeldLack]


Kind = TypeVar("Kind", bound=Held)


def file_name(name: str, key: str) -> str:
    """A portable file name, different for different keys."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    readable = _UNSAFE.sub("-", name)[:_NAME_LIMIT].strip("-.")
    return f"{readable}-{digest}.json" if readable else f"{digest}.json"


def write(path: Path, content: dict[str, Any]) -> Path:
    """Write a file with its time of creation."""
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_json(path, finite({"created": created, **content}))
    return path


def files(folder: Path, name: str) -> Iterator[Path]:
    """Kept files in a folder of the run folder, sorted by name."""
    # Names of partial files begin with a full stop.
    return (file for file in sorted((folder / name).glob("*.json")) if not file.name.startswith("."))


def read(file: Path, kind: type[Kind], command: str) -> Kind:
    """Read a file; ``command`` can make it again.

    Raises
    ------
    UserError
        If it is damaged.
    """
    try:
        return kind.model_validate_json(file.read_bytes())
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise damaged(file, f"{where}: {first['msg']}" if where else first["msg"], command) from error


def damaged(file: Path, why: str, command: str) -> UserError:
    """The error for a damaged file; it names the command that makes the file again."""
    return UserError(
        f"{file} is damaged: {shorten(visible(why), 200)}. Run 'cgaps {command}' again, or remove the file."
    )
