"""State of a pass over texts, saved so that an interrupted pass can be resumed."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from safetensors.numpy import load_file, save_file

from competency_gaps.checked import damaged, read_document, write_document
from competency_gaps.dictionary.exemplars.negatives import PoolRows, WindowPool
from competency_gaps.dictionary.exemplars.windows import FIELDS, WINDOW, BestOf, ConceptWindows, lottery
from competency_gaps.errors import UserError
from competency_gaps.files import no_space_left
from competency_gaps.shards import ShardFolder

log = logging.getLogger(__name__)

FOLDER = ".exemplars"
TOKENS = "tokens.bin"


@dataclass(frozen=True)
class PassCounts:
    """Counts of a pass so far."""

    texts: int = 0
    """Pieces of text that were read."""
    tokens: int = 0
    windows: int = 0
    concepts: int = 0
    """Concepts with at least one exemplar; 0 until the pass is finished."""


def _plan(path: Path) -> dict[str, Any]:
    try:
        return read_document(path)
    except (OSError, ValueError) as error:
        raise damaged(path, error, f"Delete {path.parent} to start the pass again.") from error


class PassState:
    """Heaps and pool in memory, the windows' tokens on disk."""

    def __init__(self, folder: Path, concepts: int, top: int, reservoir: int, pool: int, seed: int) -> None:
        self.folder = folder / FOLDER
        self.seed = seed
        self.top = BestOf(concepts, top, WINDOW)
        self.spread = BestOf(concepts, reservoir, WINDOW)
        self.pool = WindowPool(concepts, pool)
        self.done = PassCounts()
        self._shards = ShardFolder(self.folder, ".safetensors")

    def begin(self, made_of: dict[str, Any]) -> bool:
        """Take the folder, or resume the pass in it.

        Returns
        -------
        bool
            Whether a pass is resumed.

        Raises
        ------
        UserError
            If the folder holds another pass.
        """
        plan = self.folder / "plan.json"
        if plan.is_file():
            known = _plan(plan)
            differing = sorted(key for key in {*known, *made_of} if known.get(key) != made_of.get(key))
            if differing:
                raise UserError(
                    f"{self.folder} holds an unfinished pass that differs in {', '.join(differing)}. "
                    f"Give the same texts and options to resume it, or delete the folder to start again."
                )
        else:
            write_document(plan, made_of)
        return self._load()

    def add_tokens(self, tokens: np.ndarray) -> None:
        """Append windows' tokens: int32 of shape (windows, WINDOW), padded with -1."""
        with no_space_left(self.folder / TOKENS), (self.folder / TOKENS).open("ab") as file:
            file.write(np.ascontiguousarray(tokens, np.int32).tobytes())

    def tokens(self) -> np.ndarray:
        """Tokens of all windows, mapped: int32 of shape (windows, WINDOW), padded with -1."""
        return np.memmap(self.folder / TOKENS, np.int32, "r", shape=(self.done.windows, WINDOW))

    def save(self) -> None:
        """Save everything; the previous state is deleted only afterwards."""
        # No saved state may refer to lost tokens.
        with no_space_left(self.folder / TOKENS), (self.folder / TOKENS).open("ab") as file:
            os.fsync(file.fileno())
        pool = self.pool.rows()
        arrays = {
            **{f"top.{name}": getattr(self.top.rows(), name) for name in FIELDS},
            **{f"spread.{name}": getattr(self.spread.rows(), name) for name in FIELDS},
            "pool.window": pool.window,
            "pool.indptr": np.asarray(pool.peaks.indptr, np.int64),
            "pool.concept": np.asarray(pool.peaks.indices, np.int32),
            "pool.peak": np.asarray(pool.peaks.data, np.float32),
            "done": np.asarray([self.done.texts, self.done.tokens, self.done.windows], np.int64),
        }
        name = f"state-{self.done.texts:012d}"
        self._shards.write(name, lambda path: save_file(arrays, path))
        for old in self.folder.glob("state-*"):
            if old.name.split(".")[0] != name:
                old.unlink()

    def remove(self) -> None:
        """Delete the saved state: the pass is finished."""
        shutil.rmtree(self.folder)

    def _begin_anew(self) -> None:
        for path in (self.folder / TOKENS, *self.folder.glob("state-*")):
            path.unlink(missing_ok=True)

    def _load(self) -> bool:
        files = sorted(self.folder.glob("state-*.safetensors"), reverse=True)
        whole = next((path.stem for path in files if self._shards.is_whole(path.stem)), None)
        if whole is None:
            self._begin_anew()
            return False
        arrays = load_file(self._shards.path(whole))
        done = PassCounts(*(int(number) for number in arrays["done"]))
        tokens, size = self.folder / TOKENS, done.windows * WINDOW * 4
        if not tokens.is_file() or tokens.stat().st_size < size:
            log.warning("%s is missing or cut off: the pass starts again.", tokens)
            self._begin_anew()
            return False
        for heap, prefix in ((self.top, "top"), (self.spread, "spread")):
            heap.restore(ConceptWindows(*(arrays[f"{prefix}.{name}"] for name in FIELDS)))
        window = arrays["pool.window"]
        parts = (arrays["pool.peak"], arrays["pool.concept"], arrays["pool.indptr"])
        peaks = sp.csr_array(parts, shape=(len(window), self.pool.concepts))
        self.pool.restore(PoolRows(window, peaks), lottery(window, seed=self.seed))
        self.done = done
        with tokens.open("r+b") as file:  # tokens appended after the state was saved
            file.truncate(size)
        return True
