"""Read documents for statistics and training, in pieces of the model's context."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from competency_gaps.items.item import Message, Text
from competency_gaps.model.prompts import Tokens, locate_message, overlaps, plain_text, render_chat, tokenize
from competency_gaps.util.errors import UserError
from competency_gaps.util.jsonl import json_lines
from competency_gaps.util.table_files import collect, scan_parquet
from competency_gaps.util.text import shorten, visible

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROWS_PER_READ = 10_000
"""Most rows of a Parquet file that are in memory at once."""
CHARACTERS_PER_READ = 1 << 20
"""Characters of a text file that are read at once."""
PIECE_TOKENS = 256
"""Longest piece that the model reads at once for statistics and exemplars, in tokens [ours]."""
_COLUMNS = ("text", "messages")
# A module's constant, because a reader that stops early may be closed when polars is already unloaded.
_DAMAGED = (ValueError, RecursionError, pl.exceptions.PolarsError)


@dataclass(frozen=True)
class TokenPiece:
    """A stretch of a document, read by the model in one forward pass."""

    ids: np.ndarray
    """int32 of shape (tokens,): token ids, first token included."""
    content: np.ndarray
    """bool of shape (tokens,): whether the token is part of the text, not of a chat template."""
    bos: np.ndarray
    """bool of shape (tokens,): whether the token only marks the start."""
    document: int
    """Index of the document."""

    @property
    def in_body(self) -> np.ndarray:
        """bool of shape (tokens,): the text's own tokens, without a start marker."""
        return self.content & ~self.bos


def read_documents(paths: Iterable[Path]) -> Iterator[str | list[Message]]:
    """Yield the documents of Parquet, JSONL and text files in order, as texts or chat messages.

    A table has a column ``text``, a column ``messages`` (list of role and content, or JSON of one), or both, with one
    of them null in each row. A text file is one document per paragraph. Files are read piece by piece, so that they
    may be larger than memory.

    Raises
    ------
    UserError
        If a file is missing, damaged, or has neither column, or a row holds something else; the message names file
        and line or row.
    """
    for path in paths:
        if not path.is_file():
            raise UserError(f"texts {str(path)!r}: there is no such file.")
        if path.suffix == ".txt":
            yield from _paragraphs(path)
            continue
        useful, where_ = False, "its columns"
        try:
            for at, row in _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path):
                where_ = at
                useful = useful or any(column in row for column in _COLUMNS)
                document = _document(row)
                if document is not None:
                    yield document
        except _DAMAGED as error:
            raise UserError(f"texts {str(path)!r}, {where_}: {shorten(visible(str(error)), 200)}.") from error
        if not useful:
            raise UserError(f"texts {str(path)!r}: expected a column 'text' or 'messages', found neither.")


def _paragraphs(path: Path) -> Iterator[str]:
    """Yield the paragraphs of a text file, which blank lines separate."""
    rest = ""
    with path.open(encoding="utf-8") as file:
        try:
            while part := file.read(CHARACTERS_PER_READ):
                *whole, rest = (rest + part).split("\n\n")
                yield from (paragraph for paragraph in whole if paragraph.strip())
        except UnicodeDecodeError as error:
            raise UserError(f"texts {str(path)!r} are not UTF-8: {error}.") from error
    if rest.strip():
        yield rest


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a JSONL file with their line for error messages."""
    with path.open("rb") as file:
        for line in json_lines(file):
            if line.fault is not None:
                message = shorten(visible(line.message), 200)
                raise UserError(f"texts {str(path)!r}, line {line.number}: {message}. Expected a JSON object.")
            yield f"line {line.number}", line.value


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a Parquet file with their position for error messages."""
    table = scan_parquet(path)
    table = table.select([name for name in table.collect_schema().names() if name in _COLUMNS])
    start = 0
    while (part := collect(table.slice(start, ROWS_PER_READ))).height:
        for number, row in enumerate(part.iter_rows(named=True), start + 1):
            yield f"row {number}", row
        start += part.height


def _document(row: dict[str, Any]) -> str | list[Message] | None:
    """Return a row's text or messages, or None if it has neither; ValueError if it has something else."""
    messages = row.get("messages")
    if messages:
        parsed = json.loads(messages) if isinstance(messages, str) else messages
        if not isinstance(parsed, list) or not all(_is_message(message) for message in parsed):
            raise ValueError("expected 'messages' to be a list of objects with a 'role' and a 'content' of text")
        return list(parsed)
    text = row.get("text")
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f"expected 'text' to be text, found {type(text).__name__}")
    text.encode()  # tokenizers refuse half a surrogate pair, which JSON can contain
    return text if text.strip() else None


def _is_message(value: Any) -> bool:
    """Whether a value is a chat message with a role and a text."""
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in ("role", "content")):
        return False
    value["content"].encode()
    return True


def cut_pieces(
    documents: Iterable[str | list[Message]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    context: int,
    bos_id: int | None,
) -> Iterator[TokenPiece]:
    """Yield the tokens of documents, cut into pieces of at most ``context`` tokens.

    Later pieces of a document start with the first token again, as every input of the model does. Pieces with fewer
    than two tokens of text are left out.
    """
    for index, document in enumerate(documents):
        if isinstance(document, str):
            tokens = tokenize(tokenizer, plain_text("", document, ""), bos_id=bos_id)
        else:
            tokens = _chat_tokens(document, tokenizer)
        start = 0
        while start < len(tokens.ids):
            ids, in_body, bos = (part[start : start + context] for part in (tokens.ids, tokens.in_body, tokens.bos))
            start += context
            if not bos[0] and bos_id is not None:
                start -= 1
                ids = np.concatenate([[np.int32(bos_id)], ids[: context - 1]]).astype(np.int32)
                in_body = np.concatenate([[False], in_body[: context - 1]])
                bos = np.concatenate([[True], bos[: context - 1]])
            if in_body.sum() >= 2:
                yield TokenPiece(ids, in_body, bos, index)


def _chat_tokens(messages: list[Message], tokenizer: PreTrainedTokenizerBase) -> Tokens:
    """Return the tokens of a rendered chat, in which the content of every message counts as text."""
    rendered = render_chat(tokenizer, messages, generation_prompt=False)
    tokens = tokenize(tokenizer, Text(rendered, (0, 0), templated=True), bos_id=None)
    in_body = np.zeros(len(tokens.ids), bool)
    for i in range(len(messages)):
        _, start, end = locate_message(tokenizer, messages, i, rendered, generation_prompt=False)
        in_body |= overlaps(tokens.offsets, start, end)
    return replace(tokens, in_body=in_body, bos=tokens.bos & ~in_body)


def first_tokens(pieces: Iterable[TokenPiece], tokens: int) -> Iterator[TokenPiece]:
    """Yield pieces until they contain ``tokens`` tokens; the last may exceed that."""
    total = 0
    for piece in pieces:
        if total >= tokens:
            return
        total += len(piece.ids)
        yield piece
