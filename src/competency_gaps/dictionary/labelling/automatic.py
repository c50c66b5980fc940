"""Labels without any model, from exemplars' words: ``"metre", "mile" in text about distance, road`` [ours].

They are marked as automatic and are good enough for search.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from competency_gaps.dictionary.exemplars import Exemplar, Exemplars

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
"""English words that name no subject."""
LABEL_STOP_WORDS = STOP_WORDS | frozenset(_OF_LABELS.split())
"""The same, and words that refer to texts and features rather than to a subject."""


def words_of(text: str) -> set[str]:
    """The different words of a text, in lower case."""
    return {word[:_LONGEST] for word in _WORD.findall(text.casefold())}


def word_at(text: str, start: int, end: int) -> str:
    """The first word that overlaps a range of characters; if no word does, the range itself.

    Returns
    -------
    str, in lower case and without outer blanks; empty if the range is blank
    """
    for match in _WORD.finditer(text, max(0, start - 2 * _LONGEST), min(len(text), end + 2 * _LONGEST)):
        if match.end() > start and match.start() < end:
            return match.group().casefold()[:_LONGEST]
    return text[start:end].strip().casefold()[:_LONGEST]


PEAK = 0.5
"""A concept fires on the tokens with at least this share of a window's highest activation."""
WORD_SHARE = 0.12
"""A word is named if it has at least this share of the peak mass."""
HEAD_SHARE = 0.4
"""Words are named if together they have at least this share of the peak mass."""
KIND_SHARE = 0.6
"""A kind of token is named if it has at least this share of the peak mass."""
CONTEXT_SHARE = 0.2
"""A context word occurs in at least this share of a concept's windows."""
CONTEXT_LIFT = 4.0
"""A context word is at least this many times as frequent in a concept's windows as in all windows."""
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("line breaks", re.compile(r"\s*\n\s*")),
    ("numbers", re.compile(r"\s*[\d.,]*\d[\d.,]*\s*")),
    ("template tokens", re.compile(r"<\|.*\|>")),
    ("brackets and quotation marks", re.compile(r"\s*[()\[\]{}<>\"'“”‘’`]+\s*")),
    ("punctuation", re.compile(r"\s*[^\w\s]+\s*")),
    ("capitalised words", re.compile(r"\s*[A-Z][a-z]+\s*")),
    ("capital letters", re.compile(r"\s*[A-Z]+\s*")),
)


@dataclass(frozen=True)
class Background:
    """Number of windows that hold each word."""

    windows: int
    holding: dict[str, int]

    @classmethod
    def of(cls, texts: pl.Series) -> Background:
        """Count over the texts of all windows."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(words_of(text))
        return cls(len(texts), dict(counts))


def automatic_labels(
    exemplars: Exemplars, advance: Callable[[float], None] = lambda amount: None
) -> dict[int, str | None]:
    """Label every concept that has exemplars; None if its windows have nothing in common."""
    background = Background.of(exemplars.windows["text"])
    labels = {}
    for concept in exemplars.concepts.tolist():
        # Windows of odd rank are held out for scores.
        chosen = [exemplar for exemplar in exemplars.of(concept, "top", "spread") if exemplar.rank % 2 == 0]
        labels[concept] = automatic_label(chosen, background)
        advance(1)
    return labels


def automatic_label(exemplars: list[Exemplar], background: Background) -> str | None:
    """Label one concept by what it fires on and by the words around it that are rare elsewhere. Promoted tokens are not
    used: most are misleading parts of words.
    """
    head, named = _head(exemplars)
    around = distinctive_words([exemplar.text for exemplar in exemplars], background, named)
    if head and around:
        return f"{head} in text about {', '.join(around)}"
    return head or (f"text about {', '.join(around)}" if around else None)


def promoted_label(tokens: Iterable[str]) -> str | None:
    """A label from the tokens that a concept promotes; None unless three of them are words."""
    words = [token.strip() for token in tokens if re.fullmatch(r"[^\W\d_]{3,}", token.strip())]
    words = list(dict.fromkeys(word.casefold() for word in words))[:3]
    return f"before {_quoted(words)}" if len(words) == 3 else None


def lexical_head(exemplars: Iterable[Exemplar]) -> str | None:
    """The words or the kind of token that a concept fires on; None if these are too many."""
    return _head(exemplars)[0]


def _head(exemplars: Iterable[Exemplar]) -> tuple[str | None, set[str]]:
    """What the concept fires on, as text, and the words in it."""
    words: defaultdict[str, float] = defaultdict(float)
    kinds: defaultdict[str, float] = defaultdict(float)
    total = 0.0
    for exemplar in exemplars:
        tokens, peak = exemplar.tokens(), exemplar.activations.max(initial=0.0)
        ends = exemplar.ends.tolist()
        for i in np.flatnonzero(exemplar.activations >= PEAK * peak) if peak > 0 else ():
            mass = float(exemplar.activations[i] / peak)
            total += mass
            words[word_at(exemplar.text, ends[i] - len(tokens[i]), ends[i])] += mass
            kinds[next((name for name, form in _KINDS if form.fullmatch(tokens[i])), "")] += mass
    if not total:
        return None, set()
    by_mass = sorted(words, key=lambda word: (-words[word], word))
    chosen = [word for word in by_mass if word and words[word] >= WORD_SHARE * total][:3]
    if chosen and sum(words[word] for word in chosen) >= HEAD_SHARE * total:
        return _quoted(chosen), set(chosen)
    kind = max(kinds, key=lambda name: (kinds[name], name))
    if kind and kinds[kind] >= KIND_SHARE * total:
        return kind, set()
    return None, set()


def distinctive_words(texts: list[str], background: Background, named: set[str]) -> list[str]:
    """Up to three words that many of these windows hold, but few others."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(words_of(text))
    scored = []
    for word, count in counts.items():
        share, elsewhere = count / len(texts), (background.holding.get(word, 0) + 1) / (background.windows + 1)
        usable = len(word) > 2 and word not in STOP_WORDS and word not in named and not word.isdigit()
        if usable and count >= 3 and share >= CONTEXT_SHARE and share >= CONTEXT_LIFT * elsewhere:
            scored.append((-share * math.log(share / elsewhere), word))
    return _distinct([word for _, word in sorted(scored)])[:3]


def _distinct(words: list[str]) -> list[str]:
    """Leave out a word that begins like an earlier one (plural, other form)."""
    kept: list[str] = []
    for word in words:
        if not any(word[:5] == other[:5] for other in kept):
            kept.append(word)
    return kept


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)
