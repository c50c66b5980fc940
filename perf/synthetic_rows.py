"""Items, scores and CAS rows of a synthetic run: heavy-tailed concepts, topics, a few dense concepts, hostile texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.items.item import DTYPE, Reason
from competency_gaps.reading.rows import CasBlock, narrow

SHARD = 256
TOPICS = 5
"""Topics of a benchmark; each is one subject of concepts."""
EFFECTS = {0: -0.3, 1: -0.25, 2: -0.2, 3: -0.2, 4: -0.15, 5: 0.2, 6: 0.2, 7: 0.15}
"""By how much the score of an item about a subject is moved; the others are not."""
DENSE = 6
WORDS = 4000
HEAD, TAIL = "Question: ", "\nAnswer:"

HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=alert(1)>",
    '=HYPERLINK("http://example.invalid","open")',
    "\u202eright to left\u202c and \u2066isolated\u2069 and \u200bzero width",
    "bell \x07 escape \x1b[31mred\x1b[0m and a lone null \x00",
    "quotes \" ' ` backslash \\ </textarea></style> {{7*7}} ${7*7} %s",
    "emoji 👩‍👩‍👧 combining é́ and كتابة",
)


class World(NamedTuple):
    """What is true of the concepts. Arrays of shape (concepts,)."""

    frequency: np.ndarray
    """float64, sums to 1: how often each is drawn for an item about nothing in particular; 0: never in this run."""
    scale: np.ndarray
    """float32, > 0: a typical CAS."""
    subject: np.ndarray
    """int32, numbered from 0 without a gap; -1: of none."""
    field: np.ndarray
    """int32, numbered over all subjects; -1: of none."""
    dense: np.ndarray
    """int64: concepts that are active nearly everywhere."""


def make_world(concepts: int, subjects: int, rng: np.random.Generator) -> World:
    """Draw the concepts: a tenth is silent, an eighth is of no subject."""
    frequency = rng.lognormal(0, 1.5, concepts) * (rng.random(concepts) > 0.1)
    frequency /= frequency.sum()
    drawn = rng.choice(subjects, concepts, p=rng.dirichlet(np.full(subjects, 4.0)))
    part = rng.integers(0, 8, concepts)
    named = rng.random(concepts) > 0.125
    subject, field = np.full((2, concepts), -1, np.int32)
    # Numbered without a gap, whatever was drawn.
    _, subject[named] = np.unique(drawn[named], return_inverse=True)
    _, field[named] = np.unique((subject * 8 + part)[named], return_inverse=True)
    dense = rng.choice(concepts, DENSE, replace=False)
    return World(frequency, rng.lognormal(0, 0.5, concepts).astype(np.float32), subject, field, dense)


def make_words(rng: np.random.Generator) -> np.ndarray:
    """Made-up words, one token each: object array of str."""
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "il")]
    lengths = rng.integers(1, 4, WORDS)
    words = ["".join(rng.choice(syllables, n)) for n in lengths]
    return np.array([f"{word}{i}" if words.index(word) != i else word for i, word in enumerate(words)], dtype=object)


@dataclass
class Drawing:
    """Draws the items of one benchmark."""

    world: World
    words: np.ndarray
    topics: np.ndarray
    """int: subjects that its items are about."""
    per_item: float
    """Active concepts of an item, on average."""
    level: float
    """Mean score of an item about a subject without effect."""
    graded: bool
    """Scores in quarters instead of 0 and 1."""
    hostile: tuple[str, ...]
    """Beginnings of the first items."""
    rng: np.random.Generator

    def __post_init__(self) -> None:
        keep = self.rng.random(len(self.world.frequency)) > 0.3
        weights = [
            self.world.frequency * keep * np.where(self.world.subject == topic, 20.0, 1.0) for topic in self.topics
        ]
        self._shares = [weight / weight.sum() for weight in weights]
        self._bounds = [np.cumsum(share) for share in self._shares]
        self._draws = [_draws_for(share, self.per_item - DENSE) for share in self._shares]

    def blocks(self, name: str, items: int) -> Iterator[tuple[pl.DataFrame, CasBlock]]:
        """The items' rows of ``items.parquet`` and, without the excluded ones, their CAS rows, shard by shard."""
        for start in range(0, items, SHARD):
            count = min(SHARD, items - start)
            topic = self.rng.integers(0, len(self.topics), count)
            texts, ids, offsets = self._texts(start, count)
            excluded = self.rng.random(count) < 0.005
            scores = self._scores(topic)
            kept = np.flatnonzero(~excluded)
            tokens = np.array([len(tokens_of_item) for tokens_of_item in ids])
            rows = self._rows(topic[kept])
            peaks = (self.rng.random(rows.nnz) * np.repeat(tokens[kept], np.diff(rows.indptr))).astype(np.int32)
            ptr = np.concatenate([[0], np.cumsum(tokens[kept])]).astype(np.int64)
            block = CasBlock(
                kept + start,
                rows,
                peaks,
                ptr,
                np.concatenate([ids[i] for i in kept]),
                np.concatenate([offsets[i] for i in kept]),
            )
            yield self._table(name, start, topic, texts, tokens, scores, excluded), block

    def _rows(self, topic: np.ndarray) -> sp.csr_array:
        """One row per item: its topic's concepts drawn with repetition, and the dense ones."""
        width = len(self.world.frequency)
        found: list[np.ndarray] = []
        for number in topic:
            draws = int(self._draws[number] * self.rng.uniform(0.5, 1.5))
            drawn = np.searchsorted(self._bounds[number], self.rng.random(draws))
            dense = self.world.dense[self.rng.random(DENSE) < 0.97]
            found.append(np.unique(np.concatenate([np.minimum(drawn, width - 1), dense])).astype(np.int32))
        indptr = np.concatenate([[0], np.cumsum([len(concepts_of_item) for concepts_of_item in found])]).astype(
            np.int64
        )
        concepts = np.concatenate(found)
        cas = self.rng.lognormal(-2, 1, len(concepts)).astype(np.float32) * self.world.scale[concepts]
        return sp.csr_array((cas, concepts, indptr), shape=(len(topic), width))

    def _scores(self, topic: np.ndarray) -> np.ndarray:
        """float64 of shape (items,), in [0, 1]; NaN: unscored."""
        effect = np.array([EFFECTS.get(int(subject), 0.0) for subject in self.topics])[topic]
        chance = np.clip(self.level + effect, 0.02, 0.98)
        drawn = self.rng.binomial(4, chance) / 4 if self.graded else (self.rng.random(len(topic)) < chance) * 1.0
        return np.where(self.rng.random(len(topic)) < 0.02, np.nan, drawn)

    def _texts(self, start: int, count: int) -> tuple[list[str], list[np.ndarray], list[np.ndarray]]:
        """Prompts of about 500 characters, with token ids and ranges in ``text``; the first of a benchmark hostile."""
        texts, ids, offsets = [], [], []
        for i in range(count):
            token = self.rng.integers(0, WORDS, int(self.rng.integers(55, 100))).astype(np.int32)
            pieces = self.words[token].tolist()
            if start + i < len(self.hostile):
                pieces[0] = self.hostile[start + i]
            lengths = np.array([len(piece) for piece in pieces])
            first = len(HEAD) + np.cumsum(lengths + 1) - lengths - 1
            texts.append(" ".join(pieces))
            ids.append(token)
            offsets.append(np.stack([first, first + lengths], axis=1).astype(np.int32))
        return texts, ids, offsets

    def _table(
        self,
        name: str,
        start: int,
        topic: np.ndarray,
        texts: list[str],
        tokens: np.ndarray,
        scores: np.ndarray,
        excluded: np.ndarray,
    ) -> pl.DataFrame:
        count = len(texts)
        score = pl.Series(np.where(excluded, np.nan, scores)).fill_nan(None)
        unscored = [
            _EXCLUDED if out else _NO_ANSWER if np.isnan(s) else None for s, out in zip(scores, excluded, strict=True)
        ]
        own = pl.Series([len(HEAD) + len(text) for text in texts], dtype=pl.Int32)
        answers = self.words[self.rng.integers(0, WORDS, (count, 4))]
        given = answers[np.arange(count), np.where(np.nan_to_num(scores) > 0.5, 0, 1)]
        return pl.DataFrame(
            {
                "benchmark": pl.Series([name]).new_from_index(0, count),
                "item_id": [f"{name}-{start + i:06d}" for i in range(count)],
                "prompt": texts,
                "text": [HEAD + text + TAIL for text in texts],
                "response": pl.Series(
                    [None if out else text for out, text in zip(excluded, given.tolist(), strict=True)]
                ),
                "answer": answers[:, 0].tolist(),
                "score": score,
                "epochs": pl.Series([1], dtype=pl.Int32).new_from_index(0, count),
                "scorer": pl.Series(["choice"]).new_from_index(0, count),
                "group": [f"topic {self.topics[t]}" for t in topic],
                "choices": answers.tolist(),
                "answer_index": pl.Series([0], dtype=pl.Int32).new_from_index(0, count),
                "cluster_kind": pl.Series([None], dtype=pl.String).new_from_index(0, count),
                "covariates": pl.Series([None], dtype=pl.String).new_from_index(0, count),
                "n_span_tokens": pl.Series(np.where(excluded, 0, tokens), dtype=pl.Int32),
                "n_tokens": pl.Series(tokens, dtype=pl.Int32),
                "excluded": pl.Series([_TOO_LONG if out else None for out in excluded], dtype=DTYPE),
                "unscored": pl.Series(unscored, dtype=DTYPE),
                "body_start": pl.Series([len(HEAD)], dtype=pl.Int32).new_from_index(0, count),
                "body_end": own,
                "logprobs": self.rng.normal(-6, 2, (count, 4)).tolist(),
                "greedy": np.zeros((count, 4), bool).tolist(),
                "details": pl.Series([None], dtype=pl.String).new_from_index(0, count),
                "identity": pl.Series([None], dtype=pl.String).new_from_index(0, count),
            }
        )


def token_activations(block: CasBlock, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Tensors of a shard (``reading/rows.py``): each concept is active at its peak and some tokens after it."""
    lengths = np.diff(block.token_ptr)[np.repeat(np.arange(len(block.items)), np.diff(block.cas.indptr))]
    counts = np.minimum(rng.geometric(0.35, len(lengths)), lengths)
    pair = np.repeat(np.arange(len(counts)), counts)
    step = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
    token = (block.peaks[pair] + step) % lengths[pair]
    weight = 1 / (step + 1.0)
    value = (block.cas.data * lengths / np.bincount(pair, weight))[pair] * weight
    order = np.lexsort((token, pair))
    return {
        "act_ptr": np.concatenate([[0], np.cumsum(counts)])[block.cas.indptr].astype(np.int64),
        "act_counts": narrow(counts),
        "act_tokens": narrow(token[order]),
        "act_values": np.maximum(value[order], 2.0**-24).astype(np.float16),
    }


_TOO_LONG = Reason("too_long", "longer than the context: 600 > 512 tokens", (600, 512)).as_dict()
_NO_ANSWER = Reason("no_score", "no score").as_dict()
_EXCLUDED = Reason("excluded", "excluded").as_dict()


def _draws_for(share: np.ndarray, distinct: float) -> float:
    """Draws with repetition that give so many distinct concepts on average."""
    low, high = distinct, distinct * 100
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if -np.expm1(-middle * share).sum() < distinct else (low, middle)
    return (low + high) / 2
