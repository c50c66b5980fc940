"""Statistics of an SAE's latents over a reference corpus: the base rates that lift needs, and what tells kinds."""

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
"""Tokens of a window: a stretch of text about as long as a benchmark's item."""

FORMS = ("punctuation", "space", "digits", "markup")
"""Forms of tokens without a letter."""
SURFACE = ("lexical_share", "pair_share", "word_share", *FORMS, "first_share", "coherence")
"""Columns that say how a latent goes with tokens and texts; runs copy them."""
_PRESENT = ("mean", "density", "share", "window_density")
"""Columns without nulls."""


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
    lexical_share: np.ndarray
    """Share of its activation's variance that the token explains, corrected for chance (at most about 1, and near 0 or
    slightly below for a latent that has nothing to do with tokens); NaN where active in fewer than 5 texts, and for an
    SAE of averages."""
    pair_share: np.ndarray
    """The same of the pair of the token before and the token, over pairs that recur in another text."""
    word_share: np.ndarray
    """For an SAE of averages: the largest share of its mass, at its peaks in a sample of 64 texts, on stretches that
    hold the same token, beyond chance; at most 1. NaN: fewer than 5 texts, or an SAE of single tokens."""
    punctuation: np.ndarray
    """Share of its mass in texts on tokens of punctuation, in [0, 1]; NaN where silent."""
    space: np.ndarray
    """The same of white space."""
    digits: np.ndarray
    """The same of digits."""
    markup: np.ndarray
    """The same of symbols of markup and code."""
    first_share: np.ndarray
    """The same of the first 4 tokens of what the model reads at once; of averages, of those in whose stretch these are
    the first."""
    coherence: np.ndarray
    """How alike in meaning its ten strongest windows are beside windows drawn at random, at most 1; near 0 for those
    that have nothing in common; NaN: not measured, or fewer than 5 windows."""
    token: list[str | None]
    """The token string of ``token_share``."""

    @property
    def format_share(self) -> np.ndarray:
        """Share of its mass in texts on tokens without a letter, in [0, 1]; NaN where silent."""
        return self.punctuation + self.space + self.digits + self.markup

    def write(self, path: Path) -> None:
        """Write one row per latent."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "token"}
        columns = {name: pl.Series(values.astype(np.float32)).fill_nan(None) for name, values in arrays.items()}
        concept = np.arange(len(self.mean), dtype=np.int32)
        token = pl.Series(self.token, dtype=pl.String)
        table = pl.DataFrame({"concept": concept, **columns, "token": token})
        write_atomic(path, table.write_parquet)


def read_reference(path: Path, width: int) -> Reference:
    """Read reference statistics.

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
