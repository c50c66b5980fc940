"""Clean texts of labels, and recognise labels that are only a token."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from competency_gaps.text import visible

LABEL_LIMIT = 160
"""Longest label in characters [ours]."""

NAME_LIMIT = 200
"""Longest explainer or source in characters [ours]."""

_JOINERS = "\u200c\u200d"
_MARKERS = "▁ĠĊ"
_QUOTES = "\"'`“”‘’«»"
_WORD = re.compile(r"[^\W_]+(?:[-'’/.&][^\W_]+)*")


def clean_label(text: str | None) -> str | None:
    """Turn a foreign label into one bounded, visible line.

    White space is folded to single blanks; controls, directional overrides and every other format character (marks,
    zero-width and tag characters; not the joiners that scripts and emoji need) are written as their code point.

    Returns
    -------
    str of 1 to 160 characters, or None
        None if nothing readable is left. Cleaning is idempotent.
    """
    return _line(text, LABEL_LIMIT)


def clean_name(text: str | None) -> str | None:
    """Turn the name of an explainer or a source into one bounded, visible line; None if nothing readable is left."""
    return _line(text, NAME_LIMIT)


def _line(text: str | None, limit: int) -> str | None:
    if text is None or not any(_readable(character) for character in text):
        return None
    # More than the limit, so that the cut shows; not all, because a line may have 100 kB.
    line = " ".join(text.split())[: limit + 1]
    line = "".join(_shown(character) for character in visible(line))
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _readable(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character)[0] in "LNPS"


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) == "Cf" and character not in _JOINERS
    return f"<U+{ord(character):04X}>" if hidden else character


def is_placeholder(label: str, tokens: Iterable[str] | None = None) -> bool:
    """Whether a label is only a token's text, and so adds nothing to the tokens [ours].

    Pass the label as its source has it: cleaning removes the leading blank that marks a token.

    A label that contains white space is no placeholder. With the concept's known tokens (its top or promoted ones), a
    label is a placeholder if it equals one of them; upper and lower case, outer blanks, quotes, ``▁``, ``Ġ`` and ``##``
    do not count. Without tokens "dogs" could be a token or a word, so a single word is a placeholder only if it looks
    like a token: by a leading blank or marker (``" the"``, ``"Ġthe"``, ``"##ing"``), by characters that no plain word
    has (``"<bos>"``, ``"_id"``; a hyphen or apostrophe inside is plain), or by having fewer than 3 characters.

    Parameters
    ----------
    label
        The raw label.
    tokens
        Texts of the concept's tokens; None or empty if they are unknown.
    """
    core = _core(label)
    if any(character.isspace() for character in core):
        return False
    known = {_core(token).casefold() for token in tokens or ()} - {""}
    if known:
        return not core or core.casefold() in known
    marked = label[:1].isspace() or label.strip().strip(_QUOTES)[:1] in tuple(_MARKERS)
    return marked or len(core) < 3 or _WORD.fullmatch(core) is None or "##" in label


def _core(text: str) -> str:
    before = None
    while before != text:
        before = text
        text = text.strip().strip(_QUOTES).strip(_MARKERS).removeprefix("##")
    return text
