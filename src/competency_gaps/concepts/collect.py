"""Collect each concept's exemplars in one pass over texts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from competency_gaps.concepts import directions
from competency_gaps.concepts.exemplars import choose_spread, without, write_exemplars
from competency_gaps.concepts.folder import write_dictionary
from competency_gaps.concepts.windows import (
    WINDOW,
    concept_windows,
    find_negatives,
    firing,
    keep_best,
    lottery,
    pool_of,
    shapes,
)
from competency_gaps.model.batches import plan_batches, token_budget_on
from competency_gaps.model.hooks import read_hook
from competency_gaps.model.load import LanguageModel
from competency_gaps.reading.extract import TEXT_ONLY
from competency_gaps.reading.pooling import chunk_tokens
from competency_gaps.runs.open import RunFolder
from competency_gaps.sae.load import LoadedPair, stretch_starts
from competency_gaps.sae.surface import KeptPeaks, find_peaks
from competency_gaps.sae.texts import TokenPiece, first_tokens
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress

if TYPE_CHECKING:
    import torch


def run_pieces(run: RunFolder) -> Iterator[TokenPiece]:
    """Yield a run's items as pieces of text, in the order of its shards: all tokens that the model read.

    Tokens in the span are counted or, if the span is the whole prompt, all but the start marker.
    """
    bos_id, spanned = run.manifest["bos_id"], run.manifest["span"] in TEXT_ONLY
    number = 0
    for entry in run.manifest["benchmarks"]:
        items = run.items.filter(pl.col("benchmark") == entry["name"])
        starts, ends = items["body_start"].to_numpy(), items["body_end"].to_numpy()
        response = run.manifest["span"] == "response"
        for block in run.blocks(entry["name"]):
            for row, item in enumerate(block.items):
                part = slice(int(block.token_ptr[row]), int(block.token_ptr[row + 1]))
                ids, offsets = block.token_ids[part], block.token_offsets[part]
                begin, end = offsets.T
                inside = (begin >= starts[item]) & (end <= ends[item]) & (end > begin)
                counted = (~inside & (begin >= ends[item]) if response else inside) if spanned else ids != bos_id
                if counted.any():
                    yield TokenPiece(np.asarray(ids, np.int32), counted, ~counted, number)
                number += 1


@dataclass(frozen=True)
class ExemplarSettings:
    """How many tokens to read, and how many windows to collect."""

    tokens: int = 2_000_000
    """Maximum number of tokens to read."""
    top: int = 20
    """Strongest windows of each concept."""
    spread: int = 20
    """Windows of each concept, spread evenly over the ranks of its peaks."""
    negatives: int = 16
    """Windows of each concept in which it is silent, although their content is similar or a peak token the same."""
    pool: int = 8192
    """Windows sampled at random, from which negatives are chosen."""
    seed: int = 0


@dataclass(frozen=True)
class PassCounts:
    """How much a pass has read, and for how many concepts it found exemplars."""

    texts: int = 0
    """Pieces of text read."""
    tokens: int = 0
    windows: int = 0
    concepts: int = 0
    """Concepts with at least one exemplar; 0 until the pass is finished."""


class _Pass:
    """A pass over texts and its best windows so far; of the texts it stores only token ids, 4 bytes each."""

    def __init__(self, pair: LoadedPair, settings: ExemplarSettings) -> None:
        self.pair, self.settings = pair, settings
        facts = {"peak": np.dtype(np.float32), "shape": np.dtype((np.float16, (WINDOW,)))}
        self.top = KeptPeaks(pair.sae.d_sae, settings.top, **facts)
        self.spread = KeptPeaks(pair.sae.d_sae, 2 * settings.spread, **facts)
        self.pool: list[tuple[float, int, np.ndarray]] = []
        self.windows: list[np.ndarray] = []
        """Windows' tokens, int32 of shape (windows, WINDOW) each, padded with -1."""
        self.done = PassCounts()

    def read(self, chunk: Sequence[TokenPiece], advance: Callable[[float], None]) -> None:
        """Read some texts and update the windows."""
        import torch

        lm, hook, sae, done = self.pair.lm, self.pair.hook, self.pair.sae, self.done
        masks = [_counted(piece) & sae.encoded(piece) for piece in chunk]
        counted = [piece.ids[mask] for piece, mask in zip(chunk, masks, strict=True)]
        windows = [_windows_of(ids) for ids in counted]
        first = done.windows + np.cumsum([0, *map(len, windows)])
        most = max(WINDOW, chunk_tokens(sae))
        for batch in plan_batches([len(piece.ids) for piece in chunk], token_budget_on(lm.device)):
            activations = read_hook(lm, hook, [chunk[i].ids for i in batch])
            sizes = np.array([len(counted[i]) for i in batch])
            # Groups of rows whose dense latents fit into memory together.
            for group in np.split(np.arange(len(batch)), np.flatnonzero(np.diff(np.cumsum(sizes) // most)) + 1):
                rows = [row for row in group if sizes[row]]
                if rows:
                    x = torch.cat([sae.inputs(activations[row], masks[batch[row]]) for row in rows])
                    self._add(x, [counted[batch[row]] for row in rows], first[batch[rows]])
            advance(sum(len(chunk[i].ids) for i in batch))
        self.windows += windows
        tokens = sum(len(piece.ids) for piece in chunk)
        self.done = PassCounts(done.texts + len(chunk), done.tokens + tokens, int(first[-1]))

    def _add(self, x: torch.Tensor, texts: list[np.ndarray], numbers: np.ndarray) -> None:
        """Encode some texts and consider their windows; ``numbers``, of shape (texts,): each text's first window."""
        import torch

        sizes = [-(-len(ids) // WINDOW) for ids in texts]
        ends = [len(ids) - WINDOW * np.arange(n) for ids, n in zip(texts, sizes, strict=True)]
        length = np.minimum(WINDOW, np.concatenate(ends))
        number = np.concatenate([start + np.arange(n) for start, n in zip(numbers, sizes, strict=True)])
        start = np.cumsum(length) - length
        with torch.inference_mode():
            inside = np.concatenate([_inside(len(ids), self.pair.sae.average_over) for ids in texts])
            pairs, latents = firing(self.pair.sae, x, np.repeat(np.arange(len(length)), length), inside)
            # One window of each text, the first if tied: texts repeat themselves.
            text = np.repeat(np.arange(len(texts)), sizes)[pairs.window]
            best = np.sort(find_peaks(pairs.concept, text, pairs.peak))
            concept, window, peak = pairs.concept[best], number[pairs.window[best]], pairs.peak[best]
            luck = lottery(window, concept, seed=self.settings.seed)
            for kept, key in ((self.top, -peak.astype(np.float64)), (self.spread, -luck)):
                wanted = np.flatnonzero(kept.wanted(concept, key))
                if len(wanted):
                    shape = shapes(latents, start, length, pairs[best[wanted]])
                    kept.add(concept[wanted], key[wanted], position=window[wanted], peak=peak[wanted], shape=shape)
        luck = lottery(number, seed=self.settings.seed)
        edges = np.searchsorted(pairs.window, np.arange(len(number) + 1))
        for i in np.flatnonzero(length >= WINDOW // 2):  # a few words are similar to anything
            active = pairs.concept[edges[i] : edges[i + 1]].astype(np.int32)
            keep_best(self.pool, (float(luck[i]), int(number[i]), active), self.settings.pool)


CHUNK = 512
"""Number of texts that are read at a time, sorted into batches by length."""


def collect_exemplars(
    pair: LoadedPair, pieces: Iterable[TokenPiece], folder: Path, settings: ExemplarSettings, progress: Progress
) -> PassCounts:
    """Collect each concept's exemplars, write them into a dictionary's folder, and return the counts of the pass.

    Parameters
    ----------
    pieces
        Texts. Their first tokens and start markers are read but not counted.
    folder
        The dictionary's; it is created if it is missing.

    Raises
    ------
    UserError
        If the folder is the dictionary of another SAE, or the texts are empty.
    """
    write_dictionary(folder, pair.sae.identity, pair.lm.identity)
    one_pass = _Pass(pair, settings)
    with progress.stage("collecting exemplars", total=settings.tokens, unit="tokens") as bar:
        rest = first_tokens(pieces, settings.tokens)
        while chunk := list(itertools.islice(rest, CHUNK)):
            one_pass.read(chunk, bar.advance)
    done = one_pass.done
    if not done.windows:
        raise UserError("the files contain no text: give files with text in them.")
    with progress.stage("choosing negatives", total=pair.sae.d_sae, unit="concepts") as bar:
        pool, tokens = pool_of(one_pass.pool, pair.sae.d_sae), np.concatenate(one_pass.windows)
        top = concept_windows(one_pass.top)
        spread = without(choose_spread(concept_windows(one_pass.spread), settings.spread), top)
        both, embedding = np.concatenate([top, spread]), _embedding(pair.lm)
        negatives = find_negatives(both, pool, tokens, embedding, settings.negatives, bar.advance)
    facts = {"hook_name": pair.hook.name, "texts_read": done.texts, "tokens_read": done.tokens}
    with progress.stage("writing exemplars"):
        facts |= asdict(settings)
        write_exemplars(folder, top, spread, negatives, tokens, pair.lm.tokenizer, progress, facts)
    return replace(done, concepts=len(np.unique(top["concept"])))


def _embedding(lm: LanguageModel) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from token ids to their rows of the model's input embedding, in float32."""
    import torch

    weight = lm.model.get_input_embeddings().weight.detach()
    return lambda ids: np.asarray(weight[torch.from_numpy(ids).to(weight.device)].float().cpu())


def _counted(piece: TokenPiece) -> np.ndarray:
    """Return which tokens of a text count: all but the first, start markers and the token after one.

    Models park attention on these; their huge activations would give hundreds of concepts the same strongest windows.
    """
    mask = ~piece.bos
    mask[0] = False
    mask[1:2] &= ~piece.bos[:1]
    return mask


def _windows_of(ids: np.ndarray) -> np.ndarray:
    """Return token ids as rows of ``WINDOW`` tokens, the last padded with -1."""
    windows = np.full((-(-len(ids) // WINDOW), WINDOW), -1, np.int32)
    windows.reshape(-1)[: len(ids)] = ids
    return windows


def _inside(tokens: int, over: int) -> np.ndarray:
    """Return which tokens have their whole stretch within their window, where readers can see it."""
    starts = stretch_starts(tokens, over)
    ends = np.minimum(starts + over, tokens) - 1
    return (starts // WINDOW == np.arange(tokens) // WINDOW) & (ends // WINDOW == np.arange(tokens) // WINDOW)


def write_directions(pair: LoadedPair, folder: Path, progress: Progress) -> tuple[int | None, int]:
    """Write each concept's promoted tokens and similar concepts into a dictionary's folder.

    Returns
    -------
    tuple of int or None, and int
        Concepts with promoted tokens (None: the SAE does not write to the residual stream), and with similar concepts.
    """
    promoted = directions.logit_lens(pair.lm, pair.sae, progress=progress)
    alike = directions.similar_concepts(pair.sae, progress=progress)
    tables = {directions.SIMILAR: alike.write_parquet}
    if promoted is not None:
        tables[directions.LOGITS] = promoted.write_parquet
    write_dictionary(folder, pair.sae.identity, pair.lm.identity, tables=tables)
    return None if promoted is None else promoted.height, alike.height
