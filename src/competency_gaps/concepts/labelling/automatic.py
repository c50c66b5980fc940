"""Labels made from exemplars' words, without any model: ``"metre", "mile" in text about distance, road`` [ours].

They are marked as automatic and are good enough for search.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files

import numpy as np

from competency_gaps.concepts.exemplars import Exemplar
from competency_gaps.concepts.folder import Dictionary
from competency_gaps.concepts.labelling.labeller import Taken, label_rows
from competency_gaps.util.errors import UserError

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_LONGEST = 40
_GENERAL, _OF_LABELS = (
    files("competency_gaps.concepts.labelling").joinpath("stop_words.txt").read_text(encoding="utf-8").split("\n\n")
)
STOP_WORDS = frozenset(_GENERAL.split())
"""English words that name no subject."""
LABEL_STOP_WORDS = STOP_WORDS | frozenset(_OF_LABELS.split())
"""Stop words, and words that refer to texts and features rather than to a subject."""


def words_of(text: str) -> set[str]:
    """Return the distinct words of a text, in lower case."""
    return {word[:_LONGEST] for word in _WORD.findall(text.casefold())}


def word_at(text: str, start: int, end: int) -> str:
    """Return the first word that overlaps a range of characters; if no word does, the range itself.

    Returns
    -------
    str, in lower case and without outer blanks; empty if the range is blank
    """
    for match in _WORD.finditer(text, max(0, start - 2 * _LONGEST), min(len(text), end + 2 * _LONGEST)):
        if match.end() > start and match.start() < end:
            return match.group().casefold()[:_LONGEST]
    return text[start:end].strip().casefold()[:_LONGEST]


AUTOMATIC = "words of exemplars"
"""Name of the explainer of automatic labels."""
PEAK = 0.5
"""A concept fires on a token if its activation is at least this share of the window's highest."""
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


def _holding(texts: Iterable[str]) -> Counter[str]:
    """Return the number of texts that contain each word."""
    return Counter(word for text in texts for word in words_of(text))


def automatic_label(exemplars: list[Exemplar], usual: Mapping[str, float]) -> str | None:
    """Return a label of a concept: the words it fires on, and the words around them that are rare elsewhere.

    None if neither stands out. Promoted tokens are not used: most are misleading parts of words.

    Parameters
    ----------
    usual
        Share of all windows that contain each word, as :func:`label_automatically` computes it.
    """
    head, named = lexical_head(exemplars)
    around = distinctive_words([exemplar.text for exemplar in exemplars], usual, named)
    if head and around:
        return f"{head} in text about {', '.join(around)}"
    return head or (f"text about {', '.join(around)}" if around else None)


def lexical_head(exemplars: Iterable[Exemplar]) -> tuple[str | None, set[str]]:
    """Return, as text, the words or kind of token that a concept fires on, and the set of words in it.

    None and an empty set if it fires on too many different ones.
    """
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
        return ", ".join(f'"{word}"' for word in chosen), set(chosen)
    kind = max(kinds, key=lambda name: (kinds[name], name))
    if kind and kinds[kind] >= KIND_SHARE * total:
        return kind, set()
    return None, set()


def distinctive_words(texts: list[str], usual: Mapping[str, float], named: set[str]) -> list[str]:
    """Return up to three words much more frequent in these windows than elsewhere, the most distinctive first."""
    scored = []
    for word, count in _holding(texts).items():
        share, elsewhere = count / len(texts), usual[word]
        usable = len(word) > 2 and word not in STOP_WORDS and word not in named and not word.isdigit()
        if usable and count >= 3 and share >= CONTEXT_SHARE and share >= CONTEXT_LIFT * elsewhere:
            scored.append((-share * math.log(share / elsewhere), word))
    # A word that begins like an earlier one is its plural or another form.
    different: dict[str, str] = {}
    for _, word in sorted(scored):
        different.setdefault(word[:5], word)
    return list(different.values())[:3]


def label_automatically(
    dictionary: Dictionary, concepts: Sequence[int] | None, advance: Callable[[float], None] = lambda amount: None
) -> Taken:
    """Store a label made from exemplars' words for each concept (None: all) that has any; return the counts."""
    if not dictionary.has_exemplars:
        raise UserError(f"{dictionary.folder}: there is nothing to label from. Collect exemplars first.")
    labels: dict[int, str | None] = {}
    exemplars = dictionary.exemplars
    texts = exemplars.windows["text"]
    usual = {word: (count + 1) / (len(texts) + 1) for word, count in _holding(texts).items()}
    for concept in exemplars.concepts.tolist():
        # Windows of odd rank are held out for scores.
        chosen = [exemplar for exemplar in exemplars.of(concept, "top", "spread") if exemplar.rank % 2 == 0]
        labels[concept] = automatic_label(chosen, usual)
        advance(1)
    wanted = labels if concepts is None else {c: labels[c] for c in concepts if c in labels}
    rows = sorted(wanted.items())
    dictionary.add_labels(label_rows(dictionary, rows, "automatic", AUTOMATIC, None))
    abstained = sum(label is None for _, label in rows)
    return Taken(len(rows) - abstained, abstained)
