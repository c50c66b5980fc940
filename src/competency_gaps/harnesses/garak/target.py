"""The model as garak's target: it answers chat messages in batches and keeps the answers on disk for later runs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from competency_gaps.config import GenerationConfig
from competency_gaps.errors import UserError
from competency_gaps.files import no_space_left
from competency_gaps.harnesses.garak.child import Messages
from competency_gaps.harnesses.shared.files import log_lines
from competency_gaps.items.item import Message, Text
from competency_gaps.items.remark import Remark
from competency_gaps.model.attempts import Attempts
from competency_gaps.model.generate import generate
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prompts import render_chat, tokenize

SLICE = 64
"""Answers between two writes: the most that a kill can lose."""


@dataclass
class Target:
    """Answers conversations, greedily or by sampling."""

    lm: LanguageModel
    file: Path
    """JSONL of the answers so far: key, text (null: none could be given), and why there is no text."""
    max_new_tokens: int
    generation: GenerationConfig
    token_budget: int
    advance: Callable[[int], None] = lambda count: None
    unanswered: Counter[str] = field(default_factory=Counter)
    """Why conversations have no answer -> how many."""
    attempts: Attempts = field(default_factory=Attempts)
    """Runs the batches."""

    def __post_init__(self) -> None:
        self._made: dict[str, tuple[str | None, str]] = {}
        self._asked: Counter[Messages] = Counter()
        if self.file.is_file():
            whole = self.file.read_bytes().rpartition(b"\n")
            if whole[2]:  # a kill cut off the last line: that answer is generated again
                self.file.write_bytes(whole[0] + whole[1])
            for line in log_lines(self.file):
                if line.fault is None:
                    self._made[line.value["key"]] = (line.value["text"], line.value["why"])

    def prime(self, conversations: Sequence[Messages]) -> None:
        """Generate answers in advance, in batches; a conversation that is listed twice has two answers."""
        count: Counter[Messages] = Counter()
        missing: dict[int, list[Messages]] = {}
        for messages in conversations:
            if _key(messages, count[messages]) in self._made:
                self.advance(1)
            else:
                missing.setdefault(count[messages], []).append(messages)
            count[messages] += 1
        for number, asked in missing.items():
            for start in range(0, len(asked), SLICE):
                self._make(asked[start : start + SLICE], number)

    def answer(self, messages: Messages) -> str | None:
        """The next answer to a conversation, generated now if it was not primed; None: it cannot be answered."""
        number = self._asked[messages]
        self._asked[messages] += 1
        if _key(messages, number) not in self._made:
            self._make([messages], number)
        text, why = self._made[_key(messages, number)]
        if text is None:
            self.unanswered[why] += 1
        return text

    def _make(self, asked: list[Messages], number: int) -> None:
        """Generate answer ``number`` of each conversation; the number is its key, so that sampled answers differ."""
        ids: list[np.ndarray] = []
        able: list[Messages] = []
        made: dict[Messages, tuple[str | None, str]] = {}
        for messages in asked:
            try:
                ids.append(self._tokens(messages))
                able.append(messages)
            except UserError as error:
                made[messages] = (None, str(error))
        answers = generate(
            self.lm,
            ids,
            max_new_tokens=self.max_new_tokens,
            stop=(),
            config=self.generation,
            token_budget=self.token_budget,
            advance=self.advance,
            attempts=self.attempts,
            keys=[str(number)] * len(ids),
        )
        self.advance(len(made))
        for messages, answer in zip(able, answers, strict=True):
            made[messages] = (None, str(answer)) if isinstance(answer, Remark) else (answer.text, "")
        lines = []
        for messages, (text, why) in made.items():
            key = _key(messages, number)
            self._made[key] = (text, why)
            lines.append(json.dumps({"key": key, "text": text, "why": why}) + "\n")
        with no_space_left(self.file), self.file.open("a", encoding="ascii", newline="\n") as handle:
            handle.writelines(lines)

    def _tokens(self, messages: Messages) -> np.ndarray:
        """The tokens that the model reads.

        Raises
        ------
        UserError
            If the model cannot read the conversation.
        """
        turns: list[Message] = [{"role": role, "content": content} for role, content in messages]
        text = render_chat(self.lm.tokenizer, turns, generation_prompt=True)
        ids = tokenize(self.lm.tokenizer, Text(text, (0, len(text)), templated=True), bos_id=None).ids
        if len(ids) + self.max_new_tokens > self.lm.max_length:
            raise UserError(f"longer than the context of {self.lm.max_length:,} tokens with room for an answer")
        return ids


def _key(messages: Messages, number: int) -> str:
    text = json.dumps([messages, number], separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
