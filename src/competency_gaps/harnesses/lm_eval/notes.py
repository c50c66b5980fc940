"""Notes on where this run asks the model differently from lm-evaluation-harness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from competency_gaps.errors import UserError
from competency_gaps.harnesses.lm_eval.policy import LmEval
from competency_gaps.items.benchmark import Benchmark
from competency_gaps.items.item import Message
from competency_gaps.items.remark import Remark
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prompts import render_chat

_OWN_SETTINGS = {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "num_beams": 1}
"""Generation settings of a model that the harness's ``hf`` backend applies -> their neutral value, which this package
always uses."""


def with_notes(benchmark: Benchmark, lm: LanguageModel, system: str | None) -> Benchmark:
    """The benchmark with notes in its report that need the loaded model; unchanged if its task is not lm-eval's.

    Parameters
    ----------
    system
        The run's system prompt for this benchmark; None: none.
    """
    if not isinstance(benchmark.scorer, LmEval):
        return benchmark
    notes = tuple(_notes(benchmark, benchmark.scorer.task, lm, system))
    reports = [replace(report, warnings=(*report.warnings, *notes)) for report in benchmark.reports]
    return replace(benchmark, reports=tuple(reports))


def _notes(benchmark: Benchmark, task: Any, lm: LanguageModel, system: str | None) -> Iterator[Remark]:
    if task.OUTPUT_TYPE == "generate_until":
        for name, neutral in _OWN_SETTINGS.items():
            value = getattr(lm.model.generation_config, name, None)
            if value is not None and value != neutral:
                yield Remark("model_setting_unused", (value,), (name,))
    chats = [item.messages for item in benchmark.items if item.messages is not None]
    with_system = chats if system else [chat for chat in chats if chat[0]["role"] == "system"]
    if with_system and _refuses_system(lm):
        yield Remark("system_refused", (len(with_system),))


def _refuses_system(lm: LanguageModel) -> bool:
    user: Message = {"role": "user", "content": "x"}
    # A template that refuses any chat is reported elsewhere.
    return _renders(lm, user) and not _renders(lm, {"role": "system", "content": "y"}, user)


def _renders(lm: LanguageModel, *messages: Message) -> bool:
    try:
        render_chat(lm.tokenizer, messages, generation_prompt=True)
    except UserError:
        return False
    return True
