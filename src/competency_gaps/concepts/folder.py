"""A dictionary's folder: its SAE's identity, exemplars, promoted tokens, similar concepts and labels. No torch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.concepts.directions import LOGITS, SIMILAR
from competency_gaps.concepts.document import (
    FILE,
    SCHEMA_VERSION,
    files_of,
    has_table,
    read_content,
    read_table,
    write_tables,
)
from competency_gaps.concepts.exemplars import EXEMPLARS, Exemplars
from competency_gaps.concepts.labels import FILE as LABELS_FILE
from competency_gaps.concepts.labels import empty_labels, merge_labels, read_label_table, shown_labels
from competency_gaps.embedded import SAES, embedded_sae
from competency_gaps.runs.open import RunFolder
from competency_gaps.util.checked import FILES, Write, changing, damaged
from competency_gaps.util.errors import CompetencyGapsError, UserError
from competency_gaps.util.files import finite
from competency_gaps.util.text import shorten, visible

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dictionary:
    """An SAE's concepts: exemplars, promoted tokens, similar concepts and labels. Tables are read on first use."""

    folder: Path
    sae: dict[str, Any]
    """The SAE's identity, as ``SparseAutoencoder.identity``: name, d_sae, hook_name, weights_sha256, and so on."""
    model: dict[str, Any] | None
    """The model's identity; None if no model was used (imported labels only)."""
    settings: dict[str, Any] | None
    """Settings of the exemplars; None without any."""

    @property
    def width(self) -> int:
        """Number of concepts of the SAE."""
        return int(self.sae["d_sae"])

    @cached_property
    def exemplars(self) -> Exemplars:
        """The exemplars; raises UserError if none were collected."""
        return Exemplars(self.folder)

    @property
    def has_exemplars(self) -> bool:
        """Whether exemplars were collected."""
        return has_table(self.folder, EXEMPLARS)

    @cached_property
    def logits(self) -> pl.DataFrame | None:
        """One row per concept, in order: concept, promoted, promoted_logits, suppressed, suppressed_logits.

        Lists, the strongest token first; empty for a zero direction. None if they were not computed.
        """
        return self._of_directions(LOGITS)

    @cached_property
    def similar(self) -> pl.DataFrame | None:
        """One row per concept, in order: concept, similar (list of int32, the nearest first), cosine (list of float32).

        Lists are empty for a zero direction. None if they were not computed.
        """
        return self._of_directions(SIMILAR)

    @cached_property
    def promoted(self) -> dict[int, list[str]]:
        """Tokens that each concept promotes, the strongest first; empty if they were not computed."""
        return {} if self.logits is None else dict(self.logits.select("concept", "promoted").iter_rows())

    def labels(self) -> pl.DataFrame:
        """Return the label table as it is on disk now; empty if the dictionary has none."""
        if not has_table(self.folder, LABELS_FILE):
            return empty_labels()
        return read_label_table(self.folder, self.width)

    def shown(self) -> pl.DataFrame:
        """Return the label to show for each concept, by :func:`~competency_gaps.concepts.labels.shown_labels`."""
        return shown_labels(self.labels(), self.width)

    def add_labels(self, rows: pl.DataFrame) -> None:
        """Add labels to the table; each replaces the label with the same concept, kind, explainer and source."""
        write_tables(self.folder, {LABELS_FILE: merge_labels(self.labels(), rows).write_parquet})

    def _of_directions(self, name: str) -> pl.DataFrame | None:
        """Return a table computed from decoder directions, in which row i is concept i; None if it does not exist."""
        if not has_table(self.folder, name):
            return None
        again = "Collect exemplars again."
        table = read_table(self.folder / name, again)
        if "concept" not in table.columns or table["concept"].to_list() != list(range(self.width)):
            expected = f"expected one row per concept, 0 to {self.width - 1}, in order"
            raise UserError(f"{self.folder / name} is damaged: {expected}. {again}")
        return table


def open_dictionary(folder: Path, sae_identity: dict[str, Any] | None = None) -> Dictionary:
    """Return the dictionary in a folder.

    Parameters
    ----------
    sae_identity
        Identity of the SAE that it must belong to; None: any.

    Raises
    ------
    UserError
        If the folder is no dictionary, its file is damaged or of an unknown version, or it belongs to another SAE.
    """
    content = read_content(folder)
    sae, model, settings = (content.get(name) for name in ("sae", "model", "exemplars"))
    width = sae.get("d_sae") if isinstance(sae, dict) else None
    others = isinstance(model, dict | None) and isinstance(settings, dict | None)
    if not isinstance(sae, dict) or type(width) is not int or not 0 < width < 2**31 or not others:
        fault = ValueError("it does not name its SAE and the number of concepts")
        raise damaged(folder / FILE, fault, "Rebuild the dictionary.")
    if sae_identity is not None:
        check_same_sae(sae, sae_identity)
    return Dictionary(folder, sae, model, settings)


def is_dictionary(folder: Path) -> bool:
    """Whether a folder is a dictionary."""
    return (folder / FILE).is_file()


def dictionary_of(run: RunFolder) -> Dictionary | None:
    """Return the dictionary of a finished run; None if there is none.

    The first that fits of: the one that ``cgaps concepts name`` recorded; the one in the settings (``sae.dictionary``);
    the folder of the SAE; the bundled one, for a run with an embedded SAE. Folders move after a run, so one that is
    missing, damaged or of another SAE is skipped.
    """
    if not run.has_reading:
        return None
    settings = run.manifest["settings"].get("sae") or {}  # empty in a redacted explorer
    named = [(run.manifest.get("dictionary") or {}).get("folder"), settings.get("dictionary"), settings.get("folder")]
    folders = [Path(name).expanduser() for name in named if name and not str(name).startswith("embedded:")]
    packaged = [embedded_sae(name) for name in SAES]
    # An embedded SAE is recognised by the hash of its weights alone, never by its name.
    for folder in [*folders, *(packaged if run.manifest["sae"].get("weights_sha256") else ())]:
        try:
            return open_dictionary(folder, run.manifest["sae"])
        except CompetencyGapsError as error:
            # The bundled ones are only tried: the run may use another SAE.
            if is_dictionary(folder) and folder not in packaged:
                log.warning("%s is shown without the dictionary %s: %s", run.path, folder, error)
    return None


def write_dictionary(
    path: Path,
    sae_identity: dict[str, Any],
    model_identity: dict[str, Any] | None = None,
    tables: Mapping[str, Write] | None = None,
) -> None:
    """Write a dictionary's identity, and tables with it; the folder is created if it is missing.

    If it is a dictionary already, its settings of exemplars stay and, with ``model_identity=None``, so does its model.

    Raises
    ------
    UserError
        If the folder is the dictionary of another SAE, or its file cannot be read.
    """
    with changing(path, FILE) as change:
        settings = None
        if is_dictionary(path):
            known = open_dictionary(path, sae_identity)
            model_identity, settings = model_identity or known.model, known.settings
        for name, write in (tables or {}).items():
            change.write(name, write)
        content = finite({"sae": sae_identity, "model": model_identity, "exemplars": settings})
        change.commit({"schema_version": SCHEMA_VERSION, **content, FILES: dict(files_of(path))})


def check_same_sae(known: dict[str, Any], sae: dict[str, Any]) -> None:
    """Raise UserError unless the SAE of a dictionary, ``known``, is the one given; the message names both.

    The hash of the weights decides; if either has none, names and widths must agree. [ours] The same weights under
    another name (a folder that was moved) are the same SAE, and settings that change only the arithmetic of ``encode``
    do not change the meaning of a concept's decoder direction. The hash is computed from a sample of the weights,
    whatever their data type, so it tells another SAE, but not a few changed numbers.
    """
    if known.get("weights_sha256") and sae.get("weights_sha256"):
        same = known["weights_sha256"] == sae["weights_sha256"] and known.get("d_sae") == sae.get("d_sae")
    else:
        same = all(known.get(key) == sae.get(key) for key in ("name", "d_sae"))
    if not same:
        raise UserError(
            f"the dictionary belongs to another SAE: it describes {_described(known)}, but this SAE "
            f"is {_described(sae)}. Give the dictionary of this SAE, or a new folder for a new dictionary."
        )


def _described(sae: dict[str, Any]) -> str:
    """Return an SAE's name, width and hash of weights, for a message."""
    digest = sae.get("weights_sha256")
    parts = [repr(shorten(visible(str(sae.get("name"))), 200)), f"of {visible(str(sae.get('d_sae')))[:20]} concepts"]
    return " ".join(parts) + (f" (weights {visible(str(digest))[:12]})" if digest else " (weights unknown)")
