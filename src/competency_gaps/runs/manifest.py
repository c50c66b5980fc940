"""The run's manifest: settings, model, SAE, benchmarks, versions and timings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from competency_gaps.errors import UserError
from competency_gaps.files import write_json

SCHEMA_VERSION = 6
FILE = "manifest.json"


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write the manifest. It is written last: a folder with a manifest is a finished run."""
    write_json(folder / FILE, {"schema_version": SCHEMA_VERSION, **content})


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a finished run's manifest.

    Raises
    ------
    UserError
        If the folder is not a run, the run is not finished, or its schema version is unknown.
    """
    path = folder / FILE
    if not path.is_file():
        if (folder / "plan.json").is_file():
            raise UserError(
                f"{str(folder)!r} holds a run that is not finished: run the same 'cgaps run' again to continue it."
            )
        kind = "is not a run: it has no manifest.json" if folder.exists() else "does not exist"
        raise UserError(f"{str(folder)!r} {kind}. Expected a folder made by 'cgaps run'.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: {error}. Run 'cgaps run' on the folder again.") from error
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema_version {version!r}, but this version of competency-gaps reads {SCHEMA_VERSION}. "
            f"Open it with the version that wrote it ({content.get('versions', {}).get('competency-gaps', 'unknown')})."
        )
    return dict(content)
