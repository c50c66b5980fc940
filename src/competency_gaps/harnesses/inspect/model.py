"""The run's loaded model as a model of Inspect's, so that Inspect's tasks ask it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from competency_gaps.config import GenerationConfig
from competency_gaps.errors import CompetencyGapsError, UserError
from competency_gaps.harnesses.inspect.log_sample import UNREADABLE
from competency_gaps.items.remark import Remark
from competency_gaps.model.attempts import Attempts
from competency_gaps.model.generate import GeneratedAnswer, generate
from competency_gaps.model.load import LanguageModel

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage, GenerateConfig, ModelOutput

PROVIDER = "cgaps"
"""Inspect's name of the provider: the model is ``cgaps/NAME``."""
GATHER = 0.01
"""Time that the first of several calls waits for others to share its batch, in seconds."""
CONNECTIONS = 32
"""Samples that Inspect asks at a time."""
MAX_TOKENS = 2048
"""Longest answer in tokens where a task sets none, as Inspect's own local provider has it."""
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "num_choices": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "prompt_logprobs": (0,),
    "top_k": (0, -1),
    "best_of": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
}
"""Settings that models here do not support -> values that change nothing (nor does None)."""
_registered: dict[str, BatchedModel] = {}
"""Inspect's name of a model -> the model that answers now. Inspect caches its own model objects by name, beyond the run
that they were made for, so those hold no model themselves."""


@dataclass
class _Call:
    """One question of Inspect's, waiting for its answer."""

    ids: np.ndarray
    max_new: int
    stop: tuple[str, ...]
    config: GenerationConfig
    """A sampled answer's seed is its own."""
    answer: GeneratedAnswer | Remark | None = None
    """A remark says why there is none."""


@dataclass
class BatchedModel:
    """Answers questions that arrive at the same time in one batch."""

    lm: LanguageModel
    config: GenerationConfig
    """The run's settings; a task's own take precedence."""
    token_budget: int
    waiting: list[_Call] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    """How often each sample has asked each prompt in each of its epochs."""
    attempts: Attempts = field(default_factory=Attempts)
    """Runs the batches."""
    fault: CompetencyGapsError | None = None
    """Of the model or the device, for which no sample is to blame."""
    _lock: Any = None

    async def ask(self, call: _Call) -> GeneratedAnswer | Remark:
        """The answer to one question, or why there is none. The first call answers all that have arrived by then."""
        import anyio

        if self._lock is None:
            self._lock = anyio.Lock()
        self.waiting.append(call)
        async with self._lock:
            if call.answer is None:
                await anyio.sleep(GATHER)
                batch, self.waiting = self.waiting, []
                try:
                    await anyio.to_thread.run_sync(self._answer, batch)
                finally:
                    # If this call is cancelled half-way, the others still need an answer.
                    self.waiting += [other for other in batch if other.answer is None and other is not call]
        assert call.answer is not None
        return call.answer

    def _answer(self, batch: Sequence[_Call]) -> None:
        try:
            self._generate(batch)
        except CompetencyGapsError as error:
            self.fault = self.fault or error
            raise

    def _generate(self, batch: Sequence[_Call]) -> None:
        alike: dict[Any, list[_Call]] = {}
        for call in batch:
            alike.setdefault((call.max_new, call.stop, call.config.model_dump_json()), []).append(call)
        for members in alike.values():
            first = members[0]
            answers = generate(
                self.lm,
                [member.ids for member in members],
                max_new_tokens=first.max_new,
                stop=first.stop,
                config=first.config,
                token_budget=self.token_budget,
                advance=lambda done: None,
                stop_at_once=True,
                attempts=self.attempts,
                keys=[""] * len(members),  # a sampled answer's seed is its own
            )
            for member, answer in zip(members, answers, strict=True):
                member.answer = answer

    def prompt(self, messages: Sequence[ChatMessage]) -> np.ndarray:
        """Messages as the tokenizer's chat template renders them, as tokens."""
        plain = [{"role": message.role, "content": _text(message)} for message in messages]
        begun = plain[-1]["role"] == "assistant"  # the model continues an answer that the task began
        text = self.lm.tokenizer.apply_chat_template(
            plain, tokenize=False, continue_final_message=begun, add_generation_prompt=not begun
        )
        return np.asarray(self.lm.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], np.int32)

    def settings(self, config: GenerateConfig) -> GenerationConfig:
        """A task's sampling settings, with the run's as defaults (greedy unless changed)."""
        names = ("temperature", "top_p", "seed")
        given = {name: getattr(config, name) for name in names}
        return GenerationConfig(
            **{name: getattr(self.config, name) if value is None else value for name, value in given.items()}
        )

    def seeded(self, config: GenerationConfig, ids: np.ndarray) -> GenerationConfig:
        """Settings with a seed that depends on the question, sample and epoch only, not on the order of calls."""
        if config.temperature <= 0:
            return config
        from inspect_ai.solver._task_state import sample_state

        state = sample_state()
        who = f"{state.sample_id}|{state.epoch}" if state is not None else ""
        run = f"{state.uuid}" if state is not None else ""  # a retried sample starts its counts anew
        prompt = hashlib.sha256(ids.tobytes()).hexdigest()
        key = f"{run}|{who}|{prompt}"
        text = f"{config.seed}|{who}|{prompt}|{self.asked[key]}"
        self.asked[key] += 1
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
        return config.model_copy(update={"seed": seed})


@contextmanager
def registered(lm: LanguageModel, config: GenerationConfig, token_budget: int) -> Iterator[str]:
    """Register a loaded model with Inspect while the body runs; yields Inspect's name of it.

    Raises
    ------
    UserError
        If the tokenizer has no chat template: Inspect asks in chats. If the model failed on all that it was asked.
    MachineError
        If the device failed.
    """
    from inspect_ai.model import GenerateConfig as TaskSettings
    from inspect_ai.model import ModelAPI, modelapi

    if lm.tokenizer.chat_template is None:
        raise UserError(
            f"model {lm.name!r}: its tokenizer has no chat template, but Inspect's tasks ask in chats. Use the model's "
            "chat version, or another harness's form of the task."
        )
    name = f"{PROVIDER}/{lm.name}"

    class LoadedModel(ModelAPI):  # type: ignore[misc]
        def __init__(
            self,
            model_name: str,
            base_url: str | None = None,
            api_key: str | None = None,
            config: TaskSettings | None = None,
            **arguments: Any,
        ) -> None:
            super().__init__(model_name, base_url, api_key, [], config or TaskSettings())

        async def generate(self, input: Any, tools: Any, tool_choice: Any, config: TaskSettings) -> ModelOutput:
            if tools:
                raise UserError("the task gives the model tools; a model that is run here has none.")
            return await _output(_registered[f"{PROVIDER}/{self.model_name}"], self.model_name, input, config)

        def max_tokens(self) -> int:
            return min(MAX_TOKENS, _registered[f"{PROVIDER}/{self.model_name}"].lm.max_length // 2)

        def max_connections(self) -> int:
            return CONNECTIONS

        def collapse_user_messages(self) -> bool:
            return True

    def provider() -> type[ModelAPI]:
        return LoadedModel

    modelapi(name=PROVIDER)(provider)
    _registered[name] = BatchedModel(lm, config, token_budget)
    try:
        yield name
    finally:
        fault = _registered.pop(name).fault
        if fault is not None:
            raise fault  # Inspect has put it into its log as an error of a sample


async def _output(asking: BatchedModel, name: str, messages: Any, config: GenerateConfig) -> ModelOutput:
    """Answer one question of Inspect's."""
    from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, ModelOutput, ModelUsage
    from inspect_ai.util import store

    for option, neutral in _NEUTRAL.items():
        value = getattr(config, option, None)
        if value is not None and value not in neutral:
            raise UserError(f"the task sets {option} = {value!r}, which a model that is run here does not have.")
    ids = asking.prompt(messages)
    room = asking.lm.max_length - len(ids)
    wanted = config.max_tokens or MAX_TOKENS
    if room <= 0:
        message = ChatMessageAssistant(content="", model=name, source="generate")
        return ModelOutput(model=name, choices=[ChatCompletionChoice(message=message, stop_reason="model_length")])
    call = _Call(ids, min(wanted, room), tuple(config.stop_seqs or ()), asking.seeded(asking.settings(config), ids))
    answer = await asking.ask(call)
    if isinstance(answer, Remark):
        # An error would end the whole task: the log's reader takes the sample for one without a result.
        store().set(UNREADABLE, str(answer))
        message = ChatMessageAssistant(content="", model=name, source="generate")
        choice = ChatCompletionChoice(message=message, stop_reason="unknown")
        return ModelOutput(model=name, choices=[choice], error=str(answer))
    full = len(answer.ids) >= call.max_new
    reason: Any = "stop" if not full else "max_tokens" if wanted <= room else "model_length"
    message = ChatMessageAssistant(content=answer.text, model=name, source="generate")
    count = len(answer.ids)
    return ModelOutput(
        model=name,
        choices=[ChatCompletionChoice(message=message, stop_reason=reason)],
        usage=ModelUsage(input_tokens=len(ids), output_tokens=count, total_tokens=len(ids) + count),
    )


def _text(message: ChatMessage) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    kinds = {part.type for part in content} - {"text", "reasoning"}
    if kinds:
        raise UserError(
            f"the task shows the model {', '.join(sorted(kinds))}; a model that is run here reads text only."
        )
    return str(message.text)
