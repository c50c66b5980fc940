"""Documents to train on, as pieces that the model can read at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.model.prompts import Message, chat_text, plain_text, tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Piece:
    """A stretch of a document, read by the model in one forward pass."""

    ids: np.ndarray
    """int32 of shape (tokens,): token ids, first token included."""
    content: np.ndarray
    """bool of shape (tokens,): the token is part of the text, not of a chat template."""
    bos: np.ndarray
    """bool of shape (tokens,): the token only marks the start."""
    document: int
    """Index of the document."""


def read_documents(paths: Iterable[Path]) -> Iterator[str | list[Message]]:
    """Documents of Parquet, JSONL and text files in order: texts or chat messages.

    A table has a column ``text``, a column ``messages`` (JSON list of role and content), or both,
    with one of them null in each row. A text file is one document per paragraph.

    Raises
    ------
    UserError
        If a file is missing or has neither column.
    """
    for path in paths:
        if not path.is_file():
            raise UserError(f"texts {str(path)!r}: there is no such file.")
        if path.suffix == ".txt":
            yield from (part for part in path.read_text(encoding="utf-8").split("\n\n") if part.strip())
            continue
        table = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ndjson(path)
        if not {"text", "messages"} & set(table.columns):
            raise UserError(f"texts {str(path)!r}: expected a column 'text' or 'messages', found {table.columns}.")
        for row in table.iter_rows(named=True):
            document = _document(row)
            if document is not None:
                yield document


def _document(row: dict[str, Any]) -> str | list[Message] | None:
    messages = row.get("messages")
    if messages:
        return json.loads(messages) if isinstance(messages, str) else list(messages)
    text = row.get("text")
    return text if text and text.strip() else None


def cut_pieces(
    documents: Iterable[str | list[Message]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    context: int,
    bos_id: int | None,
) -> Iterator[Piece]:
    """Tokenise documents and cut them into pieces of at most ``context`` tokens.

    Later pieces of a document start with the first token again, as every input of the model does.
    """
    for index, document in enumerate(documents):
        if isinstance(document, str):
            text = plain_text("", document, "")
        else:
            text = chat_text(
                tokenizer,
                document,
                own=[(i, 0, len(m["content"])) for i, m in enumerate(document)],
                generation_prompt=False,
            )
        tokens = tokenize(tokenizer, text, bos_id=bos_id)
        start = 0
        while start < len(tokens.ids):
            ids, own, bos = (part[start : start + context] for part in (tokens.ids, tokens.own, tokens.bos))
            start += context
            if not bos[0] and bos_id is not None:
                start -= 1
                ids = np.concatenate([[np.int32(bos_id)], ids[: context - 1]]).astype(np.int32)
                own = np.concatenate([[False], own[: context - 1]])
                bos = np.concatenate([[True], bos[: context - 1]])
            if own.sum() >= 2:
                yield Piece(ids, own, bos, index)
