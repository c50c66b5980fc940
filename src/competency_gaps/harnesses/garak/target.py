"""The model as garak asks it: chat messages in, answers out, in batches, kept on disk so that none is made twice."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from competency_gaps.config import GenerationConfig
from competency_gaps.errors import SpanError, UserError
from competency_gaps.files import no_space_left
from competency_gaps.harnesses.shared.lines import json_lines
from competency_gaps.items.item import Message
from competency_gaps.model.generate import generate
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prompts import chat_text, tokenize

SLICE = 64
"""Answers between two writes: what a kill loses at most."""

Messages = tuple[tuple[str, str], ...]
"""(role, content) of each turn."""


@dataclass
class Target:
    """Answers conversations, greedily or by sampling."""

    lm: LanguageModel
    file: Path
    """JSONL of the answers that are there: key, text (null: none could be given)."""
    max_new_tokens: int
    generation: GenerationConfig
    token_budget: int
    advance: Callable[[int], None] = lambda count: None
    refused: Counter[str] = field(default_factory=Counter)
    """Why conversations have no answer -> how many."""

    def __post_init__(self) -> None:
        self._made: dict[str, str | None] = {}
        self._asked: Counter[Messages] = Counter()
        self._taken: Counter[Messages] = Counter()
        if self.file.is_file():
            whole = self.file.read_bytes().rpartition(b"\n")
            if whole[2]:  # a kill cut off the last line: that answer is made again
                self.file.write_bytes(whole[0] + whole[1])
            for line in json_lines(self.file):
                if line.fault is None and isinstance(line.value.get("key"), str):
                    self._made[line.value["key"]] = line.value.get("text")
        self.kept = len(self._made)

    def prime(self, conversations: Sequence[Messages], count: int) -> None:
        """Make the answers that will be asked for, in batches.

        Parameters
        ----------
        count
            Answers to each conversation.
        """
        wanted: dict[int, list[Messages]] = {}
        for messages in conversations:
            for _ in range(count):
                number = self._asked[messages]
                self._asked[messages] += 1
                if _key(messages, number) in self._made:
                    self.advance(1)
                else:
                    wanted.setdefault(number, []).append(messages)
        for number, asked in wanted.items():
            for start in range(0, len(asked), SLICE):
                self._make(asked[start : start + SLICE], number)

    def answers(self, messages: Messages, count: int) -> list[str | None]:
        """Answers to one conversation: those that were primed, else made now; null: it cannot be answered."""
        missing = self._taken[messages] + count - self._asked[messages]
        if missing > 0:
            self.prime([messages], missing)
        first = self._taken[messages]
        self._taken[messages] += count
        return [self._made[_key(messages, number)] for number in range(first, first + count)]

    def _make(self, asked: list[Messages], number: int) -> None:
        """Answer number ``number`` of each conversation; its seed is its own, or all of them would be the same."""
        ids: list[np.ndarray] = []
        able: list[Messages] = []
        found: dict[Messages, str | None] = {}
        for messages in dict.fromkeys(asked):
            read = self._read(messages)
            if read is None:
                found[messages] = None
            else:
                able.append(messages)
                ids.append(read)
        setting = self.generation.model_copy(update={"seed": self.generation.seed + number})
        made = generate(
            self.lm,
            ids,
            max_new_tokens=self.max_new_tokens,
            stop=(),
            config=setting,
            token_budget=self.token_budget,
            advance=self.advance,
        )
        self.advance(len(asked) - len(ids))
        found |= {messages: answer.text for messages, answer in zip(able, made, strict=True)}
        lines = []
        for messages, text in found.items():
            key = _key(messages, number)
            self._made[key] = text
            lines.append(json.dumps({"key": key, "text": text}) + "\n")
        with no_space_left(self.file), self.file.open("a", encoding="ascii", newline="\n") as handle:
            handle.writelines(lines)

    def _read(self, messages: Messages) -> np.ndarray | None:
        """The tokens that the model reads; null, counted with its reason, where it cannot read the conversation."""
        turns: list[Message] = [{"role": role, "content": content} for role, content in messages]
        try:
            text = chat_text(self.lm.tokenizer, turns, own=(), generation_prompt=True)
        except (UserError, SpanError) as error:
            self.refused[str(error)] += 1
            return None
        ids = tokenize(self.lm.tokenizer, text, bos_id=None).ids
        if len(ids) + self.max_new_tokens > self.lm.max_length:
            self.refused[f"longer than the context of {self.lm.max_length:,} tokens with room for an answer"] += 1
            return None
        return ids


def _key(messages: Messages, number: int) -> str:
    text = json.dumps([messages, number], separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
