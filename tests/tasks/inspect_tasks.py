"""Local tasks of Inspect for the tests."""

from __future__ import annotations

import os

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import Score, Target, accuracy, includes, mean, scorer
from inspect_ai.solver import Generate, TaskState, generate, solver, system_message


@scorer(metrics=[mean()])
def graded():
    """A figure in [0, 1] that differs between samples and epochs and depends on the answer."""

    async def score(state: TaskState, target: Target) -> Score:
        size = len(state.output.completion.encode())
        return Score(value=((int(state.sample_id) * 3 + state.epoch + size) % 5) / 4)

    return score


@solver
def breakable():
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if str(state.sample_id) == os.environ.get("BREAK_AT"):  # Inspect loads this file by itself
            raise RuntimeError("the machine broke down")
        return state

    return solve


def _samples(count: int) -> MemoryDataset:
    return MemoryDataset(
        [
            Sample(id=i, input=f"What is {i} plus {i * 3 % 7}? Say a number.", target=str((i + i * 3 % 7) % 10))
            for i in range(count)
        ]
    )


@task
def sums(count: int = 10):
    return Task(
        dataset=_samples(count),
        solver=[breakable(), system_message("You are good at sums."), generate()],
        scorer=[graded(), includes()],
        epochs=2,
        config=GenerateConfig(max_tokens=8, stop_seqs=["7"]),
    )


@task
def letters():
    return Task(dataset=_samples(6), solver=[generate()], scorer=letter_scorer(), config=GenerateConfig(max_tokens=4))


@scorer(metrics=[accuracy()])
def letter_scorer():
    async def score(state: TaskState, target: Target) -> Score:
        return Score(value="C" if int(state.sample_id) % 3 else "I")

    return score


@task
def sampled():
    return Task(
        dataset=_samples(6),
        solver=[generate()],
        scorer=letter_scorer(),
        epochs=2,
        config=GenerateConfig(max_tokens=12, temperature=1.0),
    )
