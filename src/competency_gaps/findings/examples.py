"""The items that a finding shows, with what differs between prompts of their benchmark split from the template."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    pass

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
COMPARED = 12
"""Prompts, evenly chosen, that a template is formed from."""
LONGEST = 2_000
"""Most tokens of a prompt, beyond the shared beginning and end, that are compared; where there are more, all differ."""
FEWEST = 3
"""Fewest words of a constant part inside a prompt: single words that happen to be shared are not a template."""


class Piece(NamedTuple):
    """A piece of a prompt."""

    text: str
    is_constant: bool
    """Whether all prompts of its benchmark have it."""


def template_of(prompts: Sequence[str]) -> list[str]:
    """Find the tokens that all prompts have, in the same order.

    Parameters
    ----------
    prompts
        Of one benchmark; at most ``COMPARED`` of them are compared.

    Returns
    -------
    list of str
        Words, white space and marks. Empty where there are fewer than two different prompts, as nothing shows
        what is constant.
    """
    distinct = list(dict.fromkeys(prompts))
    if len(distinct) < 2:
        return []
    step = max(1, len(distinct) // COMPARED)
    template: list[str] | None = None
    for prompt in distinct[::step][:COMPARED]:
        tokens = _TOKEN.findall(prompt)
        template = tokens if template is None else [template[i] for i, _ in _shared(template, tokens)]
    return template or []


def fold(prompt: str, template: Sequence[str]) -> list[Piece]:
    """Split a prompt into pieces that its template has and pieces of its own; their texts add up to the prompt.

    Parameters
    ----------
    template
        As :func:`template_of` gives it; empty: all of the prompt is its own.
    """
    tokens = _TOKEN.findall(prompt)
    constant = [False] * len(tokens)
    for _, place in _shared(list(template), tokens):
        constant[place] = True
    pieces: list[Piece] = []
    start = 0
    for i in range(1, len(tokens) + 1):
        if i == len(tokens) or constant[i] != constant[start]:
            run = tokens[start:i]
            at_an_end = start == 0 or i == len(tokens)
            words = sum(token[0].isalnum() for token in run)
            kept = constant[start] and words >= (1 if at_an_end else FEWEST)
            pieces.append(Piece("".join(run), kept))
            start = i
    return _joined(pieces)


def own_part(pieces: Sequence[Piece]) -> str:
    """The differing part of a prompt on one line, with an ellipsis where a constant part stood between two pieces."""
    text = " … ".join(" ".join(piece.text.split()) for piece in pieces if not piece.is_constant and piece.text.strip())
    return text or " ".join("".join(piece.text for piece in pieces).split())


def _shared(first: list[str], second: list[str]) -> list[tuple[int, int]]:
    """Places of the tokens that two texts share, in order: beginnings and ends that are equal, and blocks between."""
    most = min(len(first), len(second))
    head = next((i for i in range(most) if first[i] != second[i]), most)
    tail = next((i for i in range(most - head) if first[-1 - i] != second[-1 - i]), most - head)
    places = [(i, i) for i in range(head)]
    inner = first[head : len(first) - tail], second[head : len(second) - tail]
    if max(map(len, inner)) <= LONGEST:
        for a, b, size in SequenceMatcher(None, *inner, autojunk=False).get_matching_blocks():
            places += [(head + a + i, head + b + i) for i in range(size)]
    return places + [(len(first) - tail + i, len(second) - tail + i) for i in range(tail)]


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Put neighbours of one kind together."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].is_constant == piece.is_constant:
            joined[-1] = Piece(joined[-1].text + piece.text, piece.is_constant)
        else:
            joined.append(piece)
    return joined
