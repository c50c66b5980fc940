"""Results of ``cgaps match`` and ``cgaps scope``, kept in the run folder and read back without embeddings or torch."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import pydantic

from competency_gaps.checked import write_document
from competency_gaps.errors import CompetencyGapsError
from competency_gaps.files import finite
from competency_gaps.matching.kept_files import (
    EXAMPLE_MATCHES,
    MATCHES,
    SCOPES,
    Count,
    FilePart,
    damaged,
    kept_files,
    read_file,
    width,
)
from competency_gaps.runs.manifest import adding_to_run
from competency_gaps.text import visible

if TYPE_CHECKING:
    from competency_gaps.matching.summary import Matching
    from competency_gaps.matching.taxonomy import Taxonomy
    from competency_gaps.runs.assessment import Documents
    from competency_gaps.runs.open import RunFolder

_LONGEST_NAME = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class KeptLack:
    """A concept that a benchmark lacks."""

    concept: Count
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
    """The description, then its clauses ."""
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


class _FileShare(FilePart):
    count: Count


class _ScopeFile(FilePart):
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
    is_path: bool = False
    """Whether ``shown`` is a path."""

    @classmethod
    def of_path(cls, path: Path, where: str | None = None) -> Source:
        """A list or a table of tags in a file, and the filter on it."""
        return cls(str(path), path.stem, f"{path.resolve()}\n{where or ''}", is_path=True)


@contextlib.contextmanager
def keeping() -> Iterator[None]:
    """Keep an outcome within; where the run folder cannot be written to, warn and go on."""
    try:
        yield
    except (OSError, CompetencyGapsError) as error:
        logging.getLogger(__name__).warning(f"the outcome is not kept in the run folder: {error}")


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
    return _write(run, run.path / MATCHES / name, {**given, **facts, **matching_document(matching)})


def keep_examples(
    run: RunFolder,
    source: Source,
    document: dict[str, Any],
    read_in: RunFolder | None,
    *,
    where: str | None = None,
    notes: Sequence[str] = (),
) -> Path:
    """Keep a matching by examples; an earlier one of the same source is replaced.

    Parameters
    ----------
    read_in
        The run that read the examples, which are shown from there; None: they are items of ``run``.
    """
    given = {**_given(source, where, notes), "examples_run": None if read_in is None else _read_by(read_in)}
    name = _file_name(source.name, source.key)
    return _write(run, run.path / EXAMPLE_MATCHES / name, {**given, **document})


def _read_by(run: RunFolder) -> dict[str, Any]:
    contents = [entry["content_sha256"] for entry in run.manifest["benchmarks"]]
    return {"path": str(run.path.resolve()), "content_sha256": contents}


def _given(source: Source, where: str | None, notes: Sequence[str]) -> dict[str, Any]:
    return {
        "taxonomy": visible(source.shown),
        "taxonomy_is_path": source.is_path,
        "where": None if where is None else visible(where),
        "notes": [visible(note) for note in notes],
    }


def kept_names(folder: Path) -> list[str]:
    """Kept results in a run folder, as ``FOLDER/NAME``: they are removed when its labels change."""
    return [f"{name}/{file.name}" for name in (MATCHES, SCOPES, EXAMPLE_MATCHES) for file in kept_files(folder, name)]


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
    for file in kept_files(run.path, SCOPES):
        kept = read_file(run, file, _ScopeFile, "scope")
        if kept.benchmark not in order or any(row.concept >= width(run) for row in kept.rows):
            raise damaged(file, "it names a benchmark or a concept that the run does not have", "scope")
        counts = {name: getattr(kept, name).count for name in ("covered", "under", "missing")}
        scopes.append(KeptScope(kept.benchmark, kept.clauses, kept.alpha, kept.bound, **counts, lacking=kept.rows))
    return sorted(scopes, key=lambda scope: order[scope.benchmark])


def _file_name(name: str, key: str) -> str:
    """A portable file name, different for different keys."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    readable = _UNSAFE.sub("-", name)[:_LONGEST_NAME].strip("-.")
    return f"{readable}-{digest}.json" if readable else f"{digest}.json"


def _write(run: RunFolder, path: Path, content: dict[str, Any]) -> Path:
    """Write a file with its time of creation, into the run as it was read."""
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with adding_to_run(run.path, run.manifest):
        write_document(path, finite({"created": created, **content}))
    return path
