"""Import labels from any known source."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from competency_gaps.dictionary.imports import delphi, neuronpedia, tables
from competency_gaps.dictionary.imports.fetch import fetch_export, fetch_features
from competency_gaps.dictionary.imports.http import LabelServers
from competency_gaps.dictionary.imports.reading import Reading, json_lines, shown
from competency_gaps.dictionary.imports.result import ImportedLabels, checked_labels
from competency_gaps.embedded.cache import cache_folder
from competency_gaps.errors import UserError, nearest
from competency_gaps.progress import Progress
from competency_gaps.registry import LABELS

_REMOTE = re.compile(r"(neuronpedia|neuronpedia-api):(.*)", re.DOTALL)
_NAME = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]{0,199})/([A-Za-z0-9_-][A-Za-z0-9._-]{0,199})")
"""MODEL/SOURCE: both become parts of paths and addresses."""


def import_labels(
    source: str | Path,
    *,
    sae_identity: dict[str, Any],
    width: int,
    progress: Progress,
    format: str | None = None,
    module: str | None = None,
    concepts: Sequence[int] | None = None,
    force: bool = False,
    cache: Path | None = None,
    servers: LabelServers | None = None,
) -> ImportedLabels:
    """Read labels from elsewhere as rows of the label table.

    Parameters
    ----------
    source
        A file or folder (a Neuronpedia export, per-feature objects as JSON or JSONL, ``{concept: label}`` as JSON, a
        folder of delphi, a CSV, TSV, JSONL or Parquet table), ``neuronpedia:MODEL/SOURCE`` (its bulk export over the
        network) or ``neuronpedia-api:MODEL/SOURCE`` (concept by concept).
    sae_identity
        The SAE's identity, as ``SparseAutoencoder.identity``.
    width
        Number of concepts of the SAE.
    format
        A name among ``registry.LABELS``; None recognises it.
    module
        delphi only: which module's latents to take, where a folder has several.
    concepts
        ``neuronpedia-api:`` only: which concepts to request; None: all.
    force
        Take the labels although the source says that it is about another SAE.
    cache
        Where fetched files are kept; None: ``labels`` in the user's cache folder.
    servers
        Where to fetch from; None: Neuronpedia's own.

    Raises
    ------
    UserError
        If the source is missing, of no known format, about another SAE (the message names both), or nothing in it can
        be used.
    MissingExtraError
        If httpx is needed and not installed.
    """
    remote = _REMOTE.fullmatch(str(source))
    kind = remote[1] if remote else None
    if concepts is not None and kind != "neuronpedia-api":
        raise UserError(f"labels {str(source)!r}: only neuronpedia-api:MODEL/SOURCE takes chosen concepts.")
    if module is not None and kind:
        raise UserError(f"labels {str(source)!r}: only a folder of delphi has modules to choose from.")
    path = Path(source).expanduser()
    if remote:
        name = _NAME.fullmatch(remote[2])
        if not name:
            raise UserError(
                f"labels {kind}:{shown(remote[2])}: expected {kind}:MODEL/SOURCE, "
                f"as in {kind}:gemma-2-2b/20-gemmascope-res-16k."
            )
        where = cache or cache_folder() / "labels", servers or LabelServers(), progress
        if kind == "neuronpedia":
            reading = fetch_export(name[1], name[2], *where)
        else:
            reading = fetch_features(name[1], name[2], range(width) if concepts is None else concepts, *where)
    elif path.exists():
        reading = _read(path, format or detect_format(path), module, progress)
    else:
        raise UserError(
            f"labels {str(source)!r}: there is no such file or folder. Expected a path, neuronpedia:MODEL/SOURCE "
            f"or neuronpedia-api:MODEL/SOURCE."
        )
    return checked_labels(reading, sae_identity=sae_identity, width=width, force=force)


def detect_format(path: Path) -> str:
    """Recognise the format of a file or folder.

    Raises
    ------
    UserError
        If the format is not known.
    """
    if path.is_dir():
        if neuronpedia.export_parts(path)[0]:
            return "neuronpedia"
        if delphi.explanations_folder(path) is not None:
            return "delphi"
        raise UserError(
            f"labels {str(path)!r}: a folder with neither batch-N.jsonl.gz (an export of Neuronpedia) nor "
            f"MODULE_latentN.txt (delphi), also not under 'explanations'."
        )
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        first = next((row for _, row in json_lines(path, Reading("table"))), {})
        return "neuronpedia" if "description" in first and "index" in first and "modelId" in first else "table"
    if path.suffix == ".json":
        return "json"
    if path.suffix in tables.SUFFIXES:
        return "table"
    raise UserError(
        f"labels {str(path)!r}: of no known format; expected .json, {', '.join(tables.SUFFIXES)}, .jsonl.gz, or a "
        f"folder of Neuronpedia or delphi."
    )


def _read(path: Path, format: str, module: str | None, progress: Progress) -> Reading:
    if format not in LABELS:
        raise UserError(
            f"label format {format!r} is unknown; expected one of {', '.join(LABELS)}.{nearest(format, LABELS)}"
        )
    if module is not None and format != "delphi":
        raise UserError(f"labels {str(path)!r}: only a folder of delphi has modules to choose from, not {format!r}.")
    if format in ("json", "table") and path.is_dir():
        raise UserError(f"labels {str(path)!r}: a folder; format {format!r} expects a file.")
    parameters = inspect.signature(LABELS[format]).parameters
    given = {name: value for name, value in (("module", module), ("progress", progress)) if name in parameters}
    reading: Reading = LABELS[format](path, **given)
    return reading
