"""A dictionary's folder, opened: its SAE, exemplars, promoted tokens, similar concepts and labels. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from competency_gaps.dictionary import label_table
from competency_gaps.dictionary.exemplars.logits import FILE as LOGITS
from competency_gaps.dictionary.exemplars.similar import FILE as SIMILAR
from competency_gaps.dictionary.exemplars.store import EXEMPLARS, Exemplars
from competency_gaps.dictionary.folder import DictionaryIdentity, read_dictionary
from competency_gaps.errors import UserError
from competency_gaps.once import made_once


def open_dictionary(folder: Path) -> Dictionary:
    """Open a dictionary's folder.

    Raises
    ------
    UserError
        If it is none, or of an unknown version.
    """
    return Dictionary(folder, read_dictionary(folder))


@dataclass(frozen=True)
class Dictionary:
    """What is known of an SAE's concepts. Tables are read when they are first asked for."""

    folder: Path
    identity: DictionaryIdentity

    @property
    def width(self) -> int:
        """Number of concepts of the SAE."""
        return int(self.identity.sae["d_sae"])

    @property
    def ranking(self) -> str | None:
        """Ranking of its exemplars; None: it has none."""
        return (self.identity.exemplars or {}).get("ranking")

    @made_once
    def exemplars(self) -> Exemplars:
        """Its exemplars."""
        return Exemplars(self.folder)

    @property
    def has_exemplars(self) -> bool:
        """Whether exemplars were collected."""
        return (self.folder / EXEMPLARS).is_file()

    @made_once
    def logits(self) -> pl.DataFrame | None:
        """One row per concept, in order: concept, promoted, promoted_logits, suppressed, suppressed_logits.

        Lists, the strongest token first; empty: its direction is zero. None where they were never read.
        """
        return self._of_directions(LOGITS)

    @made_once
    def similar(self) -> pl.DataFrame | None:
        """One row per concept, in order: concept, similar (list of int32, the nearest first), cosine (of float32).

        Empty lists: its direction is zero. None where they were never compared.
        """
        return self._of_directions(SIMILAR)

    @made_once
    def promoted(self) -> dict[int, list[str]]:
        """Per concept the tokens that it promotes, the strongest first; empty where they were never read."""
        return {} if self.logits is None else dict(self.logits.select("concept", "promoted").iter_rows())

    def labels(self) -> pl.DataFrame:
        """Its label table as it is on disk now; without rows where there is none."""
        if not (self.folder / label_table.FILE).is_file():
            return label_table.empty_labels()
        return label_table.read_label_table(self.folder, self.width)

    def shown(self) -> pl.DataFrame:
        """The label that is shown of each concept, by :func:`label_table.shown_labels`."""
        return label_table.shown_labels(self.labels(), self.width)

    def add_labels(self, rows: pl.DataFrame) -> None:
        """Put labels into the table; newer ones replace those of the same concept, kind, explainer and source."""
        label_table.write_label_table(self.folder, label_table.merge_labels(self.labels(), rows))

    def _of_directions(self, name: str) -> pl.DataFrame | None:
        """A table that ``cgaps exemplars`` makes of decoder directions: row i is concept i."""
        path = self.folder / name
        if not path.is_file():
            return None
        again = "Run 'cgaps exemplars --logits-only' again."
        try:
            table = pl.read_parquet(path)
        except pl.exceptions.PolarsError as error:
            raise UserError(f"{path} is damaged: {error}. {again}") from error
        if "concept" not in table.columns or table["concept"].to_list() != list(range(self.width)):
            raise UserError(
                f"{path} is damaged: expected one row per concept, 0 to {self.width - 1}, in order. {again}"
            )
        return table
