"""What ``cgaps check`` found of a run: ``robustness.json`` in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from competency_gaps.checked import damaged, read_document

FILE = "robustness.json"


def read_assessment(folder: Path) -> dict[str, Any] | None:
    """Read the results of the tests of the run in a folder; None if they were not run.

    ``verdicts`` have the fields of :class:`~competency_gaps.robustness.assess.RobustnessVerdict`.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        held = read_document(path)
        for verdict in held["verdicts"]:
            _ = {name: verdict[name] for name in ("code", "outcome", "numbers", "tone", "test", "sentence")}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise damaged(path, error, "Check the run again, or remove the file.") from error
    return held
