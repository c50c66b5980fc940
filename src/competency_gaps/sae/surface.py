"""What is on the surface of the tokens on which latents are active: the token itself, its form, its place.

One pass over texts, whose memory depends on the SAE's width and not on the activations: per latent the sums of
:mod:`competency_gaps.metrics.lexical`, a mass for each form of tokens, and a sample of its windows' peaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from competency_gaps.metrics.lexical import LexicalShare, Recurring, mix
from competency_gaps.sae.reference import WINDOW
from competency_gaps.sae.training.texts import TokenPiece

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FORMS = ("punctuation", "space", "digits", "markup")
"""Forms of tokens without a letter."""
FIRST = 4
"""Tokens at the start of what the model reads at once that count as its first."""
TEXT_TOKENS = 16_384
"""A longer document counts as several texts of about this length."""
PEAKS = 64
"""Windows sampled of each latent."""
FEWEST_PEAKS = 5
"""Fewest sampled windows from which an entropy is estimated."""
_MARKUP = frozenset("<>{}[]#*_=|\\^~`@$&+/%")


class TextTokens(NamedTuple):
    """The texts' own tokens of some pieces. Arrays of shape (tokens,), in the order of the pieces."""

    token: np.ndarray
    """int64: token id."""
    pair: np.ndarray
    """int64: a number for the pair of the token before, of whatever kind, and the token."""
    text: np.ndarray
    """int64: number of the text, over the whole corpus."""
    window: np.ndarray
    """int64: number of the window of ``WINDOW`` tokens, over the whole corpus."""
    first: np.ndarray
    """bool: among the ``FIRST`` tokens of the piece."""


class Active(NamedTuple):
    """Activations of latents on tokens. Arrays of shape (activations,)."""

    latent: np.ndarray
    """int64."""
    token: np.ndarray
    """int64: index into the :class:`TextTokens` that they belong to."""
    value: np.ndarray
    """float, > 0."""


class Surface:
    """Running statistics over a corpus, added text by text; the same however the texts are grouped.

    Parameters
    ----------
    width
        Number of latents.
    pieces
        The whole corpus in order; the pieces of a document follow each other. It is counted first, in about 40 bytes
        per token.
    buckets
        Sums kept for each latent in place of one per token (see :class:`LexicalShare`); None: as many as fit.
    """

    def __init__(
        self,
        width: int,
        pieces: Sequence[TokenPiece],
        tokenizer: PreTrainedTokenizerBase,
        buckets: int | None = None,
    ) -> None:
        self._pieces = pieces
        self._texts = number_texts(pieces)
        tokens = self.tokens(range(len(pieces)))
        self._lexical = LexicalShare(width, Recurring.of(tokens.token, tokens.text), buckets)
        self._pairs = LexicalShare(width, Recurring.of(tokens.pair, tokens.text), buckets)
        self._form = forms(np.unique(tokens.token), tokenizer)
        self._mass = np.zeros((len(FORMS) + 1, width))
        self._first = np.zeros(width)
        self._peaks = _Peaks(width)

    def blocks(self, tokens: int) -> Iterator[range]:
        """Divide the pieces into stretches of whole texts with at least this many tokens (fewer in the last)."""
        start = size = 0
        for i, piece in enumerate(self._pieces):
            if size >= tokens and self._texts[i] != self._texts[i - 1]:
                yield range(start, i)
                start, size = i, 0
            size += len(piece.ids)
        if size:
            yield range(start, len(self._pieces))

    def tokens(self, pieces: Sequence[int]) -> TextTokens:
        """Give the texts' own tokens of some pieces."""
        parts = [self._tokens_of(i) for i in pieces]
        columns = zip(*parts, strict=True) if parts else [[np.zeros(0, np.int64)]] * len(TextTokens._fields)
        return TextTokens(*map(np.concatenate, columns))

    def _tokens_of(self, i: int) -> TextTokens:
        piece = self._pieces[i]
        own = piece.content & ~piece.bos
        ids = piece.ids.astype(np.int64)
        pair = np.r_[np.int64(-1), ids[:-1]] * 2**32 + ids
        place = np.arange(int(own.sum()))
        # No piece has as many windows as this.
        window = i * 2**20 + place // WINDOW
        return TextTokens(ids[own], pair[own], np.full(len(place), self._texts[i]), window, place < FIRST)

    def add(self, tokens: TextTokens, active: Active) -> None:
        """Add all activations on the tokens of whole texts."""
        latent, value = active.latent, active.value.astype(np.float64)
        if not len(latent):
            return
        width = len(self._first)
        text = tokens.text[active.token]
        self._lexical.add(latent, tokens.token[active.token], text, value)
        self._pairs.add(latent, tokens.pair[active.token], text, value)
        form = self._form[tokens.token[active.token]]
        self._mass += np.bincount(form * width + latent, value, self._mass.size).reshape(self._mass.shape)
        self._first += np.bincount(latent, value * tokens.first[active.token], width)
        self._peaks.add(latent, tokens.token[active.token], tokens.window[active.token], value)

    def columns(self) -> dict[str, np.ndarray]:
        """Give the columns of the reference, each float64 of shape (width,); NaN = not known."""
        mass = self._mass.sum(axis=0)
        share = np.divide(self._mass, mass, out=np.full(self._mass.shape, np.nan), where=mass > 0)
        first = np.divide(self._first, mass, out=np.full(len(mass), np.nan), where=mass > 0)
        return {
            "lexical_share": self._lexical.share(),
            "pair_share": self._pairs.share(),
            "token_entropy": self._peaks.entropy(),
            **{name: share[i] for i, name in enumerate(FORMS)},
            "first_share": first,
        }


def number_texts(pieces: Sequence[TokenPiece]) -> np.ndarray:
    """Number the text that each piece belongs to: its document, or a part of a long one."""
    numbers = np.zeros(len(pieces), np.int64)
    number, size = 0, 0
    for i, piece in enumerate(pieces):
        if i and (piece.document != pieces[i - 1].document or size >= TEXT_TOKENS):
            number, size = number + 1, 0
        size += len(piece.ids)
        numbers[i] = number
    return numbers


def forms(ids: np.ndarray, tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Give each token's form: int64 of shape (largest id + 1,), an index into ``FORMS``, or their number for others."""
    form = np.full(int(ids.max(initial=-1)) + 1, len(FORMS))
    for token in ids.tolist():
        name = form_of(str(tokenizer.decode([token])))
        if name is not None:
            form[token] = FORMS.index(name)
    return form


def form_of(text: str) -> str | None:
    """Give the form of a token's text; None for one with letters, and for parts of a character."""
    shown = text.strip()
    if not shown:
        return "space"
    if any(character.isalpha() or character == "\ufffd" for character in shown):
        return None
    if any(character.isdigit() for character in shown):
        return "digits"
    return "markup" if not _MARKUP.isdisjoint(shown) else "punctuation"


class _Peaks:
    """The tokens on which latents peak in windows: a random sample of windows for each, drawn by a hash."""

    def __init__(self, width: int) -> None:
        self._token = np.full((width, PEAKS), -1, np.int64)
        self._draw = np.full((width, PEAKS), np.inf)

    def add(self, latent: np.ndarray, token: np.ndarray, window: np.ndarray, value: np.ndarray) -> None:
        order = np.lexsort((-value, window, latent))  # stable: of equal values the first
        ordered, where = latent[order], window[order]
        first = order[np.r_[True, (ordered[1:] != ordered[:-1]) | (where[1:] != where[:-1])]]
        own, seen = latent[first].astype(np.uint64), window[first].astype(np.uint64)
        draw = mix(mix(own) ^ seen).astype(np.float64)
        fresh = draw < self._draw[latent[first], -1]
        touched, rows = np.unique(latent[first][fresh], return_inverse=True)
        known = np.repeat(np.arange(len(touched)), PEAKS)
        row = np.concatenate([known, rows])
        draws = np.concatenate([self._draw[touched].ravel(), draw[fresh]])
        tokens = np.concatenate([self._token[touched].ravel(), token[first][fresh]])
        order = np.lexsort((draws, row))
        starts = np.searchsorted(row[order], np.arange(len(touched)))
        kept = order[starts[:, None] + np.arange(PEAKS)]
        self._draw[touched], self._token[touched] = draws[kept], tokens[kept]

    def entropy(self) -> np.ndarray:
        """Entropy of the peaks' tokens, in bits, with Miller and Madow's correction; NaN: too few windows."""
        tokens = np.sort(self._token, axis=1)
        known = tokens >= 0
        count = known.sum(axis=1)
        ends = known & np.c_[tokens[:, 1:] != tokens[:, :-1], np.ones(len(tokens), bool)]
        row, last = np.nonzero(ends)
        first_known = PEAKS - count
        before = np.where(np.r_[True, row[1:] != row[:-1]], first_known[row] - 1, np.r_[0, last[:-1]])
        share = (last - before) / count[row]
        plain = np.bincount(row, -share * np.log2(share), len(tokens))
        corrected = plain + (ends.sum(axis=1) - 1) / (2 * np.log(2) * np.maximum(1, count))
        return np.where(count >= FEWEST_PEAKS, corrected, np.nan)
