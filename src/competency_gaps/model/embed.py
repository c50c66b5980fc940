"""Embed texts as sentence vectors, so that labels, or windows of text, can be compared by meaning."""

from __future__ import annotations

import functools
import importlib.util
import os
import socket
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np

from competency_gaps.util.errors import UserError, needed
from competency_gaps.util.files import cache_folder, make_folder, sha256
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import one_line

MAX_CHARACTERS = 2000
"""Characters of a text that are embedded [ours]; a text usually reaches MAX_TOKENS first."""

MAX_TOKENS = 128
"""Tokens of a text that are embedded: as many as all-MiniLM-L6-v2 was trained on. It also reads 256, in twice the time,
but then clusters of MMLU-Pro predict scores no better."""

HUB = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
"""The default model on the hub, and its commit there."""

FOLDER = Path("models", "all-minilm-l6-v2")
"""Folder in the cache folder where ``recipes/texts_model.py`` writes the default model; it precedes the hub."""

FILES = ("onnx/model_qint8_avx512.onnx", "onnx/model_quantized.onnx", "onnx/model.onnx", "model.onnx")
"""Names of a model's file in its folder; the first that exists is used.

Of the hub's int8 files for several processors, one is used on all, so that vectors differ between machines only by
rounding. Its weights have 7 bits: sums of 8-bit products saturate on x86 without VNNI."""

THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
TEXTS_PER_STORE = 256
"""Number of texts after which their vectors are stored."""

MAX_STORED_VECTORS = 300_000
"""Most vectors in the cache folder, the latest: some 300 MB with 384 dimensions."""

HUB_TIMEOUT_SECONDS = 4
"""Seconds that the hub may take to answer."""


class NoModelError(UserError):
    """The embedding model is not on this machine and cannot be fetched."""


def embed_texts(texts: Sequence[str], model: str | None = None, progress: Progress | None = None) -> np.ndarray:
    """Return sentence embeddings of texts from an ONNX model on the CPU: the mean over tokens, of length 1.

    A text's vector depends on the text and the model alone. It is stored in the cache folder, so that a machine embeds
    a text once.

    Parameters
    ----------
    texts
        Texts; each is cut after ``MAX_CHARACTERS`` characters and ``MAX_TOKENS`` tokens.
    model
        Folder with ``tokenizer.json`` and one of ``FILES``, or the id of such a model on the hub; None takes
        all-MiniLM-L6-v2 in int8.
    progress
        Shows the progress; None: nothing is shown.

    Returns
    -------
    numpy.ndarray of shape (len(texts), d), float32
        Rows of length 1, so that a product of two is their cosine; shape (0, d) for no texts.

    Raises
    ------
    MissingExtraError
        If onnxruntime, tokenizers or huggingface_hub is not installed.
    NoModelError
        If the model is not here and cannot be fetched.
    UserError
        If the model cannot be loaded, or returns no vectors.
    """
    encoder = _load(model)
    keys = [encoder.key(text[:MAX_CHARACTERS]) for text in texts]
    unique = dict(zip(keys, texts, strict=True)) or {encoder.key(""): ""}  # an empty text gives the width
    with closing(_store()) as store, ThreadPoolExecutor(THREADS) as pool:
        select = "SELECT vector FROM vectors WHERE key = ?"
        vectors = {key: row[0] for key in unique if (row := store.execute(select, (key,)).fetchone())}
        missing = [key for key in unique if key not in vectors]
        shown = progress if progress is not None and missing else Progress(quiet=True)
        with shown.stage("sentence embeddings", total=len(missing), unit="texts") as bar:
            for start in range(0, len(missing), TEXTS_PER_STORE):
                part = missing[start : start + TEXTS_PER_STORE]
                new = dict(zip(part, pool.map(encoder, (unique[key][:MAX_CHARACTERS] for key in part)), strict=True))
                with suppress(sqlite3.Error), store:  # where nothing can be stored, it is embedded again next time
                    store.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", new.items())
                    store.execute(
                        "DELETE FROM vectors WHERE rowid <= (SELECT max(rowid) FROM vectors) - ?", (MAX_STORED_VECTORS,)
                    )
                vectors.update(new)
                bar.advance(len(part))
    width = len(next(iter(vectors.values()))) // 2
    rows = np.frombuffer(b"".join(vectors[key] for key in keys), np.float16).reshape(len(keys), width)
    rows = rows.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def has_default_model() -> bool:
    """Return whether texts can be embedded: the packages are installed, and the model is here or the hub answers."""
    if not all(map(importlib.util.find_spec, ("onnxruntime", "tokenizers", "huggingface_hub"))):
        return False
    return _local_files(None) is not None or _hub_answers()


def _store() -> sqlite3.Connection:
    """Return the database of vectors in the cache folder; an empty one in memory if the folder cannot be used."""
    table = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"
    with suppress(OSError, UserError, sqlite3.Error):
        make_folder(cache_folder())
        store = sqlite3.connect(cache_folder() / "embeddings.sqlite", timeout=30)
        store.execute(table)
        return store
    store = sqlite3.connect(":memory:")
    store.execute(table)
    return store


class _Encoder:
    """Embeds one text at a time: an int8 model scales activations over a whole batch."""

    def __init__(self, name: str, file: Path, tokenizer: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self.name, self.digest = name, bytes.fromhex(sha256(file) + sha256(tokenizer)) + bytes([MAX_TOKENS])
        self.tokenizer = Tokenizer.from_file(str(tokenizer))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # texts are spread over threads instead
        # This fusion's kernel takes eight times as long as the two that it replaces.
        self.session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
        )

    def key(self, text: str) -> bytes:
        """Return the cache key of a text: 16 bytes that depend on the model's files and the text."""
        return blake2b(self.digest + text.encode(), digest_size=16).digest()

    def __call__(self, text: str) -> bytes:
        """Return the embedding of a text as the bytes of float16 numbers, of length 1."""
        ids = np.array([self.tokenizer.encode(text).ids], np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        names = [entry.name for entry in self.session.get_inputs()]
        mean = self.session.run(None, {name: inputs[name] for name in names})[0][0].mean(axis=0)
        length = np.linalg.norm(mean)
        if not np.isfinite(length) or length == 0:
            raise UserError(f"the embedding model {self.name!r} returns vectors that are zero or not finite.")
        return (mean / length).astype(np.float16).tobytes()


@functools.lru_cache(maxsize=1)
def _load(model: str | None) -> _Encoder:
    """Return an embedding model from this machine or the hub; the last one is cached."""
    name = model or HUB
    with needed(None, "texts", "Comparing texts by meaning"):
        import onnxruntime  # noqa: F401
        import tokenizers  # noqa: F401

        files = _local_files(model) or _fetched_files(model)
    try:
        return _Encoder(name, *files)
    except Exception as error:  # onnxruntime's and tokenizers' errors have no other base
        raise UserError(f"the embedding model {name!r} cannot be loaded: {one_line(error)}.") from error


def _local_files(model: str | None) -> tuple[Path, Path] | None:
    """Return the files of the model and its tokenizer in a folder or the hub's cache; None if one is missing."""
    folder = Path(model).expanduser() if model else cache_folder() / FOLDER
    if not folder.is_dir():
        from huggingface_hub import try_to_load_from_cache

        with suppress(ValueError):  # no id: _fetched_files says so
            cached = try_to_load_from_cache(model or HUB, "tokenizer.json", revision=None if model else REVISION)
            folder = Path(cached).parent if isinstance(cached, str) else folder
    file = next((folder / name for name in FILES if (folder / name).is_file()), None)
    return (file, folder / "tokenizer.json") if file and (folder / "tokenizer.json").is_file() else None


def _fetched_files(model: str | None) -> tuple[Path, Path]:
    """Download the model and its tokenizer from the hub, and return their files."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    reason = "the hub cannot be reached"
    if _hub_answers():
        fetch = functools.partial(
            hf_hub_download, model or HUB, revision=None if model else REVISION, etag_timeout=HUB_TIMEOUT_SECONDS
        )
        try:
            reason, tokenizer = "it has no ONNX file", fetch("tokenizer.json")
            for name in FILES:
                with suppress(EntryNotFoundError):
                    return Path(fetch(name)), Path(tokenizer)
        except (OSError, ValueError) as error:
            reason = one_line(error)
    raise NoModelError(
        f"the embedding model {model or HUB!r} is not on this machine and cannot be fetched: {reason}. Give a folder "
        f"with tokenizer.json and {FILES[-1]} as slices.embedder (in a checkout, recipes/texts_model.py makes one)."
    )


def _hub_answers() -> bool:
    """Return whether the hub can be reached; its client alone would try for half a minute."""
    from huggingface_hub import constants

    hub = urlsplit(constants.ENDPOINT)
    if constants.HF_HUB_OFFLINE or not hub.hostname:
        return False
    if not getproxies():
        try:
            socket.create_connection((hub.hostname, hub.port or 443), HUB_TIMEOUT_SECONDS).close()
        except OSError:
            return False
    return True
