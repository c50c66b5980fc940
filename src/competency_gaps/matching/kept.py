"""What ``cgaps match`` and ``cgaps scope`` found, kept in the run folder and read back without embeddings or torch."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import polars as pl
import pydantic

from competency_gaps.errors import UserError
from competency_gaps.files import finite, write_json
from competency_gaps.matching.documents import matching_document, scope_document
from competency_gaps.text import shorten, visible

if TYPE_CHECKING:
    from competency_gaps.matching.scope import ScopeFindings
    from competency_gaps.matching.summary import Matching
    from competency_gaps.matching.taxonomy import Taxonomy
    from competency_gaps.runs.open import Run

MATCHES, SCOPES = "matches", "scopes"
"""Folders in the run folder: a file per taxonomy, and one per benchmark."""
_NAME_LIMIT = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

Verdict = Literal["same", "related", "unconfirmed"]
ScopeVerdict = Literal["belongs", "borderline", "outside", "unconfirmed"]


@dataclass(frozen=True)
class KeptMatch:
    """An entry of an outside list and a concept, or a theme, that bears a label near to it."""

    taxonomy: str
    """Name of the list's file or folder, without where it lies: a run is shared, its author's folders are not."""
    entry: str
    """The entry's id."""
    description: str
    concept: int | None
    """Null: it is a theme."""
    level: Literal["theme", "subtheme"] | None
    """Null: it is a concept."""
    theme: int | None
    """Number of the theme on its level; null: it is a concept."""
    label: str
    """Label of the concept, or name of the theme, as it was compared."""
    similarity: float
    """Cosine of the embedded texts, in [-1, 1]."""
    p_value: float
    """Share of the null's draws in which the entry's best label comes as near, in (0, 1]."""
    bound: float | None
    """What the null's best labels reach at most in all but a share ``alpha`` of draws; null: not kept of themes."""
    verdict: Verdict | None
    """A model's; null: not asked. Pairs that it judged unrelated are no matches."""


@dataclass(frozen=True)
class KeptLack:
    """A concept that a benchmark lacks."""

    concept: int
    label: str
    similarity: float
    """To the nearest clause of the scope, in [-1, 1]."""
    p_value: float
    """Share of shuffled labels that come as near, in (0, 1]."""
    in_scope: bool
    coverage_status: Literal["missing", "under"]
    chi_bench_elsewhere: float | None
    """Mean over the other benchmarks, >= 0; null: there are none."""
    verdict: ScopeVerdict | None
    """A model's; null: not asked."""


@dataclass(frozen=True)
class KeptScope:
    """What a benchmark lacks of its stated scope."""

    benchmark: str
    description: str
    alpha: float
    """Share of shuffled labels that are in scope by chance."""
    bound: float | None
    """Least similarity of an in-scope label; null: none is in scope."""
    covered: int
    """In-scope concepts that the benchmark covers."""
    under: int
    """In-scope concepts that it under-represents."""
    missing: int
    """In-scope concepts that it lacks altogether."""
    lacking: list[KeptLack]
    """The nearest to the scope first: all that are in scope, and the nearest of the others."""


def keep_matching(run: Run, path: Path, taxonomy: Taxonomy, facts: dict[str, Any], found: Matching) -> Path:
    """Keep a matching; an earlier one of the same list and filter is replaced.

    Parameters
    ----------
    path
        Where the list was read.
    facts
        What else there is to say of it: the settings and the judges.

    Returns
    -------
    Path
        The file.
    """
    where = taxonomy.where
    given = {
        "taxonomy": visible(str(path)),
        "where": None if where is None else visible(where),
        "left_out": len(taxonomy.left_out),
        "notes": [visible(note) for note in taxonomy.notes],
    }
    name = _file_name(path.stem, f"{path.resolve()}\n{where or ''}")
    return _write(run.path / MATCHES / name, {**given, **facts, **matching_document(found)})


def keep_scope(run: Run, limit: int, facts: dict[str, Any], found: ScopeFindings) -> Path:
    """Keep what a benchmark lacks; earlier findings on the same benchmark are replaced.

    Parameters
    ----------
    limit
        Rows kept at least; all that the null puts in scope are.
    """
    near = found.lacking.filter(pl.col("p_value") <= found.alpha).height
    name = _file_name(found.benchmark, found.benchmark)
    return _write(run.path / SCOPES / name, {**facts, **scope_document(found, max(limit, near))})


def forget_matches(folder: Path) -> None:
    """Remove what was kept in a run folder: its labels are no longer those that were compared."""
    for file in (*_files(folder, MATCHES), *_files(folder, SCOPES)):
        file.unlink()


def read_matches(run: Run) -> list[KeptMatch]:
    """Read every match that was kept: list by list, concepts before themes.

    Returns
    -------
    list of KeptMatch
        Empty: none was kept, or nothing matched.

    Raises
    ------
    UserError
        If a file is damaged.
    """
    found = []
    for file in _files(run.path, MATCHES):
        held = _read(file, _Matching, "match")
        known = {entry.entry: entry for entry in held.entries}
        pairs: list[_Pair | _ThemePair] = [*held.pairs, *held.themes]
        for pair in pairs:
            entry = known.get(pair.entry)
            if entry is None or (isinstance(pair, _Pair) and pair.concept >= run.width):
                raise _damaged(file, f"a pair of {pair.entry!r} names nothing that is there", "match")
            found.append(_match(Path(held.taxonomy).name or held.taxonomy, entry, pair))
    return found


def read_scopes(run: Run) -> list[KeptScope]:
    """Read what benchmarks lack of their scopes, in the order of the run's benchmarks.

    Returns
    -------
    list of KeptScope
        Empty: none was kept.

    Raises
    ------
    UserError
        If a file is damaged.
    """
    order = {entry["name"]: i for i, entry in enumerate(run.manifest["benchmarks"])}
    found = []
    for file in _files(run.path, SCOPES):
        held = _read(file, _Scope, "scope")
        if held.benchmark not in order or any(row.concept >= run.width for row in held.rows):
            raise _damaged(file, "it names a benchmark or a concept that the run has not", "scope")
        counts = {name: getattr(held, name).count for name in ("covered", "under", "missing")}
        lacking = [KeptLack(**dict(row)) for row in held.rows]
        found.append(KeptScope(held.benchmark, held.clauses[0], held.alpha, held.bound, **counts, lacking=lacking))
    return sorted(found, key=lambda one: order[one.benchmark])


class _Held(pydantic.BaseModel):
    """A part of a kept file: what is not read here is passed over."""

    model_config = pydantic.ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


_Number = Annotated[int, pydantic.Field(ge=0)]


class _Entry(_Held):
    entry: str
    description: str
    bound: float


class _Pair(_Held):
    entry: str
    concept: _Number
    label_text: str
    similarity: float
    p_value: float
    verdict: Verdict | None


class _ThemePair(_Held):
    entry: str
    level: Literal["theme", "subtheme"]
    id: _Number
    label_text: str
    similarity: float
    p_value: float


class _Matching(_Held):
    taxonomy: str
    entries: list[_Entry]
    pairs: list[_Pair]
    themes: list[_ThemePair]


class _Lack(_Held):
    concept: _Number
    label: str
    similarity: float
    p_value: float
    in_scope: bool
    coverage_status: Literal["missing", "under"]
    chi_bench_elsewhere: float | None
    verdict: ScopeVerdict | None


class _Count(_Held):
    count: _Number


class _Scope(_Held):
    benchmark: str
    clauses: Annotated[list[str], pydantic.Field(min_length=1)]
    alpha: float
    bound: float | None
    covered: _Count
    under: _Count
    missing: _Count
    rows: list[_Lack]


_Kind = TypeVar("_Kind", bound=_Held)


def _match(taxonomy: str, entry: _Entry, pair: _Pair | _ThemePair) -> KeptMatch:
    return KeptMatch(
        taxonomy=taxonomy,
        entry=entry.entry,
        description=entry.description,
        concept=pair.concept if isinstance(pair, _Pair) else None,
        level=pair.level if isinstance(pair, _ThemePair) else None,
        theme=pair.id if isinstance(pair, _ThemePair) else None,
        label=pair.label_text,
        similarity=pair.similarity,
        p_value=pair.p_value,
        bound=entry.bound if isinstance(pair, _Pair) else None,
        verdict=pair.verdict if isinstance(pair, _Pair) else None,
    )


def _file_name(name: str, key: str) -> str:
    """A file name that any disk takes, different for different keys."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    readable = _UNSAFE.sub("-", name)[:_NAME_LIMIT].strip("-.")
    return f"{readable}-{digest}.json" if readable else f"{digest}.json"


def _write(path: Path, content: dict[str, Any]) -> Path:
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_json(path, finite({"created": created, **content}))
    return path


def _files(folder: Path, name: str) -> Iterator[Path]:
    # A name that begins with a full stop is a file that is being written.
    return (file for file in sorted((folder / name).glob("*.json")) if not file.name.startswith("."))


def _read(file: Path, kind: type[_Kind], command: str) -> _Kind:
    try:
        return kind.model_validate_json(file.read_bytes())
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(file, f"{where}: {first['msg']}" if where else first["msg"], command) from error


def _damaged(file: Path, why: str, command: str) -> UserError:
    return UserError(
        f"{file} is damaged: {shorten(visible(why), 200)}. Run 'cgaps {command}' again, or remove the file."
    )
