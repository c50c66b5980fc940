"""One entry of an outside list."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_WORD = re.compile(r"\w+")
_SHORTEST = 3
"""Characters from which a category's word is one that can add something."""


@dataclass(frozen=True)
class Entry:
    """One entry of an outside list."""

    id: str
    description: str
    """What it says is weak (or tested), made visible and cut to ``DESCRIPTION_LIMIT`` characters."""
    domain: str | None
    category: str | None
    score: float | None
    """The outside list's own score, on its own scale; null: it has none."""
    extra: dict[str, Any]
    """All other fields of the record."""

    @property
    def text(self) -> str:
        """What is embedded [ours]: the description, and the category in brackets where it adds a word.

        The category (underscores read as spaces) is added if any of its words of three or more characters is not
        in the description. Domain, score and extra fields are not embedded: they say where an entry stands, and not
        what it is about.
        """
        category = (self.category or "").replace("_", " ").strip()
        there = set(_WORD.findall(self.description.casefold()))
        new = {word for word in _WORD.findall(category.casefold()) if len(word) >= _SHORTEST} - there
        return f"{self.description} ({category})" if new else self.description

    def field(self, name: str) -> Any:
        """Give one of the entry's own fields or an extra one; null if it lacks it."""
        own = {"id": self.id, "description": self.description, "domain": self.domain, "category": self.category}
        return self.score if name == "score" else own[name] if name in own else self.extra.get(name)
