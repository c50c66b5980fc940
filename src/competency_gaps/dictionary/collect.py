"""Collect each concept's exemplars in one pass over texts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from competency_gaps.activations.pooling import chunk_tokens
from competency_gaps.activations.spans import TEXT_ONLY
from competency_gaps.dictionary import directions
from competency_gaps.dictionary.exemplars import choose_spread, without, write_exemplars
from competency_gaps.dictionary.folder import write_dictionary
from competency_gaps.dictionary.windows import (
    WINDOW,
    BestOf,
    ConceptWindows,
    Firing,
    WindowPool,
    best_of_each_text,
    find_negatives,
    firing,
    lottery,
    shapes,
)
from competency_gaps.errors import UserError
from competency_gaps.model.batches import plan_batches, token_budget_on
from competency_gaps.model.forward import read_hook
from competency_gaps.model.hooks import Hook
from competency_gaps.model.load import LanguageModel
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder
from competency_gaps.sae.load import LoadedPair, SparseAutoencoder, stretch_starts
from competency_gaps.sae.texts import PIECE, TokenPiece, cut_pieces, first_tokens, read_documents

if TYPE_CHECKING:
    import torch


def run_pieces(run: RunFolder) -> Iterator[TokenPiece]:
    """A run's items as texts, in the order of its shards: all tokens that the model read. Those in the span are
    counted; if the span is the whole prompt, all but the first token.
    """
    bos_id, spanned = run.manifest["bos_id"], run.manifest["span"] in TEXT_ONLY
    number = 0
    for entry in run.manifest["benchmarks"]:
        own = run.items.filter(pl.col("benchmark") == entry["name"])
        starts, ends = own["own_start"].to_numpy(), own["own_end"].to_numpy()
        response = run.manifest["span"] == "response"
        for block in run.blocks(entry["name"]):
            for row, item in enumerate(block.items):
                part = slice(int(block.token_ptr[row]), int(block.token_ptr[row + 1]))
                ids, offsets = block.token_ids[part], block.token_offsets[part]
                inside = (
                    (offsets[:, 0] >= starts[item]) & (offsets[:, 1] <= ends[item]) & (offsets[:, 1] > offsets[:, 0])
                )
                counted = (
                    (~inside & (offsets[:, 0] >= ends[item]) if response else inside) if spanned else ids != bos_id
                )
                if counted.any():
                    yield TokenPiece(np.asarray(ids, np.int32), counted, ~counted, number)
                number += 1


@dataclass(frozen=True)
class ExemplarSettings:
    """What to collect."""

    tokens: int = 2_000_000
    """Maximum number of tokens to read."""
    top: int = 20
    """Strongest windows of each concept."""
    spread: int = 20
    """Windows spread evenly over its range of activations."""
    negatives: int = 16
    """Windows with similar content or the same token, in which it is silent."""
    pool: int = 8192
    """Windows sampled at random, from which negatives are chosen."""
    seed: int = 0


@dataclass(frozen=True)
class PassCounts:
    """Counts of a pass so far."""

    texts: int = 0
    """Pieces of text that were read."""
    tokens: int = 0
    windows: int = 0
    concepts: int = 0
    """Concepts with at least one exemplar; 0 until the pass is finished."""


class _Gathered:
    """What a pass has found so far; of all texts only token ids are kept, 4 bytes each."""

    def __init__(self, concepts: int, settings: ExemplarSettings) -> None:
        self.seed = settings.seed
        self.top = BestOf(concepts, settings.top, WINDOW)
        self.spread = BestOf(concepts, 2 * settings.spread, WINDOW)
        self.pool = WindowPool(concepts, settings.pool)
        self.windows: list[np.ndarray] = []
        """Windows' tokens, int32 of shape (windows, WINDOW) each, padded with -1."""
        self.done = PassCounts()


CHUNK = 512
"""Texts that are batched together by length."""


def collect_exemplars(
    lm: LanguageModel,
    hook: Hook,
    sae: SparseAutoencoder,
    pieces: Iterable[TokenPiece],
    folder: Path,
    settings: ExemplarSettings,
    progress: Progress,
) -> PassCounts:
    """Collect each concept's exemplars and write ``exemplars`` and ``windows`` into a dictionary's folder,
    together with what ``dictionary.json`` says of them, if there is one.

    Parameters
    ----------
    pieces
        Texts. Their first tokens are read but not counted, nor are start markers.

    Raises
    ------
    UserError
        If the texts are empty.
    """
    gathered = _Gathered(sae.d_sae, settings)
    with progress.stage("collecting exemplars", total=settings.tokens, unit="tokens") as bar:
        rest = first_tokens(pieces, settings.tokens)
        while chunk := list(itertools.islice(rest, CHUNK)):
            _read_chunk(lm, hook, sae, chunk, gathered, settings, bar.advance)
    if not gathered.done.windows:
        raise UserError("the files contain no text: give files with text in them.")
    done = gathered.done
    facts = {"hook_name": hook.name, "texts_read": done.texts, "tokens_read": done.tokens}
    return _finish(lm, sae, folder, gathered, settings, progress, {**asdict(settings), **facts})


def _finish(
    lm: LanguageModel,
    sae: SparseAutoencoder,
    folder: Path,
    gathered: _Gathered,
    settings: ExemplarSettings,
    progress: Progress,
    facts: Mapping[str, Any],
) -> PassCounts:
    with progress.stage("choosing negatives", total=sae.d_sae, unit="concepts") as bar:
        top, pool, tokens = gathered.top.rows(), gathered.pool.rows(), np.concatenate(gathered.windows)
        spread = without(choose_spread(gathered.spread.rows(), settings.spread), top)
        negatives = find_negatives(
            ConceptWindows.join([top, spread]), pool, tokens, _embedding(lm), settings.negatives, bar.advance
        )
    with progress.stage("writing exemplars"):
        write_exemplars(folder, top, spread, negatives, tokens, lm.tokenizer, progress, facts)
    return replace(gathered.done, concepts=len(np.unique(top.concept)))


def _embedding(lm: LanguageModel) -> Callable[[np.ndarray], np.ndarray]:
    """Rows of the model's input embedding, in float32."""
    import torch

    weight = lm.model.get_input_embeddings().weight.detach()

    def rows(ids: np.ndarray) -> np.ndarray:
        vectors: np.ndarray = weight[torch.from_numpy(ids).to(weight.device)].float().cpu().numpy()
        return vectors

    return rows


def _read_chunk(
    lm: LanguageModel,
    hook: Hook,
    sae: SparseAutoencoder,
    chunk: Sequence[TokenPiece],
    gathered: _Gathered,
    settings: ExemplarSettings,
    advance: Callable[[float], None],
) -> None:
    import torch

    masks = [_counted(piece) & sae.encoded(piece) for piece in chunk]
    counted = [piece.ids[mask] for piece, mask in zip(chunk, masks, strict=True)]
    cut = [-(-len(ids) // WINDOW) for ids in counted]
    first = gathered.done.windows + np.cumsum([0, *cut])
    most = max(WINDOW, chunk_tokens(sae))
    for batch in plan_batches([len(piece.ids) for piece in chunk], token_budget_on(lm.device)):
        activations = read_hook(lm, hook, [chunk[i].ids for i in batch])
        for group in _groups([len(counted[i]) for i in batch], most):
            x = torch.cat([sae.inputs(activations[row], masks[batch[row]]) for row in group])
            _add(sae, x, [counted[batch[row]] for row in group], first[batch[group]], gathered, settings)
        advance(sum(len(chunk[i].ids) for i in batch))
    gathered.windows += [_windows_of(ids) for ids in counted]
    tokens = sum(len(piece.ids) for piece in chunk)
    done = gathered.done
    gathered.done = PassCounts(done.texts + len(chunk), done.tokens + tokens, int(first[-1]))


def _counted(piece: TokenPiece) -> np.ndarray:
    """Tokens of a text that count: neither the first, nor the first after a start marker. Models park attention on some
    of them; their huge activations would give hundreds of concepts the same strongest windows."""
    mask = ~piece.bos
    mask[0] = False
    mask[1:2] &= ~piece.bos[:1]
    return mask


def _groups(sizes: list[int], most: int) -> Iterator[np.ndarray]:
    """Rows of a batch whose dense latents fit into memory together."""
    rows: list[int] = []
    total = 0
    for row, size in enumerate(sizes):
        if not size:
            continue
        if rows and total + size > most:
            yield np.asarray(rows)
            rows, total = [], 0
        rows.append(row)
        total += size
    if rows:
        yield np.asarray(rows)


def _windows_of(ids: np.ndarray) -> np.ndarray:
    windows = np.full((-(-len(ids) // WINDOW), WINDOW), -1, np.int32)
    windows.reshape(-1)[: len(ids)] = ids
    return windows


def _add(
    sae: SparseAutoencoder,
    x: torch.Tensor,
    texts: list[np.ndarray],
    numbers: np.ndarray,
    gathered: _Gathered,
    settings: ExemplarSettings,
) -> None:
    """Encode some texts and offer their windows to heaps and pool.

    Parameters
    ----------
    numbers : ndarray of int64 of shape (texts,)
        Number of each text's first window.
    """
    import torch

    sizes = [-(-len(ids) // WINDOW) for ids in texts]
    ends = [len(ids) - WINDOW * np.arange(n) for ids, n in zip(texts, sizes, strict=True)]
    length = np.minimum(WINDOW, np.concatenate(ends))
    owner = np.repeat(np.arange(len(texts)), sizes)
    number = np.concatenate([start + np.arange(n) for start, n in zip(numbers, sizes, strict=True)])
    start = np.cumsum(length) - length
    with torch.inference_mode():
        inside = np.concatenate([_inside(len(ids), sae.average_over) for ids in texts])
        pairs, latents = firing(sae, x, np.repeat(np.arange(len(length)), length), inside)
        best = best_of_each_text(pairs, owner)
        concept, window = pairs.concept[best], number[pairs.window[best]]
        luck = lottery(window, concept, seed=settings.seed)
        for heap, key in ((gathered.top, pairs.peak[best].astype(np.float64)), (gathered.spread, luck)):
            wanted = heap.wanted(concept, key)
            _offer(heap, pairs, best[wanted], key[wanted], number, latents, start, length)
    _fill_pool(gathered, pairs, number, length)


def _inside(tokens: int, over: int) -> np.ndarray:
    """Tokens of a text whose whole stretch lies in their window: what activates a concept can be read there."""
    starts = stretch_starts(tokens, over)
    ends = np.minimum(starts + over, tokens) - 1
    return (starts // WINDOW == np.arange(tokens) // WINDOW) & (ends // WINDOW == np.arange(tokens) // WINDOW)


def _offer(
    heap: BestOf,
    pairs: Firing,
    rows: np.ndarray,
    key: np.ndarray,
    number: np.ndarray,
    latents: torch.Tensor,
    start: np.ndarray,
    length: np.ndarray,
) -> None:
    if len(rows):
        shape = shapes(latents, start, length, pairs, rows)
        concept, window = pairs.concept[rows].astype(np.int32), number[pairs.window[rows]]
        heap.add(ConceptWindows(concept, key, window, pairs.peak[rows], shape))


def _fill_pool(gathered: _Gathered, pairs: Firing, number: np.ndarray, length: np.ndarray) -> None:
    """Offer windows to the pool, except the short ends of texts: a few words are similar to anything."""
    luck = lottery(number, seed=gathered.seed)
    edges = np.searchsorted(pairs.window, np.arange(len(number) + 1))
    for i, (a, b) in enumerate(itertools.pairwise(edges)):
        if length[i] < WINDOW // 2:
            continue
        gathered.pool.add(int(number[i]), float(luck[i]), pairs.concept[a:b])


def collect_texts(
    pair: LoadedPair,
    texts: Sequence[Path],
    run: RunFolder | None,
    folder: Path,
    settings: ExemplarSettings,
    progress: Progress,
) -> PassCounts:
    """Collect the exemplars of a dictionary from texts, or from a run's items.

    Raises
    ------
    UserError
        If the SAE is no longer the run's, or the folder is the dictionary of another SAE.
    """
    identity = pair.sae.identity
    if run is not None and run.manifest["sae"]["content_sha256"] != identity["content_sha256"]:
        raise UserError(f"the SAE {pair.sae.name!r} is no longer that of the run {str(run.path)!r}.")
    if run is not None:
        pieces = run_pieces(run)
    else:
        pieces = cut_pieces(read_documents(texts), pair.lm.tokenizer, context=PIECE, bos_id=pair.bos_id)
    write_dictionary(folder, identity, pair.lm.identity)
    return collect_exemplars(pair.lm, pair.hook, pair.sae, pieces, folder, settings, progress)


def write_directions(pair: LoadedPair, folder: Path, progress: Progress) -> tuple[int | None, int]:
    """Write each concept's promoted tokens and similar concepts; gives the numbers of concepts."""
    promoted = directions.logit_lens(pair.lm, pair.sae, progress=progress)
    alike = directions.similar_concepts(pair.sae, progress=progress)
    tables = {directions.SIMILAR: alike.write_parquet}
    if promoted is not None:
        tables[directions.LOGITS] = promoted.write_parquet
    write_dictionary(folder, pair.sae.identity, pair.lm.identity, tables=tables)
    return None if promoted is None else promoted.height, alike.height
