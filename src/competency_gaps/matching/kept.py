"""Results of ``cgaps match`` and ``cgaps scope``, kept in the run folder and read back without embeddings or torch."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar

import polars as pl
import pydantic

from competency_gaps.errors import UserError
from competency_gaps.files import finite, write_json
from competency_gaps.text import shorten, visible

if TYPE_CHECKING:
    from competency_gaps.matching.scope import ScopeFindings
    from competency_gaps.matching.summary import Matching
    from competency_gaps.matching.taxonomy import Taxonomy
    from competency_gaps.robustness.assess import Documents
    from competency_gaps.runs.open import RunFolder

MATCHES, SCOPES, EXAMPLE_MATCHES = "matches", "scopes", "example-matches"
"""Folders in the run folder, with a file per taxonomy, per benchmark, and per taxonomy matched by examples."""
PairVerdict = Literal["same", "related", "unconfirmed"]
Level = Literal["theme", "subtheme"]
_Count = Annotated[int, pydantic.Field(ge=0)]
_LONGEST_NAME = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class KeptMatch:
    """A match of a taxonomy's entry with a concept or theme."""

    taxonomy: str
    """Name of the taxonomy's file or folder, without its path, which is private to the run's author."""
    number: int
    """Position of the entry in the taxonomy, from 1; identifies the entry where its texts are withheld."""
    entry: str
    """The entry's id."""
    description: str
    concept: int | None
    """None: a theme."""
    level: Level | None
    """None: a concept."""
    theme: int | None
    """Number of the theme on its level; None: a concept."""
    label: str
    """Label of the concept, or name of the theme, as compared."""
    similarity: float
    """Cosine of the embedded texts, in [-1, 1]."""
    p_value: float
    """Share of the null's draws whose best label is as similar to the entry, in (0, 1]."""
    bound: float | None
    """The ``1 - alpha`` quantile of the null's best similarities; None for themes."""
    verdict: PairVerdict | None
    """A model's verdict; None: not asked. Pairs judged unrelated are no matches."""


@dataclass(frozen=True)
class KeptLack:
    """A concept that a benchmark lacks."""

    concept: _Count
    label: str
    similarity: float
    """Similarity to the nearest clause of the scope, in [-1, 1]."""
    p_value: float
    """Share of shuffled labels that are as similar, in (0, 1]."""
    in_scope: bool
    coverage_status: Literal["missing", "under"]
    chi_bench_elsewhere: float | None
    """Mean over the other benchmarks, >= 0; None without any."""
    verdict: Literal["belongs", "borderline", "outside", "unconfirmed"] | None
    """A model's verdict; None: not asked."""


@dataclass(frozen=True)
class KeptScope:
    """Concepts that a benchmark lacks in its stated scope."""

    benchmark: str
    clauses: list[str]
    """The description, then its clauses (:func:`competency_gaps.matching.clauses.clauses`)."""
    alpha: float
    """Share of shuffled labels that are in scope by chance."""
    bound: float | None
    """Least similarity of an in-scope label; None: none is in scope."""
    covered: int
    """In-scope concepts that the benchmark covers."""
    under: int
    """In-scope concepts that it under-represents."""
    missing: int
    """In-scope concepts that it misses."""
    lacking: list[KeptLack]
    """All that are in scope and the nearest others, nearest first."""


class _FilePart(pydantic.BaseModel):
    """A part of a kept file; further fields are ignored."""

    model_config = pydantic.ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class _FileEntry(_FilePart):
    entry: str
    description: str
    bound: float


class _FilePair(_FilePart):
    """A matched concept, or a matched theme: ``level`` and ``id``."""

    entry: str
    concept: _Count | None = None
    level: Level | None = None
    id: _Count | None = None
    label_text: str
    similarity: float
    p_value: float
    verdict: PairVerdict | None = None

    @pydantic.model_validator(mode="after")
    def _names_a_concept_or_a_theme(self) -> _FilePair:
        if (self.concept is None) == (self.level is None or self.id is None):
            raise ValueError("expected either a concept, or the level and id of a theme")
        return self


class _MatchFile(_FilePart):
    taxonomy: str
    entries: list[_FileEntry]
    pairs: list[_FilePair]
    themes: list[_FilePair]


class _FileShare(_FilePart):
    count: _Count


class _ScopeFile(_FilePart):
    benchmark: str
    clauses: Annotated[list[str], pydantic.Field(min_length=1)]
    alpha: float
    bound: float | None
    covered: _FileShare
    under: _FileShare
    missing: _FileShare
    rows: list[KeptLack]


class Source(NamedTuple):
    """What was matched."""

    shown: str
    """A list's or table's path, or the column or the names of the filters that tags come from."""
    name: str
    """What the kept file is named after."""
    key: str
    """Differs between sources; one kept file of each."""

    @classmethod
    def of_path(cls, path: Path, where: str | None = None) -> Source:
        """A list or a table of tags in a file, and the filter on it."""
        return cls(str(path), path.stem, f"{path.resolve()}\n{where or ''}")


_File = TypeVar("_File", _MatchFile, _ScopeFile)


def keep_matching(run: RunFolder, path: Path, taxonomy: Taxonomy, facts: dict[str, Any], matching: Matching) -> Path:
    """Keep a matching; an earlier one of the same list and filter is replaced.

    Parameters
    ----------
    path
        Path of the taxonomy.
    facts
        Further content: the settings and the judges.

    Returns
    -------
    Path
        The file.
    """
    from competency_gaps.matching.summary import matching_document

    source = Source.of_path(path, taxonomy.where)
    given = {**_given(source, taxonomy.where, taxonomy.notes), "left_out": len(taxonomy.left_out)}
    name = _file_name(source.name, source.key)
    return _write(run.path / MATCHES / name, {**given, **facts, **matching_document(matching)})


def keep_examples(
    run: RunFolder, source: Source, document: dict[str, Any], *, where: str | None = None, notes: Sequence[str] = ()
) -> Path:
    """Keep a matching by examples; an earlier one of the same source is replaced."""
    name = _file_name(source.name, source.key)
    return _write(run.path / EXAMPLE_MATCHES / name, {**_given(source, where, notes), **document})


def _given(source: Source, where: str | None, notes: Sequence[str]) -> dict[str, Any]:
    return {
        "taxonomy": visible(source.shown),
        "where": None if where is None else visible(where),
        "notes": [visible(note) for note in notes],
    }


def keep_scope(run: RunFolder, limit: int, facts: dict[str, Any], findings: ScopeFindings) -> Path:
    """Keep the concepts that a benchmark lacks, replacing earlier findings on it.

    Parameters
    ----------
    limit
        Fewest rows to keep; all that are in scope by the null are kept.
    """
    from competency_gaps.matching.scope import scope_document

    near = findings.lacking.filter(pl.col("p_value") <= findings.alpha).height
    name = _file_name(findings.benchmark, findings.benchmark)
    return _write(run.path / SCOPES / name, {**facts, **scope_document(findings, max(limit, near))})


def forget_matches(folder: Path) -> None:
    """Remove kept results from a run folder, because its labels have changed."""
    for file in (file for name in (MATCHES, SCOPES, EXAMPLE_MATCHES) for file in _files(folder, name)):
        file.unlink()


def read_matches(run: Documents) -> list[KeptMatch]:
    """Read all kept matches, by taxonomy, concepts before themes.

    Returns
    -------
    list of KeptMatch
        Empty if none was kept, or nothing matched.

    Raises
    ------
    UserError
        If a file is damaged.
    """
    matches = []
    for file in _files(run.path, MATCHES):
        kept = _read(run, file, _MatchFile, "match")
        name = Path(kept.taxonomy).name or kept.taxonomy
        entries = {entry.entry: (number, entry) for number, entry in enumerate(kept.entries, 1)}
        for pair in (*kept.pairs, *kept.themes):
            if pair.entry not in entries or (pair.concept or 0) >= _width(run):
                raise _damaged(file, f"a pair of {pair.entry!r} has no such entry or concept", "match")
            number, entry = entries[pair.entry]
            matches.append(
                KeptMatch(
                    taxonomy=name,
                    number=number,
                    entry=entry.entry,
                    description=entry.description,
                    concept=pair.concept,
                    level=pair.level,
                    theme=pair.id,
                    label=pair.label_text,
                    similarity=pair.similarity,
                    p_value=pair.p_value,
                    bound=None if pair.concept is None else entry.bound,
                    verdict=pair.verdict,
                )
            )
    return matches


def read_scopes(run: Documents) -> list[KeptScope]:
    """Read the kept scopes, in the order of the run's benchmarks.

    Returns
    -------
    list of KeptScope
        Empty if none was kept.

    Raises
    ------
    UserError
        If a file is damaged.
    """
    order = {entry["name"]: i for i, entry in enumerate(run.manifest["benchmarks"])}
    scopes = []
    for file in _files(run.path, SCOPES):
        kept = _read(run, file, _ScopeFile, "scope")
        if kept.benchmark not in order or any(row.concept >= _width(run) for row in kept.rows):
            raise _damaged(file, "it names a benchmark or a concept that the run does not have", "scope")
        counts = {name: getattr(kept, name).count for name in ("covered", "under", "missing")}
        scopes.append(KeptScope(kept.benchmark, kept.clauses, kept.alpha, kept.bound, **counts, lacking=kept.rows))
    return sorted(scopes, key=lambda scope: order[scope.benchmark])


def _width(run: Documents) -> int:
    """Number of concepts of the run's SAE."""
    return int(run.manifest["sae"]["d_sae"])


def _file_name(name: str, key: str) -> str:
    """A portable file name, different for different keys."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    readable = _UNSAFE.sub("-", name)[:_LONGEST_NAME].strip("-.")
    return f"{readable}-{digest}.json" if readable else f"{digest}.json"


def _write(path: Path, content: dict[str, Any]) -> Path:
    """Write a file with its time of creation."""
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_json(path, finite({"created": created, **content}))
    return path


def _files(folder: Path, name: str) -> Iterator[Path]:
    """Kept files in a folder of the run folder, sorted by name."""
    # Names of partial files begin with a full stop.
    return (file for file in sorted((folder / name).glob("*.json")) if not file.name.startswith("."))


def _read(run: Documents, file: Path, kind: type[_File], command: str) -> _File:
    """Read a file; ``command`` can make it again.

    Raises
    ------
    UserError
        If it is damaged.
    """
    try:
        return kind.model_validate_json(run.document(file))
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(file, f"{where}: {first['msg']}" if where else first["msg"], command) from error


def _damaged(file: Path, why: str, command: str) -> UserError:
    return UserError(
        f"{file} is damaged: {shorten(visible(why), 200)}. Run 'cgaps {command}' again, or remove the file."
    )
