"""Files that ``cgaps match`` and ``cgaps scope`` keep in a run folder: where they lie, and how they are checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import pydantic

from competency_gaps.checked import first_fault
from competency_gaps.errors import UserError
from competency_gaps.text import shorten, visible

if TYPE_CHECKING:
    from competency_gaps.runs.assessment import Documents

MATCHES, SCOPES, EXAMPLE_MATCHES = "matches", "scopes", "example-matches"
"""Folders in the run folder, with a file per list matched by labels, per scope, and per list (or tags) by examples."""
Count = Annotated[int, pydantic.Field(ge=0)]


class FilePart(pydantic.BaseModel):
    """A part of a kept file; further fields are ignored."""

    model_config = pydantic.ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


File = TypeVar("File", bound=FilePart)


def kept_files(folder: Path, name: str) -> Iterator[Path]:
    """Kept files in a folder of the run folder, sorted by name."""
    # Names of partial files begin with a full stop.
    return (file for file in sorted((folder / name).glob("*.json")) if not file.name.startswith("."))


def read_file(run: Documents, file: Path, kind: type[File], command: str) -> File:
    """Read a file; ``command`` can make it again.

    Raises
    ------
    UserError
        If it is damaged.
    """
    try:
        return kind.model_validate_json(run.document(file))
    except pydantic.ValidationError as error:
        raise damaged(file, first_fault(error), command) from error


def damaged(file: Path, why: str, command: str) -> UserError:
    """The error of a file that cannot be used; ``command`` can make it again."""
    return UserError(
        f"{file} is damaged: {shorten(visible(why), 200)}. Run 'cgaps {command}' again, or remove the file."
    )


def width(run: Documents) -> int:
    """Number of concepts of the run's SAE."""
    return int(run.manifest["sae"]["d_sae"])
