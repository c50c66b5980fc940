"""An entry of a taxonomy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_WORD = re.compile(r"\w+")
_SHORTEST = 3
"""Fewest characters of a category's word that counts."""


@dataclass(frozen=True)
class Entry:
    """An entry of a taxonomy."""

    id: str
    description: str
    """The weak (or tested) point, with visible characters only, cut to ``DESCRIPTION_LIMIT``."""
    domain: str | None
    category: str | None
    score: float | None
    """The taxonomy's score, on its own scale; None: none."""
    extra: dict[str, Any]
    """All other fields of the record."""

    @property
    def text(self) -> str:
        """The embedded text [ours]: the description, and the category in brackets if it adds a word.

        The category (underscores as spaces) is added if any of its words of three or more characters is not in the
        description. Domain, score and extra fields say nothing of the entry's subject and are not embedded.
        """
        category = (self.category or "").replace("_", " ").strip()
        there = set(_WORD.findall(self.description.casefold()))
        new = {word for word in _WORD.findall(category.casefold()) if len(word) >= _SHORTEST} - there
        return f"{self.description} ({category})" if new else self.description

    @property
    def fields(self) -> dict[str, Any]:
        """All fields by name."""
        own = {"id": self.id, "description": self.description, "domain": self.domain, "category": self.category}
        return {**self.extra, **own, "score": self.score}
