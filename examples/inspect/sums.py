"""A task of Inspect: sums and differences, generated and scored by whether the right number is in the answer."""

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

KINDS = {"adding": ("plus", int.__add__), "taking away": ("minus", int.__sub__)}


@task
def sums() -> Task:
    samples = [
        Sample(
            input=f"What is {first} {word} {second}? Answer with the number only.",
            target=f"{compute(first, second)}",
            metadata={"kind": kind, "digits": len(str(first))},
        )
        for first in (8, 9, 18, 27, 46, 59, 120, 245, 370, 468)
        for second in (2, 5, 7)
        for kind, (word, compute) in KINDS.items()
    ]
    return Task(MemoryDataset(samples), solver=generate(), scorer=includes(), config=GenerateConfig(max_tokens=12))
