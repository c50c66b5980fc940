"""An open shard of rows, which may come from somebody else.

What its header says is checked when it is opened. What its tensors hold is checked before it is used, in pieces, so
that neither takes memory by the sizes that a shard declares. Which tensors there are is in ``docs/run-folder.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from competency_gaps.activations.packing import WHOLE
from competency_gaps.errors import UserError

Part = Callable[[str, int, int], np.ndarray]
"""Gives the rows of a tensor from a first to before a last."""
PIECE = 2**18
"""Elements of a tensor that are checked at once."""
_INDEX = ("U16", "U32")
ROWS = {
    "items": ("I64",),
    "indptr": ("I64",),
    "concepts": _INDEX,
    "cas": ("F16",),
    "scale": ("F32",),
    "peaks": _INDEX,
    "token_ptr": ("I64",),
    "token_ids": _INDEX,
    "token_offsets": _INDEX,
}
"""Tensors of rows, with the types in which each may be stored."""
ACTIVATIONS = {"act_ptr": ("I64",), "act_counts": _INDEX, "act_tokens": _INDEX, "act_values": ("F16", "F32")}
"""The same of the activations of single tokens: a shard has all of them or none."""
_ITEMS = 2**31
"""More than a run has: rows of its items are int32."""
_TOKEN_IDS = 2**24
"""More than any vocabulary has: arrays are as long as the largest id."""
_CHARACTERS = 2**31
"""More than a text has: places in it are int32."""


class Sizes(NamedTuple):
    """Lengths of a shard's tensors."""

    rows: int
    pairs: int
    """Of a row and a concept that is active in it."""
    tokens: int
    activations: int
    """Of concepts on single tokens."""


class ShardFile:
    """An open shard; its tensors stay on disk.

    Raises
    ------
    UserError
        If it is missing or no safetensors file, or its tensors are not those of rows, or do not fit together.
    """

    def __init__(self, file: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self.file = file
        try:
            held: Any = safe_open(file, framework="numpy")
            names = {*held.keys()}
            self.has_activations = not names.isdisjoint(ACTIVATIONS)
            wanted = ROWS | ACTIVATIONS if self.has_activations else ROWS
            self._slices: dict[str, Any] = {name: held.get_slice(name) for name in wanted}
            self.sizes = self._check_header(wanted)
        except (OSError, ValueError, SafetensorError) as error:
            raise UserError(
                f"{file} is missing or damaged: {error}. Run the command that made its folder again."
            ) from error

    def part(self, name: str, first: int, last: int) -> np.ndarray:
        """Read the rows ``first`` to ``last - 1`` of a tensor."""
        held = self._slices[name]
        if first >= last:  # safetensors refuses to read nothing at the end of a tensor
            return np.zeros((0, *held.get_shape()[1:]), _TYPES[held.get_dtype()])
        read: np.ndarray = held[first:last]
        return read

    def tensor(self, name: str) -> np.ndarray:
        """Read a tensor as a whole."""
        return self.part(name, 0, self._slices[name].get_shape()[0])

    def check(self, width: int) -> None:
        """Check the content of all tensors.

        Parameters
        ----------
        width
            Number of concepts of the SAE.

        Raises
        ------
        UserError
            If there is something that no run writes.
        """
        try:
            check_rows(self.part, self.sizes, width)
            if self.has_activations:
                _check_activations(self.part, self.sizes)
        except ValueError as error:
            raise self.damaged(error) from error

    def damaged(self, error: ValueError) -> UserError:
        """The error of a shard whose content cannot be."""
        return UserError(
            f"{self.file} is damaged: {error}. Remove it, and run the command that made its folder again: it computes "
            "this shard anew."
        )

    def _check_header(self, wanted: dict[str, tuple[str, ...]]) -> Sizes:
        """Raise ValueError if types or shapes are not those of rows."""
        shapes = {name: tuple(held.get_shape()) for name, held in self._slices.items()}
        for name, types in wanted.items():
            if self._slices[name].get_dtype() not in types or len(shapes[name]) != 1 + (name == "token_offsets"):
                raise ValueError(f"its {name} are of another type or form than rows have")
        lengths = (shapes.get(name, (0,))[0] for name in ("items", "concepts", "token_ids", "act_tokens"))
        rows, pairs, tokens, activations = lengths
        expected = {
            **dict.fromkeys(("indptr", "token_ptr", "act_ptr"), (rows + 1,)),
            **dict.fromkeys(("cas", "peaks", "act_counts"), (pairs,)),
            **{"scale": (rows,), "token_offsets": (tokens, 2), "act_values": (activations,)},
        }
        for name, shape in shapes.items():
            if shape != expected.get(name, shape):
                raise ValueError(f"its {name} have the shape {shape}, which does not fit its other tensors")
        return Sizes(rows, pairs, tokens, activations)


_TYPES = {"U16": np.uint16, "U32": np.uint32, "I64": np.int64, "F16": np.float16, "F32": np.float32}


def check_rows(part: Part, sizes: Sizes, width: int) -> None:
    """Check rows, but not the activations of single tokens; raises ValueError if a run writes no such rows."""
    items, scale = part("items", 0, sizes.rows), part("scale", 0, sizes.rows)
    if ((items < 0) | (items >= _ITEMS)).any() or len(np.unique(items)) != sizes.rows:
        raise ValueError("an item is negative, too large, or there twice")
    if not ((scale >= 0) & np.isfinite(scale)).all():
        raise ValueError("scores are negative or no numbers")
    indptr = _starts(part, "indptr", sizes.rows, sizes.pairs)
    token_ptr = _starts(part, "token_ptr", sizes.rows, sizes.tokens)
    lengths = np.diff(token_ptr)
    for first, last in _pieces(0, sizes.pairs):
        concepts = part("concepts", first, last)
        if int(concepts.max()) >= width:
            raise ValueError(f"it has concept {int(concepts.max()):,}, and the SAE has {width:,}")
        starts = slice(*np.searchsorted(indptr, (first, last)))
        if not _ascend(concepts, indptr[starts] - first):
            raise ValueError("a row's concepts do not ascend")
        if not are_positive(part("cas", first, last), np.float16(WHOLE)):
            raise ValueError("scores are not positive, too large or no numbers")
        if (part("peaks", first, last) >= _spread(lengths, indptr, first, last)).any():
            raise ValueError("a concept peaks on a token that its row does not have")
    for first, last in _pieces(0, sizes.tokens):
        if int(part("token_ids", first, last).max()) >= _TOKEN_IDS:
            raise ValueError("the id of a token cannot be")
        if int(part("token_offsets", first, last).max()) >= _CHARACTERS:
            raise ValueError("the place of a token cannot be")


def _check_activations(part: Part, sizes: Sizes) -> None:
    """Check the activations of single tokens of sound rows; raises ValueError if a run writes no such ones."""
    indptr, act_ptr = part("indptr", 0, sizes.rows + 1), _starts(part, "act_ptr", sizes.rows, sizes.activations)
    lengths = np.diff(part("token_ptr", 0, sizes.rows + 1))
    done = 0
    for first, last in _pieces(0, sizes.pairs, overlap=0):
        counts = part("act_counts", first, last)
        ends = done + np.cumsum(counts, dtype=np.int64)
        rows = slice(*np.searchsorted(indptr, (first, last), side="right"))  # that end here
        if not counts.min() or ends[-1] > sizes.activations or (act_ptr[rows] != ends[indptr[rows] - first - 1]).any():
            raise ValueError("the activations of tokens do not fit their numbers")
        pairs = _Pairs(ends - counts, ends, _spread(lengths, indptr, first, last))
        for begin, end in _pieces(done, int(ends[-1])):
            _check_tokens(part, begin, end, pairs)
        done = int(ends[-1])
    if act_ptr[indptr == 0].any() or done != sizes.activations:
        raise ValueError("the activations of tokens do not fit their numbers")


class _Pairs(NamedTuple):
    """Some pairs of a row and a concept: arrays of int64, one number each."""

    starts: np.ndarray
    """Where its activations start."""
    ends: np.ndarray
    lengths: np.ndarray
    """Tokens of the row."""


def _check_tokens(part: Part, first: int, last: int, pairs: _Pairs) -> None:
    """Check the activations ``first`` to ``last - 1``, which are of these pairs."""
    tokens, values = part("act_tokens", first, last), part("act_values", first, last)
    starts = slice(*np.searchsorted(pairs.starts, (first, last)))
    if not _ascend(tokens, pairs.starts[starts] - first):
        raise ValueError("the tokens of a concept do not ascend")
    ends = slice(*np.searchsorted(pairs.ends, (first, last), side="right"))
    if (tokens[pairs.ends[ends] - first - 1] >= pairs.lengths[ends]).any():
        raise ValueError("a concept is active on a token that its row does not have")
    if not are_positive(values, np.finfo(values.dtype).max):
        raise ValueError("activations are not positive or no numbers")


def _starts(part: Part, name: str, rows: int, size: int) -> np.ndarray:
    """Where each row starts, and the last ends, in a tensor of some size; raises ValueError if that cannot be."""
    starts = part(name, 0, rows + 1)
    if starts[0] != 0 or starts[-1] != size or (starts[1:] < starts[:-1]).any():
        raise ValueError(f"its {name} do not fit its other tensors")
    return starts


def _pieces(first: int, last: int, overlap: int = 1) -> Iterator[tuple[int, int]]:
    """Pieces of a stretch; each also has the last elements of the piece before, to compare them with its first."""
    for start in range(first, last, PIECE):
        yield max(start - overlap, first), min(start + PIECE, last)


def _spread(values: np.ndarray, starts: np.ndarray, first: int, last: int) -> np.ndarray:
    """The value of its row for each of the elements ``first`` to ``last - 1``."""
    begin, end = np.searchsorted(starts, first, side="right") - 1, np.searchsorted(starts, last, side="left")
    return np.repeat(values[begin:end], np.diff(starts[begin : end + 1].clip(first, last)))


def _ascend(values: np.ndarray, starts: np.ndarray) -> bool:
    """Whether each value is above the one before it, or the first of its row; ``starts``: where rows start."""
    rises = values[1:] > values[:-1]
    rises[starts[starts > 0] - 1] = True
    return bool(rises.all())


def are_positive(values: np.ndarray, most: np.floating) -> bool:
    """Whether all of some floats are above 0 and at most ``most``.

    Positive floats are ordered as their bits are; negative ones, infinity and NaN are above them. So whole numbers are
    compared, as processors are slow with halves.
    """
    bits = np.dtype(f"u{values.dtype.itemsize}")
    held = values.view(bits)
    return bool(held.min() > 0 and held.max() <= np.asarray(most, values.dtype).view(bits))
