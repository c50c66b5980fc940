"""A dictionary's folder, opened: who it is about, its exemplars, promoted tokens and labels. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from competency_gaps.dictionary import label_table
from competency_gaps.dictionary.exemplars.logits import FILE as LOGITS
from competency_gaps.dictionary.exemplars.store import EXEMPLARS, Exemplars
from competency_gaps.dictionary.folder import DictionaryIdentity, read_dictionary
from competency_gaps.errors import UserError


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
        """Ranking of its exemplars; null: it has none."""
        return (self.identity.exemplars or {}).get("ranking")

    @cached_property
    def exemplars(self) -> Exemplars:
        """Its exemplars."""
        return Exemplars(self.folder)

    @property
    def has_exemplars(self) -> bool:
        """Whether exemplars were collected."""
        return (self.folder / EXEMPLARS).is_file()

    @cached_property
    def promoted(self) -> dict[int, list[str]]:
        """Per concept the tokens that it promotes, the strongest first; empty where they were never read."""
        path = self.folder / LOGITS
        if not path.is_file():
            return {}
        try:
            table = pl.read_parquet(path, columns=["concept", "promoted"])
        except pl.exceptions.PolarsError as error:
            raise UserError(f"{path} is damaged: {error}. Run 'cgaps exemplars --logits-only' again.") from error
        return dict(table.iter_rows())

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
