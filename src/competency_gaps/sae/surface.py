"""Measure how latents depend on the surface of tokens: the token itself, its form, its position.

For an SAE of averages these are all tokens of the stretch that is averaged.

One pass over texts, whose memory depends on the SAE's width and not on the activations: per latent the sums of
:mod:`competency_gaps.evidence.tokens`, a mass for each form of tokens, and a sample of its windows' peaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from competency_gaps.evidence.tokens import LexicalShare, Recurring, mix
from competency_gaps.sae.load import stretch_starts
from competency_gaps.sae.reference import FORMS
from competency_gaps.sae.texts import TokenPiece

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FIRST_TOKENS = 4
"""Number of tokens at the start of a piece that count as its first."""
TEXT_TOKENS = 16_384
"""A longer document counts as several texts of about this length."""
PEAKS_PER_LATENT = 64
"""Number of texts sampled per latent, with the latent's peak in each."""
MIN_PEAKS = 5
"""Fewest sampled texts from which a word share is estimated."""
PRIOR_PEAKS = 8
"""Pseudo-peaks at the base rate that are added when a concept's word share is estimated."""
MAX_WAITING_PEAKS = 500_000
"""Number of peaks above which waiting ones are merged: a merge costs as much for few as for many."""
POSITIONS_PER_PIECE = 2**26
"""Token positions reserved per piece: more than a piece has, and a multiple of ``WINDOW``."""
_MARKUP = frozenset("<>{}[]#*_=|\\^~`@$&+/%")


class TextTokens(NamedTuple):
    """The texts' own tokens in some pieces. Arrays of shape (tokens,), in the order of the pieces."""

    token: np.ndarray
    """int64: token id."""
    pair: np.ndarray
    """int64: number of the pair of the token and the token before it, of whatever kind."""
    text: np.ndarray
    """int64: number of the text, over the whole corpus."""
    position: np.ndarray
    """int64: index of the token in the piece, plus ``POSITIONS_PER_PIECE`` times the index of the piece."""
    first: np.ndarray
    """bool: whether it is among the first ``FIRST_TOKENS`` tokens of the piece, or has the first stretch."""
    stretch: np.ndarray
    """int64 of shape (tokens, ``average_over``): indices, into these tokens, of those that are averaged; repeated if
    the text is shorter."""


class Active(NamedTuple):
    """Activations of latents on tokens. Arrays of shape (activations,)."""

    latent: np.ndarray
    """int64."""
    token: np.ndarray
    """int64: index into the :class:`TextTokens` that they belong to."""
    value: np.ndarray
    """float, > 0."""


class Surface:
    """Running statistics of the tokens' surface over a corpus, added text by text; the same however texts are grouped.

    Parameters
    ----------
    width
        Number of latents.
    pieces
        The whole corpus in order; the pieces of a document follow each other. It is counted first, in about 50 bytes
        per token; for averages, group by group.
    average_over
        Tokens that the SAE averages. If more than 1, shares of variance are NaN: a single token says little.
    """

    def __init__(
        self, width: int, pieces: Sequence[TokenPiece], tokenizer: PreTrainedTokenizerBase, average_over: int
    ) -> None:
        self._pieces = pieces
        self._over = average_over
        self._texts = number_texts(pieces)
        self._form = forms(np.unique(np.concatenate([p.ids[p.in_body] for p in pieces] or [[]])), tokenizer)
        self._mass = np.zeros((len(FORMS) + 1, width))
        self._first = np.zeros(width)
        self._peaks = KeptPeaks(
            width, PEAKS_PER_LATENT, stretch=np.dtype((np.int32, (average_over,))), value=np.dtype(np.float64)
        )
        """A random sample of each latent's windows, drawn by a hash: the stretches on which it peaks there."""
        if average_over > 1:
            self._usual = self._stretches_with()
            return
        tokens = self.tokens(range(len(pieces)))
        self._lexical = LexicalShare(width, Recurring.of(tokens.token, tokens.text))
        self._pairs = LexicalShare(width, Recurring.of(tokens.pair, tokens.text))

    def blocks(self, tokens: int) -> Iterator[range]:
        """Yield groups of whole texts, as ranges of pieces, with at least this many tokens (fewer in the last)."""
        start = size = 0
        for i, piece in enumerate(self._pieces):
            if size >= tokens and self._texts[i] != self._texts[i - 1]:
                yield range(start, i)
                start, size = i, 0
            size += len(piece.ids)
        if size:
            yield range(start, len(self._pieces))

    def tokens(self, pieces: Sequence[int]) -> TextTokens:
        """Return the texts' own tokens in some pieces."""
        parts = [self._tokens_of(i) for i in pieces]
        start = np.cumsum([0, *(len(part.token) for part in parts)])
        parts = [part._replace(stretch=part.stretch + at) for part, at in zip(parts, start[:-1], strict=True)]
        if not parts:
            none = np.zeros(0, np.int64)
            return TextTokens(none, none, none, none, none.astype(bool), np.zeros((0, self._over), np.int64))
        return TextTokens(*map(np.concatenate, zip(*parts, strict=True)))

    def _stretches_with(self) -> np.ndarray:
        """Return the share of the corpus' stretches that contain each token: float64 of shape (largest id + 1,)."""
        holding = np.zeros(len(self._form))
        stretches = 0
        for block in self.blocks(TEXT_TOKENS):
            tokens = self.tokens(block)
            ids = np.sort(tokens.token[tokens.stretch], axis=1)
            new = np.c_[np.ones(len(ids), bool), ids[:, 1:] != ids[:, :-1]]
            holding += np.bincount(ids[new], minlength=len(holding))
            stretches += len(ids)
        return holding / max(1, stretches)

    def _tokens_of(self, i: int) -> TextTokens:
        """Return the text's own tokens of one piece."""
        piece = self._pieces[i]
        in_body = piece.in_body
        ids = piece.ids.astype(np.int64)
        pair = np.r_[np.int64(-1), ids[:-1]] * 2**32 + ids
        position = np.arange(int(in_body.sum()))
        text = np.full(len(position), self._texts[i])
        starts = stretch_starts(len(position), self._over)
        # The tokens of a shorter text are repeated about equally often.
        inside = np.arange(self._over) * min(1.0, len(position) / self._over)
        stretch = starts[:, None] + inside.astype(np.int64)
        first = position < max(FIRST_TOKENS, self._over // 2 + 1)
        return TextTokens(ids[in_body], pair[in_body], text, i * POSITIONS_PER_PIECE + position, first, stretch)

    def add(self, tokens: TextTokens, active: Active) -> None:
        """Add all activations on the tokens of whole texts."""
        latent, value = active.latent, active.value.astype(np.float64)
        if not len(latent):
            return
        width, text = len(self._first), tokens.text[active.token]
        if self._over == 1:
            self._lexical.add(latent, tokens.token[active.token], text, value)
            self._pairs.add(latent, tokens.pair[active.token], text, value)
        else:
            # Neighbouring stretches overlap: each text has one peak.
            peaks = find_peaks(latent, text, value)
            draw = mix(mix(latent[peaks].astype(np.uint64)) ^ text[peaks].astype(np.uint64)).astype(np.float64)
            stretches = tokens.token[tokens.stretch][active.token[peaks]]
            self._peaks.add(latent[peaks], draw, position=text[peaks], stretch=stretches, value=value[peaks])
        form = self._form[tokens.token]
        for i in range(len(self._mass)):
            part = (form == i)[tokens.stretch].mean(axis=1)
            self._mass[i] += np.bincount(latent, value * part[active.token], width)
        self._first += np.bincount(latent, value * tokens.first[active.token], width)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the reference's columns, each float64 of shape (width,); NaN = not known."""
        mass = self._mass.sum(axis=0)
        share = np.divide(self._mass, mass, out=np.full(self._mass.shape, np.nan), where=mass > 0)
        first = np.divide(self._first, mass, out=np.full(len(mass), np.nan), where=mass > 0)
        unknown = np.full(len(mass), np.nan)
        single = self._over == 1
        return {
            "lexical_share": self._lexical.share() if single else unknown,
            "pair_share": self._pairs.share() if single else unknown,
            "word_share": unknown if single else _word_share(self._peaks, self._usual),
            **{name: share[i] for i, name in enumerate(FORMS)},
            "first_share": first,
        }


def number_texts(pieces: Sequence[TokenPiece]) -> np.ndarray:
    """Return the number of each piece's text, which is its document or a part of a long one: int64 (pieces,)."""
    numbers = np.zeros(len(pieces), np.int64)
    number, size = 0, 0
    for i, piece in enumerate(pieces):
        if i and (piece.document != pieces[i - 1].document or size >= TEXT_TOKENS):
            number, size = number + 1, 0
        size += len(piece.ids)
        numbers[i] = number
    return numbers


def forms(ids: np.ndarray, tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Return each token's form: int64 of shape (largest id + 1,), an index into ``FORMS``, or ``len(FORMS)``."""
    form = np.full(int(ids.max(initial=-1)) + 1, len(FORMS))
    for token in ids.tolist():
        name = form_of(str(tokenizer.decode([token])))
        if name is not None:
            form[token] = FORMS.index(name)
    return form


def form_of(text: str) -> str | None:
    """Return the form of a token's text, or None for a text with letters and for parts of a character."""
    shown = text.strip()
    if not shown:
        return "space"
    if any(character.isalpha() or character == "\ufffd" for character in shown):
        return None
    if any(character.isdigit() for character in shown):
        return "digits"
    return "markup" if not _MARKUP.isdisjoint(shown) else "punctuation"


def _word_share(kept: KeptPeaks, usual: np.ndarray) -> np.ndarray:
    """Return the largest share of the peaks' mass, beyond chance, on stretches that contain the same token.

    With ``s`` the share of the mass of ``k`` peaks and ``b`` the base rate, ``s`` is shrunk towards ``b``, since the
    largest of many shares of few peaks is large by chance: ``s' = (k s + P b) / (k + P)`` with ``P = PRIOR_PEAKS``. The
    share beyond chance is ``(s' - b) / (1 - b)``.

    Parameters
    ----------
    usual : ndarray of float64 of shape (largest id + 1,)
        Share of all stretches that contain each token, ``b``.

    Returns
    -------
    ndarray of float64 of shape (latents,)
        NaN for latents with fewer than ``MIN_PEAKS`` peaks.
    """
    there = kept["position"] >= 0
    share = np.full(len(there), np.nan)
    for concept in np.flatnonzero(there.sum(axis=1) >= MIN_PEAKS):
        known = there[concept]
        ids = np.sort(kept["stretch"][concept, known], axis=1)
        new = np.c_[np.ones(len(ids), bool), ids[:, 1:] != ids[:, :-1]]
        value = kept["value"][concept, known]
        tokens, index = np.unique(ids[new], return_inverse=True)
        mass = np.bincount(index, np.repeat(value, new.sum(axis=1))) / value.sum()
        b = np.minimum(usual[tokens], 0.999)
        drawn = (len(value) * mass + PRIOR_PEAKS * b) / (len(value) + PRIOR_PEAKS)
        share[concept] = ((drawn - b) / (1 - b)).max()
    return share


def find_peaks(latent: np.ndarray, position: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return the index of each latent's largest activation in each window or text.

    Parameters
    ----------
    latent, position : ndarray of int of shape (activations,)
        ``position`` numbers the window or text.
    value : ndarray of float of shape (activations,)

    Returns
    -------
    ndarray of int64 of shape (peaks,)
        Indices, ordered by latent, then position; of equal activations the first.
    """
    if not len(latent):
        return np.zeros(0, np.int64)
    order = np.lexsort((-value, position, latent))  # stable
    ordered, where = latent[order], position[order]
    peaks: np.ndarray = order[np.r_[True, (ordered[1:] != ordered[:-1]) | (where[1:] != where[:-1])]]
    return peaks


class KeptPeaks:
    """For each latent, the peaks with the smallest keys, in memory that does not grow with their number.

    The result does not depend on how peaks are grouped; among equal keys the earliest positions precede.

    Parameters
    ----------
    width
        Number of latents.
    count
        Most peaks per latent.
    facts
        Data type of each fact that is stored of a peak beside its ``position``; it may have a shape.
    """

    def __init__(self, width: int, count: int, **facts: np.dtype) -> None:
        self._count = count
        self._key = np.full((width, count), np.inf)
        kinds = {"position": np.dtype(np.int64), **facts}
        self._facts = {name: np.full((width, count), -1, kind) for name, kind in kinds.items()}
        self._waiting: list[dict[str, np.ndarray]] = []

    def __getitem__(self, fact: str) -> np.ndarray:
        """Return a fact of the peaks: shape (width, count, ...), in the order of their keys; -1 for missing peaks."""
        self._merge()
        return self._facts[fact]

    def wanted(self, latent: np.ndarray, key: np.ndarray) -> np.ndarray:
        """Return which peaks can still be among the smallest: bool of shape (peaks,)."""
        return np.asarray(key <= self._key[latent, -1])

    def add(self, latent: np.ndarray, key: np.ndarray, **facts: np.ndarray) -> None:
        """Add peaks, arrays of shape (peaks,) or (peaks, ...); per latent only those with the smallest keys stay."""
        fresh = self.wanted(latent, key)
        self._waiting.append(
            {name: values[fresh] for name, values in (("latent", latent), ("key", key), *facts.items())}
        )
        if sum(len(added["latent"]) for added in self._waiting) > MAX_WAITING_PEAKS:
            self._merge()

    def _merge(self) -> None:
        """Merge waiting peaks into the stored ones."""
        if not self._waiting:
            return
        added = {name: np.concatenate([batch[name] for batch in self._waiting]) for name in self._waiting[0]}
        self._waiting = []
        touched, rows = np.unique(added["latent"], return_inverse=True)
        row = np.concatenate([np.repeat(np.arange(len(touched)), self._count), rows])
        keys = np.concatenate([self._key[touched].ravel(), added["key"]])
        old = {name: known[touched].reshape(-1, *known.shape[2:]) for name, known in self._facts.items()}
        merged = {name: np.concatenate([known, added[name]]) for name, known in old.items()}
        order = np.lexsort((merged["position"], keys, row))
        starts = np.searchsorted(row[order], np.arange(len(touched)))
        kept = order[starts[:, None] + np.arange(self._count)]
        self._key[touched] = keys[kept]
        for name, known in self._facts.items():
            known[touched] = merged[name][kept]
