"""Words of a text, for labels from words alone."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_LONGEST = 40
_STOP = """
a about above across after again against all also although always am amid among an and another any anyone anything
are around as at away back be became because become been before being below between both but by can cannot could did
do does doing done down due during each either else especially etc even ever every few first for from further get
gets give given giving go goes going had has have having he her here hers him his how however i if in instead into
is it its itself just kind last least less like likely made make makes making many may me might mine more most much
must my near never next no nor not nothing now of off often on once one ones only onto or other others otherwise our
out over own per perhaps rather said same several shall she should since so some something still such than that the
their them then there these they thing things this those though through thus to together too toward towards two
under until up upon us use used uses using usually various very via was way we well were what when where whether
which while who whom whose why will with within without would yet you your
"""
_OF_LABELS = """
appear appearing appears associated certain common commonly concept concepts containing contains context contexts
denote denoting describe describes describing discuss discussing discussion discussions expression expressions
feature features followed following form forms general include includes including indicate indicates indicating
instance instances involving label labels mention mentioned mentioning mentions occurrence occurrences particular
particularly pertaining phrase phrases promoted reference references referencing referring refers related relating
relation represent representing sentence sentences specific specifically string strings term terms text texts token
tokens topic topics type types typically word words
"""
STOP_WORDS = frozenset(_STOP.split())
"""English words that say nothing of a text's subject."""
LABEL_STOP_WORDS = STOP_WORDS | frozenset(_OF_LABELS.split())
"""The same, and the words by which labels speak of texts and features; a label's subject is in the others."""


def words_of(text: str) -> set[str]:
    """The different words of a text, in lower case."""
    return {word[:_LONGEST] for word in _WORD.findall(text.casefold())}


def word_at(text: str, start: int, end: int) -> str:
    """The word that holds (or, where there are several, the first that meets) a range of characters; else the range.

    Returns
    -------
    str, in lower case and without outer blanks; empty if the range is blank
    """
    for match in _WORD.finditer(text, max(0, start - 2 * _LONGEST), min(len(text), end + 2 * _LONGEST)):
        if match.end() > start and match.start() < end:
            return match.group().casefold()[:_LONGEST]
    return text[start:end].strip().casefold()[:_LONGEST]
