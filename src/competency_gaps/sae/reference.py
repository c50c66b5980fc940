"""Statistics of an SAE's latents over a reference corpus: the base rates that lift needs, and what decides on kinds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import polars as pl

from competency_gaps.util.errors import UserError
from competency_gaps.util.files import write_atomic
from competency_gaps.util.table_files import read_parquet
from competency_gaps.util.text import shorten, visible

FILE = "reference.parquet"
WINDOW = 64
"""Tokens of a window, a stretch of text about as long as a benchmark's item."""

FORMS = ("punctuation", "space", "digits", "markup")
"""Forms that a token without a letter can have."""
SURFACE = ("lexical_share", "pair_share", "word_share", *FORMS, "first_share", "coherence")
"""Columns that say how a latent depends on tokens and texts; runs copy them."""
_PRESENT = ("mean", "density", "share", "window_density")
"""Columns that have no nulls."""


@dataclass(frozen=True)
class Reference:
    """Per latent, over the reference's tokens. Arrays of shape (latents,)."""

    mean: np.ndarray
    """Mean activation per token, >= 0; 0 if silent."""
    density: np.ndarray
    """Share of tokens on which it is active, in [0, 1]."""
    share: np.ndarray
    """Its share of the activation of all latents, in [0, 1]; sums to 1."""
    template_share: np.ndarray
    """Share of its mass on chat-template tokens, in [0, 1]; NaN if silent."""
    token_share: np.ndarray
    """Lower bound of the share of its mass on a single token string, in [0, 1]; NaN if silent."""
    window_density: np.ndarray
    """Share of the texts' windows of ``WINDOW`` tokens in which it is active, in [0, 1]. Activations cluster, so this
    is far lower than ``density`` would give if tokens were independent."""
    window_cas: np.ndarray
    """Mean over the windows where it is active of its mean activation per token, > 0: a typical CAS; NaN if silent."""
    lexical_share: np.ndarray
    """Share of its activation's variance that the token explains, corrected for chance (at most about 1, and near 0 or
    slightly below for a latent that does not depend on tokens); NaN if active in fewer than 5 texts, and for an SAE of
    averages."""
    pair_share: np.ndarray
    """As ``lexical_share``, for the pair of the token and the one before it, over pairs that recur in another text."""
    word_share: np.ndarray
    """For an SAE of averages: the largest share of its mass, at its peaks in a sample of 64 texts, on stretches that
    contain the same token, beyond chance; at most 1. NaN with fewer than 5 texts, and for an SAE of single tokens."""
    punctuation: np.ndarray
    """Share of its mass in texts on tokens of punctuation, in [0, 1]; NaN if silent."""
    space: np.ndarray
    """As ``punctuation``, for white space."""
    digits: np.ndarray
    """As ``punctuation``, for digits."""
    markup: np.ndarray
    """As ``punctuation``, for symbols of markup and code."""
    first_share: np.ndarray
    """As ``punctuation``, for the first 4 tokens of what the model reads at once; for an SAE of averages, for the
    tokens whose stretch is the first."""
    coherence: np.ndarray
    """How alike in meaning its ten strongest windows are, compared with windows drawn at random: at most 1, near 0 if
    they have nothing in common. NaN if not measured, or with fewer than 5 windows."""
    token: list[str | None]
    """The token string of ``token_share``."""

    @property
    def format_share(self) -> np.ndarray:
        """Share of its mass in texts on tokens without a letter, in [0, 1]; NaN if silent."""
        return self.punctuation + self.space + self.digits + self.markup

    def write(self, path: Path) -> None:
        """Write a Parquet file with one row per latent."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "token"}
        columns = {name: pl.Series(values.astype(np.float32)).fill_nan(None) for name, values in arrays.items()}
        concept = np.arange(len(self.mean), dtype=np.int32)
        token = pl.Series(self.token, dtype=pl.String)
        table = pl.DataFrame({"concept": concept, **columns, "token": token})
        write_atomic(path, table.write_parquet)


def read_reference(path: Path, width: int) -> Reference:
    """Return the reference statistics in a file.

    Raises
    ------
    UserError
        If the file is missing, damaged, or belongs to an SAE of another width.
    """
    again = "Measure or train the SAE again in this version."
    if not path.is_file():
        raise UserError(f"reference {str(path)!r}: there is no such file.")
    names = [field.name for field in fields(Reference) if field.name != "token"]
    numbers = [pl.col(name).cast(pl.Float64) for name in names]
    try:
        table = read_parquet(path).select("concept", *numbers, pl.col("token").cast(pl.String)).sort("concept")
    except (pl.exceptions.PolarsError, OSError) as error:
        fault = shorten(visible(str(error)), 300)
        raise UserError(f"reference {str(path)!r} is damaged, or from another version: {fault}. {again}") from error
    if table["concept"].to_list() != list(range(width)):
        raise UserError(
            f"reference {str(path)!r} has {table.height} latents, expected each of the SAE's {width} exactly once."
        )
    for name in names:
        cells, absent = table[name], float("inf") if name in _PRESENT else 0
        # A struct is still one after the cast.
        if cells.dtype != pl.Float64 or not cells.fill_null(absent).is_finite().all():
            raise UserError(f"reference {str(path)!r}: expected finite numbers in {name!r}. {again}")
    arrays = {name: table[name].fill_null(float("nan")).to_numpy() for name in names}
    return Reference(**arrays, token=table["token"].to_list())
