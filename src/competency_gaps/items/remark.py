"""Remarks on records, items, logs and benchmarks: a code, with numbers and quotes.

Data, not sentences, are passed on and stored: why a record is left out, why an item is excluded or unscored, what makes
a log doubtful, and a policy's results for a whole benchmark. :mod:`~competency_gaps.items.sentences` has the words.
"""

from __future__ import annotations

import json
import math
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.files import finite
from competency_gaps.items.sentences import SENTENCES
from competency_gaps.text import plural

DTYPE = pl.Struct({"code": pl.String, "numbers": pl.List(pl.Float64), "quotes": pl.List(pl.String)})
"""Type of a column of remarks."""


@dataclass(frozen=True)
class Remark:
    """A code of ``SENTENCES`` with the values of its sentence; ``str`` gives the sentence."""

    code: str
    numbers: tuple[float, ...] = ()
    quotes: tuple[str, ...] = ()
    """Whatever may be private: texts, names, messages of other programs; empty: withheld, or there are none."""

    def __post_init__(self) -> None:
        if self.code not in SENTENCES:
            raise ValueError(f"unknown remark {self.code!r}; for words of your own use Remark.other(text)")

    @classmethod
    def other(cls, text: str) -> Remark:
        """A remark in free text, as of a plug-in or another program."""
        return cls("other", quotes=(text,))

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Remark:
        """The remark that ``as_dict`` made a mapping of."""
        numbers = (math.nan if number is None else number for number in stored["numbers"])
        return cls(stored["code"], tuple(numbers), tuple(stored["quotes"]))

    def as_dict(self) -> dict[str, Any]:
        """The remark as plain JSON, with None for a number that is not finite, and as a value of ``DTYPE``."""
        return {"code": self.code, "numbers": finite(self.numbers), "quotes": list(self.quotes)}

    def withheld(self) -> Remark:
        """The remark without its quotes."""
        return replace(self, quotes=())

    def __str__(self) -> str:
        template = _QUOTING.sub(r"\1" if self.quotes else r"\2", SENTENCES[self.code])
        # Numbers come back from a run folder as floats.
        numbers = (int(number) if float(number).is_integer() else number for number in self.numbers)
        quotes = {f"q{place}": quote for place, quote in enumerate(self.quotes)}
        return _FORM.format(template, *numbers, **quotes)


def check_remark(given: object) -> Remark:
    """Return a plug-in's value, checked to be a remark.

    Raises
    ------
    UserError
        If it is not a remark.
    """
    if not isinstance(given, Remark):
        raise UserError(
            f"expected a Remark, found {given!r}: for words of your own use competency_gaps.Remark.other(text)."
        )
    return given


@dataclass(frozen=True)
class Counted:
    """How many records have a reason."""

    reason: Remark
    count: int


def counted(counts: Mapping[Remark, int]) -> tuple[Counted, ...]:
    """Counts in their order."""
    return tuple(Counted(reason, count) for reason, count in counts.items())


def sentences(remarks: pl.Series) -> pl.Series:
    """The sentences of a column of remarks, most of which are equal; null where there is none."""
    # polars finds unique texts much faster than unique structs.
    encoded = remarks.struct.json_encode().set(remarks.is_null(), None)
    known = encoded.drop_nulls().unique().to_list()
    words = [str(Remark.of(json.loads(text))) for text in known]
    return encoded.replace_strict(known, words, default=None, return_dtype=pl.String)


class _Form(string.Formatter):
    """Python's format, with ``{0:item}`` for a count of items."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec.replace(" ", "").isalpha() and len(format_spec) > 1:
            return plural(value, format_spec)
        return str(super().format_field(value, format_spec))


_FORM = _Form()
_QUOTING = re.compile(r"<([^<>|]*)\|?([^<>|]*)>")
