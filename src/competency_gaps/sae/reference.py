"""Statistics of an SAE's latents over a reference corpus: the base rates that lift and flags need."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.files import write_atomic

FILE = "reference.parquet"
WINDOW = 64
"""Tokens of a window: a stretch of text about as long as a benchmark's item."""


@dataclass(frozen=True)
class Reference:
    """Per latent, over the reference's tokens. Arrays of shape (latents,)."""

    mean: np.ndarray
    """Mean activation per token, >= 0; 0 = silent."""
    density: np.ndarray
    """Share of tokens on which it is active, in [0, 1]."""
    share: np.ndarray
    """Its part of all activation, in [0, 1]; sums to 1."""
    template_share: np.ndarray
    """Share of its mass on chat-template tokens, in [0, 1]; NaN where silent."""
    token_share: np.ndarray
    """Lower bound of the share of its mass on one token string, in [0, 1]; NaN where silent."""
    window_density: np.ndarray
    """Share of the texts' windows of ``WINDOW`` tokens in which it is active, in [0, 1]: activations cluster, so this
    is far lower than ``density`` and independence would give."""
    window_cas: np.ndarray
    """Mean over these windows of its mean activation per token, > 0: a typical CAS; NaN where silent."""
    token: list[str | None]
    """The token string of ``token_share``."""

    def write(self, path: Path) -> None:
        """Write one row per latent."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "token"}
        columns = {name: pl.Series(values.astype(np.float32)).fill_nan(None) for name, values in arrays.items()}
        concept = np.arange(len(self.mean), dtype=np.int32)
        table = pl.DataFrame({"concept": concept, **columns, "token": self.token})
        write_atomic(path, table.write_parquet)


def read_reference(path: Path, width: int) -> Reference:
    """Read reference statistics.

    Raises
    ------
    UserError
        If the file is missing, damaged, or belongs to an SAE of another width.
    """
    if not path.is_file():
        raise UserError(f"reference {str(path)!r}: there is no such file.")
    try:
        table = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise UserError(f"reference {str(path)!r} is no Parquet file: {error}.") from error
    wanted = ["concept", *(field.name for field in fields(Reference))]
    if not set(wanted) <= set(table.columns):
        raise UserError(
            f"reference {str(path)!r}: expected the columns {wanted}, found {table.columns}. "
            f"Make one with 'cgaps reference' or 'cgaps train-sae' of this version."
        )
    if table.height != width:
        raise UserError(f"reference {str(path)!r} has {table.height} latents, but the SAE has {width}.")
    table = table.sort("concept")
    arrays = {name: table[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in wanted[1:-1]}
    return Reference(**arrays, token=table["token"].to_list())
