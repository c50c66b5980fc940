"""What ``cgaps check`` found of a run: ``robustness.json`` in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from competency_gaps.checked import damaged

FILE = "robustness.json"


class Documents(Protocol):
    """A run, as far as its manifest and what commands added to its folder are read."""

    @property
    def path(self) -> Path:
        """Folder of the run."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Settings and counts of the run."""

    def document(self, file: Path) -> bytes:
        """Read a document of the run folder."""


def read_assessment(run: Documents) -> dict[str, Any] | None:
    """Read the results of the tests; None if they were not run.

    ``verdicts`` have the fields of :class:`~competency_gaps.robustness.assess.RobustnessVerdict`, ``test`` (a title)
    and ``sentence``.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    path = run.path / FILE
    if not path.is_file():
        return None
    try:
        held: dict[str, Any] = json.loads(run.document(path))
        for verdict in held["verdicts"]:
            _ = {name: verdict[name] for name in ("code", "tone", "test", "sentence")}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise damaged(path, error, "Run 'cgaps check' again, or remove the file.") from error
    return held
