"""A task of Inspect: sentences to be completed freely, right if the answer has the expected words."""

import json

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

from competency_gaps.embedded import BENCHMARKS

NAMES = ("school-science", "time-and-calendar", "feelings-and-motives")


@task
def scenes() -> Task:
    files = [map(json.loads, BENCHMARKS[f"embedded:{name}"].read_text().splitlines()) for name in NAMES]
    samples = [
        Sample(
            input=f"{item['prompt']} ...\n\nWhich comes next: {' or '.join(item['choices'])}?",
            target=item["choices"][item["answer"]],
            metadata={"topic": name},
        )
        for items in zip(*files, strict=False)
        for name, item in zip(NAMES, items, strict=True)
    ]
    return Task(MemoryDataset(samples), solver=generate(), scorer=includes(), config=GenerateConfig(max_tokens=16))
