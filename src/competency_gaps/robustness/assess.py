"""Run all tests of robustness on a run, and keep their results in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from competency_gaps.checked import damaged, first_fault, write_document
from competency_gaps.errors import UserError
from competency_gaps.files import finite
from competency_gaps.progress import Progress
from competency_gaps.robustness.ablation import ablate
from competency_gaps.robustness.agreement import agreement
from competency_gaps.robustness.data import run_data
from competency_gaps.robustness.heldout import SPLITS, check_installed, held_out
from competency_gaps.robustness.subsample import subsample
from competency_gaps.robustness.verdicts import (
    RobustnessVerdict,
    ablation_verdict,
    agreement_verdict,
    held_out_verdicts,
    subsampling_verdict,
    with_sentence,
)
from competency_gaps.runs.manifest import adding_to_run
from competency_gaps.runs.open import RunFolder

FILE = "robustness.json"
_AGAIN = "Run 'cgaps robustness' again, or remove the file."


class _Assessment(BaseModel):
    """What of the file is read; it may come from somebody else, checksum and all."""

    model_config = ConfigDict(strict=True)

    verdicts: list[RobustnessVerdict]


def assess(run: RunFolder, progress: Progress, *, against: RunFolder | None = None, seed: int = 0) -> dict[str, Any]:
    """Run every test and write the results into the run folder.

    Returns
    -------
    dict
        ``verdicts`` (as :func:`read_assessment` gives them), and the figures of each test.

    Raises
    ------
    UserError
        If the run has no scored item or no tested concept, or shares no item with ``against``.
    MissingExtraError
        If scikit-learn is missing.
    """
    check_installed()
    with progress.stage("reading the run"):
        data = run_data(run)
    if not data.tested.any():
        raise UserError(
            f"{str(run.path)!r} has no tested concept (n_eff of at least {data.config.min_n_eff:g} and scores that "
            f"vary), so there is nothing whose robustness could be tested."
        )
    verdicts: list[RobustnessVerdict] = []
    with progress.stage("subsampling"):
        draws = subsample(data, seed=seed)
    verdicts.append(subsampling_verdict(draws))
    with progress.stage("removing items"):
        removed = ablate(data, seed=seed)
    verdicts.append(ablation_verdict(removed))
    with progress.stage("testing on held-out items", total=SPLITS, unit="splits") as bar:
        unseen = held_out(data, seed=seed, advance=bar.advance)
    verdicts += held_out_verdicts(unseen, from_peers=data.expected is not None)
    figures: dict[str, Any] = {"subsampling": asdict(draws), "ablation": asdict(removed), "held_out": asdict(unseen)}
    if against is not None:
        with progress.stage("comparing with the other run"):
            both = agreement(run, against, data, run_data(against))
        verdicts.append(agreement_verdict(both))
        figures["against"] = asdict(both)
    content = finite({"seed": seed, "verdicts": [asdict(verdict) for verdict in verdicts], **figures})
    with adding_to_run(run.path, run.manifest):
        write_document(run.path / FILE, content)
    return _with_sentences(content)


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
    """Read the results of :func:`assess`; None if it was not run.

    ``verdicts`` have the fields of :class:`~competency_gaps.robustness.verdicts.RobustnessVerdict`, and ``test`` (its
    title) and ``sentence``.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    path = run.path / FILE
    if not path.is_file():
        return None
    try:
        raw = run.document(path)
        _Assessment.model_validate_json(raw)
        return _with_sentences(json.loads(raw))
    except ValidationError as error:
        raise damaged(path, ValueError(first_fault(error)), _AGAIN) from error
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, error, _AGAIN) from error


def _with_sentences(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "verdicts": [with_sentence(verdict) for verdict in content["verdicts"]]}
