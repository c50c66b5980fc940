"""Import labels from any known source."""

from __future__ import annotations

import contextlib
import datetime
import inspect
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from competency_gaps.dictionary.imports import bucket, delphi, features, neuronpedia, tables
from competency_gaps.dictionary.imports.http import Network
from competency_gaps.dictionary.imports.reading import Reading, json_lines, shown
from competency_gaps.dictionary.imports.result import ImportedLabels, imported
from competency_gaps.errors import UserError, nearest
from competency_gaps.progress import Progress
from competency_gaps.registry import LABELS

_REMOTE = re.compile(r"(neuronpedia|neuronpedia-api):(.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


def import_labels(
    source: str | Path,
    *,
    sae_identity: dict[str, Any],
    format: str | None = None,
    width: int,
    progress: Progress,
    module: str | None = None,
    concepts: Sequence[int] | None = None,
    cache: Path | None = None,
    network: Network | None = None,
    force: bool = False,
    date: str | None = None,
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
    format
        A name among ``registry.LABELS``; None recognises it.
    width
        Number of concepts of the SAE.
    progress
        Shows how far it is.
    module
        delphi only: which module's latents to take, where a folder has several.
    concepts
        ``neuronpedia-api:`` only: which concepts to ask for; None asks for all.
    cache
        Where fetched files are kept; None takes the user's cache folder.
    network
        Servers and bounds; None takes Neuronpedia's own.
    force
        Take the labels although the source says that it is about another SAE.
    date
        ISO date of the rows; None takes today's.

    Raises
    ------
    UserError
        If the source is missing, of no known format, about another SAE (the message names both), or nothing in it can
        be used.
    MissingExtraError
        If httpx is needed and not installed.
    """
    remote = _REMOTE.fullmatch(str(source)) if isinstance(source, str) else None
    if concepts is not None and not (remote and remote.group(1) == features.KIND):
        raise UserError(f"labels {str(source)!r}: only neuronpedia-api:MODEL/SOURCE takes chosen concepts.")
    if module is not None and remote:
        raise UserError(f"labels {str(source)!r}: only a folder of delphi has modules to choose from.")
    if remote:
        reading = _fetch(remote.group(1), remote.group(2), concepts, width, cache, network or Network(), progress)
    else:
        path = Path(source).expanduser()
        if not path.exists():
            raise UserError(
                f"labels {str(source)!r}: there is no such file or folder. Expected a path, neuronpedia:MODEL/SOURCE "
                f"or neuronpedia-api:MODEL/SOURCE."
            )
        reading = _read(path, format or detect_format(path), module, progress)
    today = date or datetime.date.today().isoformat()
    return imported(reading, sae_identity=sae_identity, width=width, force=force, date=today)


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


def default_cache() -> Path:
    """Where fetched labels are kept by default: ``competency-gaps/labels`` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "competency-gaps" / "labels"


def _read(path: Path, format: str, module: str | None, progress: Progress) -> Reading:
    if format not in LABELS:
        raise UserError(
            f"label format {format!r} is unknown; expected one of {', '.join(LABELS)}.{nearest(format, LABELS)}"
        )
    if module is not None and format != "delphi":
        raise UserError(f"labels {str(path)!r}: only a folder of delphi has modules to choose from, not {format!r}.")
    if format in ("json", "table") and path.is_dir():
        raise UserError(f"labels {str(path)!r}: a folder; format {format!r} expects a file.")
    read = LABELS[format]
    known = inspect.signature(read).parameters
    given = {name: value for name, value in (("module", module), ("progress", progress)) if name in known}
    with progress.stage("reading labels") if "progress" not in known else contextlib.nullcontext():
        reading: Reading = read(path, **given)
    return reading


def _fetch(
    kind: str,
    name: str,
    concepts: Sequence[int] | None,
    width: int,
    cache: Path | None,
    network: Network,
    progress: Progress,
) -> Reading:
    model, _, source = name.partition("/")
    # Both become parts of paths and addresses.
    if not _NAME.fullmatch(model) or not _NAME.fullmatch(source):
        raise UserError(
            f"labels {kind}:{shown(name)}: expected {kind}:MODEL/SOURCE, as in {kind}:gemma-2-2b/20-gemmascope-res-16k."
        )
    cache = cache or default_cache()
    if kind == "neuronpedia":
        return bucket.fetch_export(model, source, cache, network, progress)
    chosen = range(width) if concepts is None else concepts
    outside = [concept for concept in chosen if not 0 <= concept < width]
    if outside:
        raise UserError(f"concept {outside[0]} is not one of the SAE's 0 to {width - 1}.")
    return features.fetch_features(model, source, chosen, cache, network, progress)
