"""The document of a part of a run: which shards it was to read, and with which settings.

It is written when all of them are read. A part holds a plan, the SAE's check and shards, but no tables.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.checked import damaged, read_document
from competency_gaps.errors import UserError

FILE = "part.json"


class Part(NamedTuple):
    """Every ``of``-th shard of a run, from the ``number``-th on."""

    number: int
    """From 1 to ``of``."""
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def choose(self, names: Sequence[str]) -> list[str]:
        """The shards of this part. Each part gets long items and short ones, because shards go from long to short."""
        return list(names[self.number - 1 :: self.of])


@dataclass(frozen=True)
class PartRecord:
    """A finished part of a run."""

    part: Part
    shards: list[str]
    """Names of the shards of the whole run."""
    settings: dict[str, Any]
    """The configuration."""
    pair: dict[str, Any]
    """What joining needs of model and SAE: their identities, the hook, the first token and the longest input."""

    @property
    def own(self) -> list[str]:
        """Names of the shards that the part holds."""
        return self.part.choose(self.shards)


def parse_part(text: str) -> Part:
    """Parse ``I/N``.

    Raises
    ------
    UserError
        If it is no part, such as 0/4 or 5/4.
    """
    if not re.fullmatch(r"[0-9]{1,9}/[0-9]{1,9}", text):
        raise UserError(f"part {text[:40]!r}: expected I/N, such as 1/8 for the first of eight parts.")
    number, of = text.split("/")
    if not 1 <= int(number) <= int(of):
        raise UserError(f"part {text}: expected I/N, with I from 1 to N.")
    return Part(int(number), int(of))


def read_part(folder: Path) -> PartRecord:
    """Read the document of a finished part.

    Raises
    ------
    UserError
        If there is none, or it is damaged.
    """
    path = folder / FILE
    try:
        known = read_document(path)
        return PartRecord(**{**known, "part": Part(*known["part"])})
    except FileNotFoundError as error:
        raise UserError(
            f"{str(folder)!r} is neither a finished part nor a finished run: repeat the command that makes it; "
            "finished work in it is kept."
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise damaged(path, error, "Repeat the command that made the part: it reads only what is missing.") from error
